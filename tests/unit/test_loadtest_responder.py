"""The canned upstream over real sockets, plain and with TLS, asked by the load generator's own clients."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner

from router.cli import main
from router.loadtest.client import Client
from router.loadtest.outcome import Outcome
from router.loadtest.plan import Plan
from router.loadtest.pump import open_pump
from router.loadtest.responder import Responder
from router.loadtest.stream import Pace, StreamReading, WholeReading
from router.loadtest.target import Target
from router.loadtest.tls import tls_wire
from router.loadtest.watched import Watched
from router.loadtest.wire import Wire

TLS = Path(__file__).parent.parent / "fixtures" / "tls"


@contextmanager
def responding(secret: ssl.SSLContext | None = None) -> Iterator[Target]:
    """Run a responder in a thread, and give where it is."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        responder = Responder(listener, secret)
        thread = threading.Thread(target=responder.run)
        thread.start()
        try:
            yield Target("127.0.0.1", listener.getsockname()[1], "/v1", "none", "canned")
        finally:
            responder.stopping = True
            socket.create_connection(listener.getsockname()).close()
            thread.join(10.0)
        assert not thread.is_alive()


async def asked(
    target: Target, plan: Plan, *, times: int = 1, pace: Pace | None = None
) -> list[Outcome]:
    outcomes = [Outcome(0.0) for _ in range(times)]
    async with open_pump() as pump:
        client = Client(
            pump.dialer(target),
            lambda: StreamReading(pace, trio.current_time) if pace else WholeReading(),
            timeout=10.0,
        )
        for outcome in outcomes:
            request = plan.request(target, 1)
            await client.ask(request, outcome, start=trio.current_time())
        client.close()
    return outcomes


async def test_it_answers_in_one_piece_over_a_kept_connection() -> None:
    with responding() as target:
        outcomes = await asked(target, Plan(model="m", rate=1.0, streamed=False), times=3)
    assert [outcome.problem for outcome in outcomes] == [None] * 3


async def test_a_stream_has_as_many_stamped_tokens_as_its_question_orders() -> None:
    pace = Pace(stamped=True)
    pace.counting = True
    plan = Plan(model="m", rate=1.0, prompt="Please [tokens=7 gap=1] now")
    with responding() as target:
        outcomes = await asked(target, plan, times=2, pace=pace)
    assert [outcome.problem for outcome in outcomes] == [None, None]
    # The role, seven tokens, the finish reason and [DONE].
    assert [outcome.events for outcome in outcomes] == [10, 10]
    assert pace.transit.count == 14


async def test_many_streams_at_once_are_all_served() -> None:
    plan = Plan(model="m", rate=1.0, prompt="[tokens=5 gap=2]")
    with responding() as target:
        found: list[Outcome] = []
        async with trio.open_nursery() as nursery:
            for _ in range(30):

                async def one() -> None:
                    found.extend(await asked(target, plan, pace=Pace()))

                nursery.start_soon(one)
    assert [outcome.problem for outcome in found] == [None] * 30


async def test_over_tls_the_same_is_read_and_a_stranger_is_refused() -> None:
    secret = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secret.load_cert_chain(TLS / "server.pem", TLS / "server-key.pem")
    trusting = ssl.create_default_context(cafile=str(TLS / "ca.pem"))
    plan = Plan(model="m", rate=1.0, prompt="[tokens=4 gap=1]")
    with responding(secret) as target:
        pace, outcome, refused = Pace(), Outcome(0.0), Outcome(0.0)
        async with open_pump() as pump:

            async def dial() -> Wire:
                return await tls_wire(await pump.dialer(target)(), trusting, "127.0.0.1")

            async def dial_strictly() -> Wire:
                plain = await pump.dialer(target)()
                return await tls_wire(plain, ssl.create_default_context(), "127.0.0.1")

            def reading() -> StreamReading:
                return StreamReading(pace, trio.current_time)

            for how, one in ((dial, outcome), (dial_strictly, refused)):
                client = Client(how, reading, timeout=10.0)
                await client.ask(plan.request(target, 1), one, start=trio.current_time())
                client.close()
    assert (outcome.problem, outcome.events) == (None, 7)
    assert refused.problem == "no connection"
    assert "certificate" in refused.told


async def test_a_name_is_resolved_and_each_of_its_addresses_tried() -> None:
    with responding() as target:
        named = Target("localhost", target.port, "/v1", "none", "canned")
        outcomes = await asked(named, Plan(model="m", rate=1.0, streamed=False))
    assert outcomes[0].problem is None


def test_the_command_measures_a_local_server_and_writes_all_its_files(tmp_path: Path) -> None:
    with responding() as target:
        url = f"http://127.0.0.1:{target.port}/v1"
        options = ["--model", "m", "--prompt", "[tokens=3 gap=1]", "--rate", "50", "--stamped"]
        files = ["--json", str(tmp_path / "r.json"), "--html", str(tmp_path / "r.html")]
        short = ["--seconds", "0.4", "--warm", "0.1", "--no-calibration", "--pid", str(os.getpid())]
        result = CliRunner().invoke(main, ["bench", url, *options, *files, *short])
    assert result.exit_code == 0, result.output
    assert "time to first token" in result.stdout
    assert "event transit" in result.stdout
    assert "server CPU per event" in result.stdout
    assert (tmp_path / "r.json").read_bytes().startswith(b"{")
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    "arguments",
    [
        ["ftp://somewhere", "--model", "m"],
        ["http://u@h/v1", "--model", "m"],
        ["http://h/v1", "--model", "m", "--rate", "1", "--connections", "1"],
        ["http://h/v1"],
    ],
)
def test_a_wrong_command_line_is_refused(arguments: list[str]) -> None:
    assert CliRunner().invoke(main, ["bench", *arguments]).exit_code == 2


def test_a_server_that_nobody_runs_is_a_failure_with_its_reason() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}/v1"
        short = ["--connections", "1", "--seconds", "0.3", "--warm", "0", "--no-calibration"]
        result = CliRunner().invoke(main, ["bench", url, "--model", "m", *short])
    assert result.exit_code == 1
    assert "no connection" in result.stdout
    assert "refused" in result.stderr


def test_the_responder_as_a_program_says_where_it_is_and_ends_when_told() -> None:
    command = [sys.executable, "-m", "router.loadtest.responder"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10.0) == 0


def test_a_watched_process_tells_what_it_takes() -> None:
    watched = Watched(os.getpid())
    assert watched.cpu_seconds() > 0
    assert watched.bytes_per_open is None
    watched.look(4)
    watched.look(2)
    assert watched.fullest.open == 4
    assert watched.bytes_per_open is not None


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://host/v1", b"host: host\r\n"),
        ("http://host:80/v1/", b"host: host\r\n"),
        ("https://host:8443/v1", b"host: host:8443\r\n"),
        ("https://host:443/v1", b"host: host\r\n"),
        ("http://[::1]:8080/v1", b"host: [::1]:8080\r\n"),
    ],
)
def test_a_base_url_becomes_a_request(url: str, authority: bytes) -> None:
    request = Target.of_url(url, key="k", model="m").request({})
    assert request.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert authority in request
