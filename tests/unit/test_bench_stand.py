"""What stands around a load: cores, processes, the gateway's configuration, progress."""

import io
import os
import resource
import sys
from pathlib import Path

import pytest

from bench.cores import Layout, running_on
from bench.machine import describe_machine, field_of
from bench.processes import Service, StandFailed, ending, raise_file_limit
from bench.stand import MAX_CONNECTIONS, gateway_config
from bench.work import MODEL, stream_work, whole_work
from router.config import load_config
from router.loadtest.progress import PLAIN_EVERY_SECONDS, Progress
from router.loadtest.target import Target

PROVIDER = Target("127.0.0.1", 4711, "/v1", "unused", MODEL)


@pytest.mark.parametrize(
    ("cores", "gateway", "load"),
    [([3], {3}, {3}), ([0, 1], {1}, {0}), ([5, 2, 7], {7}, {2, 5})],
)
def test_the_gateway_gets_the_last_core_for_itself(
    cores: list[int], gateway: set[int], load: set[int]
) -> None:
    layout = Layout.of(cores)
    assert (set(layout.gateway), set(layout.load)) == (gateway, load)
    assert layout.divided == (len(cores) > 1)


def test_a_thread_returns_to_the_cores_it_came_from() -> None:
    before = os.sched_getaffinity(0)
    with running_on({min(before)}):
        assert os.sched_getaffinity(0) == {min(before)}
    assert os.sched_getaffinity(0) == before


def run(folder: Path, program: str) -> Service:
    return Service("thing", [sys.executable, "-u", "-c", program], folder / "log")


def test_a_service_is_waited_for_and_ended_by_a_signal(tmp_path: Path) -> None:
    service = run(tmp_path, "import signal; print('ready'); signal.pause()")
    with ending(service):
        assert service.wait_until(lambda: service.lines() or None) == ["ready"]
        assert service.exit_code is None
    assert service.exit_code == -15


def test_a_service_that_ends_early_is_reported_with_its_words(tmp_path: Path) -> None:
    service = run(tmp_path, "import sys; sys.exit('no such port')")
    with ending(service), pytest.raises(StandFailed, match=r"(?s)the thing ended .*no such port"):
        service.wait_until(lambda: None)


def test_the_gateways_configuration_is_one_that_the_gateway_takes(tmp_path: Path) -> None:
    path = tmp_path / "syze.toml"
    path.write_text(gateway_config(PROVIDER, 8123))
    config = load_config(path, {})
    assert config.server.bind == ["127.0.0.1:8123"]
    assert config.store.path == str(tmp_path / "bench.db")
    provider = config.providers["sim"]
    assert provider.base_url == "http://127.0.0.1:4711/v1"
    assert provider.models == [MODEL]
    assert provider.max_connections == MAX_CONNECTIONS


def test_the_file_limit_is_raised_as_far_as_allowed() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        raise_file_limit(soft - 1)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        raise_file_limit(300)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (300, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if hard != resource.RLIM_INFINITY:
        with pytest.raises(StandFailed, match=str(hard)):
            raise_file_limit(hard + 1)


def test_each_request_has_its_own_answer() -> None:
    streams = [stream_work(PROVIDER, number, tokens=60, gap=0.1) for number in range(50)]
    assert len({work.text for work in streams}) == 50
    assert [work.wants_usage for work in streams[:3]] == [False, True, False]
    assert all(b"include_usage" in work.request for work in streams[1::2])


def test_a_request_says_how_long_it_is() -> None:
    head, _, body = whole_work(PROVIDER, 1, tokens=5).request.partition(b"\r\n\r\n")
    assert b"content-length: %d" % len(body) in head.split(b"\r\n")
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:4711\r\n")


def test_a_field_of_proc_is_found_by_its_name() -> None:
    text = "processor\t: 0\nmodel name\t: Some CPU: fast\nmodel name\t: Another\n"
    assert field_of(text, "model name") == "Some CPU: fast"
    assert field_of(text, "bogomips") == "unknown"


def test_the_machine_is_described() -> None:
    machine = describe_machine(2)
    assert machine.cores == 2
    assert machine.memory_bytes > 2**20
    assert set(machine.libraries) >= {"trio", "h11", "syzeai"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_rewrites_its_line_on_a_terminal() -> None:
    terminal = Terminal()
    progress = Progress(terminal)
    progress.show("1 of 2")
    progress.show("2 of 2")
    assert terminal.getvalue() == "\r\x1b[2K1 of 2\r\x1b[2K2 of 2"


def test_progress_elsewhere_is_a_plain_line_now_and_then() -> None:
    log, time = io.StringIO(), [100.0]
    progress = Progress(log, now=lambda: time[0])
    progress.show("a")
    time[0] += PLAIN_EVERY_SECONDS / 2
    progress.show("b")
    time[0] += PLAIN_EVERY_SECONDS
    progress.show("c")
    assert log.getvalue() == "a\nc\n"
