"""Several worker processes behind one address: spread, deaths, reloads, and an end that loses nothing.

One gateway with three workers is shared by the tests that leave it serving; those that end it have their own.
"""

import contextlib
import os
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from router.simulator import Simulator
from tests.e2e.gateway import MODEL, Gateway, environ_of, running_gateway
from tests.e2e.process import PATIENCE_SECONDS, SYZE, wait_until
from tests.e2e.raw import Wire

CHAT = "/v1/chat/completions"
USER = [{"role": "user", "content": "Hello"}]
WORKERS = 3
CONNECTIONS = 200
GAP = 0.05


def request_body(**simulate: Any) -> bytes:
    stream = bool(simulate)
    fields = {"model": MODEL, "messages": USER, "stream": stream, "simulate": simulate}
    return msgspec.json.encode({**fields, "max_tokens": 100})


@contextlib.contextmanager
def gateway_with_workers(
    folder: Path, provider: Simulator, port: int, workers: int
) -> Iterator[Gateway]:
    with running_gateway(folder, provider, port, {"workers": workers}) as gateway:
        wait_until("every worker knows the key", lambda: knows_key(gateway))
        yield gateway


def knows_key(gateway: Gateway) -> bool:
    return all(gateway.status_of("/v1/models", gateway.key) == 200 for _ in range(20))


@pytest.fixture(scope="module")
def crew(
    provider: Simulator, provider_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("workers")
    with gateway_with_workers(folder, provider, provider_port, WORKERS) as gateway:
        yield gateway


@pytest.fixture
def pair(tmp_path: Path, provider: Simulator, provider_port: int) -> Iterator[Gateway]:
    """A gateway with two workers, which the test may end."""
    with gateway_with_workers(tmp_path, provider, provider_port, 2) as gateway:
        yield gateway


def pids(gateway: Gateway) -> dict[int, int]:
    """The process of each worker, as far as it is alive."""
    told = {line["worker"]: line["pid"] for line in gateway.process.log("worker listens")}
    return {worker: pid for worker, pid in told.items() if is_alive(pid)}


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that nobody has buried yet does not (Linux)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def per_worker(gateway: Gateway, name: str) -> dict[int, float]:
    """The samples of one metric that has no other label."""
    found = gateway.metrics()
    prefix = f'{name}{{worker="'
    return {
        int(sample.removeprefix(prefix).rstrip('"}')): value
        for sample, value in found.items()
        if sample.startswith(prefix)
    }


def requests_per_worker(gateway: Gateway) -> Counter[int]:
    return Counter(line["worker"] for line in gateway.process.log("request"))


def in_flight(gateway: Gateway) -> dict[int, float]:
    return per_worker(gateway, "syze_requests_in_flight")


@contextlib.contextmanager
def streams_in_flight(gateway: Gateway, count: int, seconds: float = 1.5) -> Iterator[list[Wire]]:
    """Streams that have begun, each on a connection of its own, `seconds` long."""
    body = request_body(tokens=round(seconds / GAP), gap=GAP)
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(gateway)) for _ in range(count)]
        for wire in wires:
            wire.send_request(CHAT, body)
        wait_until("all are in flight", lambda: sum(in_flight(gateway).values()) == count)
        yield wires


def stream_of(wire: Wire) -> bytes:
    """What comes up to the end of the answer, or of the connection if that is sooner."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while not is_whole(data) and (piece := wire.socket.recv(65536)):
            data += piece
    return data


def is_whole(stream: bytes) -> bool:
    return stream.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


def send_hup(gateway: Gateway) -> None:
    gateway.process._process.send_signal(signal.SIGHUP)


def test_connections_are_spread_over_the_workers(crew: Gateway) -> None:
    before = requests_per_worker(crew)
    with contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS):
            wire = stack.enter_context(Wire(crew))
            assert wire.post(CHAT, request_body()).status == 200
    taken = wait_until(
        "every request is logged",
        lambda: now if (now := requests_per_worker(crew) - before).total() == CONNECTIONS else None,
    )
    assert set(taken) == set(range(WORKERS))
    # An even share is 67. Chance moves it a little; one worker that is passed over would have none.
    assert min(taken.values()) >= CONNECTIONS // WORKERS // 3


def test_a_scrape_tells_of_all_workers(crew: Gateway) -> None:
    assert per_worker(crew, "syze_worker_up") == dict.fromkeys(range(WORKERS), 1.0)
    with streams_in_flight(crew, 2 * WORKERS) as wires:
        assert all(is_whole(stream_of(wire)) for wire in wires)
    wait_until(
        "nothing is in flight",
        lambda: not any(in_flight(crew).values()),
    )
    found = crew.metrics()
    told = sum(
        value for name, value in found.items() if name.startswith("syze_requests_total{worker=")
    )
    assert told == requests_per_worker(crew).total()


def test_a_killed_worker_breaks_its_own_streams_and_nothing_else(crew: Gateway) -> None:
    listened = len(crew.process.log("worker listens"))
    with streams_in_flight(crew, 12) as wires:
        held = in_flight(crew)
        victim = max(held, key=lambda worker: held[worker])
        before = pids(crew)
        os.kill(before[victim], signal.SIGKILL)
        for _ in range(20):
            with Wire(crew) as wire:
                assert wire.post(CHAT, request_body()).status == 200
        whole = [is_whole(stream_of(wire)) for wire in wires]
    assert whole.count(False) == held[victim] > 0
    [ended] = crew.process.log("worker ended")
    assert (ended["worker"], ended["fault"]) == (victim, "killed by SIGKILL")
    wait_until(
        "the worker is back", lambda: len(crew.process.log("worker listens")) == listened + 1
    )
    after = pids(crew)
    assert {worker for worker in after if after[worker] != before[worker]} == {victim}
    assert per_worker(crew, "syze_worker_up") == dict.fromkeys(range(WORKERS), 1.0)


def test_a_reload_replaces_the_workers_and_breaks_nothing(crew: Gateway, tmp_path: Path) -> None:
    config = crew._config
    written = config.read_text()
    before = pids(crew)
    config.write_text(written.replace("workers = 3", "workers = 3\nwrokers = 3"))
    send_hup(crew)
    [refused] = wait_until(
        "the reload is refused",
        lambda: crew.process.log("reload refused: the old configuration goes on"),
    )
    assert "wrokers" in refused["problems"][0]
    assert pids(crew) == before

    config.write_text(written.replace("workers = 3", "workers = 2"))
    with streams_in_flight(crew, 6) as wires:
        send_hup(crew)
        wait_until("the new workers serve", lambda: crew.process.log("reloaded"))
        with Wire(crew) as wire:
            assert wire.post(CHAT, request_body()).status == 200
        assert all(is_whole(stream_of(wire)) for wire in wires)
    wait_until("the old workers are gone", lambda: not any(map(is_alive, before.values())))
    after = pids(crew)
    assert len(after) == 2
    assert not set(after) & set(before), "numbers of living workers were used twice"
    assert set(per_worker(crew, "syze_worker_up")) == set(after)


def test_workers_that_are_ended_by_hand_are_replaced(crew: Gateway) -> None:
    before = pids(crew)
    for pid in before.values():
        os.kill(pid, signal.SIGTERM)
    wait_until("all are ended", lambda: not any(map(is_alive, before.values())))
    wait_until("as many serve again", lambda: pids(crew).keys() == before.keys())
    assert [line["fault"] for line in crew.process.log("worker ended")][-len(before) :] == [
        "exit code 0"
    ] * len(before)
    assert per_worker(crew, "syze_worker_up") == dict.fromkeys(before, 1.0)


def test_a_stop_finishes_the_streams_of_all_workers(pair: Gateway) -> None:
    with streams_in_flight(pair, 10, seconds=4.0) as wires:
        pair.process.terminate()
        wait_until("new connections are refused", lambda: refuses_connections(pair))
        assert not pair.process.has_ended
        assert all(is_whole(stream_of(wire)) for wire in wires)
    assert pair.process.wait() == 0
    assert not pids(pair)
    assert not pair.process.log("worker ended")
    assert {line["outcome"] for line in pair.process.log("request")} == {"ok"}


def refuses_connections(gateway: Gateway) -> bool:
    with socket.socket() as probe:
        try:
            probe.connect(("127.0.0.1", gateway.process.port))
        except ConnectionRefusedError:
            return True
    return False


def test_workers_of_a_killed_supervisor_finish_their_streams_and_end(
    tmp_path: Path, provider: Simulator, provider_port: int
) -> None:
    with (
        pytest.raises(AssertionError, match="exit code -9"),  # as every killed process has
        gateway_with_workers(tmp_path, provider, provider_port, 2) as gateway,
    ):
        kill_the_supervisor_and_watch(gateway)


def kill_the_supervisor_and_watch(gateway: Gateway) -> None:
    workers = pids(gateway)
    assert len(workers) == 2
    # A terminal sends Ctrl-C to the supervisor's group, and workers are to hear of it from there.
    assert all(os.getpgid(pid) == pid for pid in workers.values())
    with streams_in_flight(gateway, 6) as wires:
        gateway.process._process.kill()
        assert all(is_whole(stream_of(wire)) for wire in wires)
    wait_until("the orphans end", lambda: not pids(gateway))
    assert refuses_connections(gateway)


def test_workers_that_cannot_start_end_the_gateway_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "syze.toml").write_text(
        '[server]\nbind = ["127.0.0.1:0"]\nworkers = 2\n'
        'tls_certificate = "syze.toml"\ntls_key = "syze.toml"\n'  # which is none
        '[store]\npath = "keys.db"\n[limits]\nfolder = "counts"\n'
        '[providers.mine]\nbase_url = "http://127.0.0.1:9/v1"\nmodels = ["a"]\n'
    )
    done = subprocess.run(
        [SYZE, "serve", "--config", "syze.toml"],
        cwd=tmp_path,
        env=environ_of(tmp_path),
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_SECONDS,  # it is started three times
        check=False,
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Error: worker ")
    assert "PEM" in last
