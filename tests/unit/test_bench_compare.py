"""The comparison: what is started how, what is kept and taken up again, and how its tables conclude."""

import json
import shutil
import ssl
import sys
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from bench.__main__ import main
from bench.compare.cache import Cache, NotInstalled, default_cache, program
from bench.compare.contestant import Contestant, Place, Start
from bench.compare.field import MANY_STREAMS, Entry, entries
from bench.compare.goals import goals
from bench.compare.measuring import measure_comparison
from bench.compare.ours import Ours
from bench.compare.page import save, write_page
from bench.compare.record import Comparison, Missing, Probe, Requests, Run, Settings, Streams
from bench.compare.standing import standing
from bench.compare.table import compare_tables, names_of
from bench.compare.upstream import serving_upstream
from bench.cores import Layout
from bench.machine import Machine
from bench.processes import StandFailed, free_port
from bench.record import Origin
from bench.stand import python_command
from router.config import load_config
from router.loadtest.progress import Progress
from router.loadtest.target import Target

UPSTREAM = Target("127.0.0.1", 4711, "/v1", "none", "canned")
TINY = Settings(
    connections=(2,),
    streams=(3, 2),
    probed=(2,),
    runs=1,
    seconds=0.3,
    warm=0.1,
    probe_seconds=0.3,
    settle=0.0,
)


class Canned:
    """A contestant that is the responder itself, and so adds nothing."""

    name = "canned"
    kind = "relay"

    def __init__(self) -> None:
        self.started = 0

    def install(self, _: Cache) -> str:
        return "1.0"

    def start(self, _: Cache, place: Place) -> Start:
        self.started += 1
        command = python_command("router.loadtest.responder", "--port", str(place.port))
        return Start(command, Target("127.0.0.1", place.port, "/v1", "none", "canned"))


class Absent(Canned):
    name = "absent"

    def install(self, _: Cache) -> str:
        raise NotInstalled("it is sold out")


class Crashing(Canned):
    name = "crashing"

    def start(self, _: Cache, place: Place) -> Start:
        self.started += 1
        command = [sys.executable, "-c", "import sys; sys.exit('no such option')"]
        return Start(command, Target("127.0.0.1", place.port, "/v1", "none", "canned"))


def place(folder: Path, *, tls: bool = False) -> Place:
    upstream = msgspec.structs.replace(UPSTREAM, tls=tls)
    return Place(folder, 8123, upstream, folder / "certificate.pem" if tls else None)


def compared(
    contestants: list[Contestant], folder: Path, settings: Settings = TINY, **more: Any
) -> Comparison:
    return measure_comparison(
        settings,
        [Entry(one.name, one, **more) for one in contestants],
        cache=Cache(folder, offline=True),
        kept=folder / "runs" / "test",
        name="test",
        note="",
        progress=Progress(sys.stderr),
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Path, Canned]:
    folder = tmp_path_factory.mktemp("compare")
    canned = Canned()
    return compared([canned, Absent(), Crashing()], folder), folder, canned


def test_a_contestant_goes_through_the_whole_course(
    measured: tuple[Comparison, Path, Canned],
) -> None:
    [run] = measured[0].runs
    assert (run.contestant, run.version, run.number) == ("canned", "1.0", 1)
    assert [one.connections for one in run.requests] == [2]
    assert run.requests[0].failed == 0
    assert run.requests[0].cpu_us > 0
    assert [(one.streams, one.open, one.lost) for one in run.streams] == [(2, 2, 0), (3, 3, 0)]
    assert [one.probe is not None for one in run.streams] == [True, False]
    assert all(one.cpu_us > 0 for one in run.streams)
    assert run.idle_bytes > 0
    assert run.first_answer > 0


def test_the_upstream_is_measured_alone_too(measured: tuple[Comparison, Path, Canned]) -> None:
    [direct] = measured[0].direct
    assert [one.streams for one in direct.streams] == [2, 3]


def test_who_cannot_be_had_or_does_not_serve_is_left_out_with_the_reason(
    measured: tuple[Comparison, Path, Canned],
) -> None:
    absent, crashing = measured[0].missing
    assert (absent.contestant, absent.why) == ("absent", "it is sold out")
    assert crashing.contestant == "crashing"
    assert "no such option" in crashing.why


def test_what_was_measured_is_not_measured_again(
    measured: tuple[Comparison, Path, Canned],
) -> None:
    result, folder, canned = measured
    again = compared([canned], folder)
    assert canned.started == 1
    assert again.runs == result.runs
    with pytest.raises(StandFailed, match="other settings"):
        compared([canned], folder, msgspec.structs.replace(TINY, runs=2))


def test_a_contestant_may_pick_its_own_port(tmp_path: Path) -> None:
    port, listing = free_port(), tmp_path / "address"

    class Picking(Canned):
        def start(self, _: Cache, place: Place) -> Start:
            listing.write_text(f"http://127.0.0.1:{port}/v1")
            command = python_command("router.loadtest.responder", "--port", str(port))
            target = Target("127.0.0.1", 0, "/v1", "key", "named", headers=(("a", "b"),))
            return Start(command, target, listing=listing)

    cores = Layout.of({0}).load
    with (
        serving_upstream(tmp_path, tls=False) as upstream,
        standing(Picking(), Cache(tmp_path), upstream, tmp_path / "its", cores=cores) as it,
    ):
        assert it.target == Target("127.0.0.1", port, "/v1", "key", "named", headers=(("a", "b"),))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made by openssl")
def test_the_upstream_over_tls_can_be_trusted_by_its_certificate(tmp_path: Path) -> None:
    with serving_upstream(tmp_path, tls=True) as upstream:
        assert upstream.target.tls
        context = ssl.create_default_context(cafile=str(upstream.certificate))
        asking = "import http.client"
        assert asking
        import http.client

        connection = http.client.HTTPSConnection(
            upstream.target.host, upstream.target.port, context=context, timeout=10.0
        )
        connection.request("GET", "/v1/models")
        assert connection.getresponse().status == 200
        connection.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_ours_has_prices_limits_and_a_prepaid_caller(tmp_path: Path, workers: int) -> None:
    start = Ours(workers=workers).start(Cache(tmp_path), place(tmp_path))
    config = load_config(tmp_path / "syze.toml", {})
    assert (config.server.workers, config.server.bind) == (workers, ["127.0.0.1:8123"])
    assert config.providers["mock"].base_url == "http://127.0.0.1:4711/v1"
    assert set(config.money.prices) == {"mock/canned"}
    assert start.target.key.startswith("sk-syze-")
    assert start.environment == {}


def test_ours_trusts_an_upstream_over_tls(tmp_path: Path) -> None:
    start = Ours().start(Cache(tmp_path), place(tmp_path, tls=True))
    assert start.environment == {"SSL_CERT_FILE": str(tmp_path / "certificate.pem")}
    assert "https://127.0.0.1:4711/v1" in (tmp_path / "syze.toml").read_text()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """A cache in which every package is there: its Python tells any version."""
    for name in ("envoy", "sglang-router", "vllm-router", "tensorzero", "litellm"):
        python = tmp_path / name / "venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text("#!/bin/sh\necho 9.9\n")
        python.chmod(0o755)
    home = tmp_path / "portkey" / "node_modules" / "@portkey-ai" / "gateway"
    home.mkdir(parents=True)
    (home / "package.json").write_text('{"version": "9.9"}')
    return Cache(tmp_path, offline=True)


@pytest.mark.parametrize(
    "name", ["envoy", "sglang-router", "vllm-router", "tensorzero", "litellm", "portkey"]
)
def test_each_peer_is_started_before_the_upstream(name: str, cache: Cache, tmp_path: Path) -> None:
    [peer] = [entry.contestant for entry in entries() if entry.name == name]
    folder = tmp_path / "its"
    folder.mkdir()
    start = peer.start(cache, place(folder))
    assert peer.install(cache) == "9.9"
    told = " ".join([*start.command, *(str(header) for header in start.target.headers)])
    told += "".join(path.read_text() for path in folder.iterdir())
    assert "4711" in told
    assert "8123" in told or start.listing is not None
    for path in folder.glob("*.toml"):
        tomllib.loads(path.read_text())


def test_nothing_is_installed_when_that_is_forbidden(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "empty", offline=True)
    with pytest.raises(NotInstalled):
        cache.python_package("litellm", "litellm[proxy]")
    with pytest.raises(NotInstalled):
        cache.node_package("portkey", "@portkey-ai/gateway", overrides={})
    assert not (tmp_path / "empty").exists()


def test_an_installer_that_fails_is_told_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text("#!/bin/sh\necho no network\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(npm.parent), prepend=":")
    with pytest.raises(NotInstalled, match=r"install\.log"):
        Cache(tmp_path).node_package("portkey", "@portkey-ai/gateway", overrides={"a": "1"})
    assert "no network" in (tmp_path / "portkey" / "install.log").read_text()
    wanted = json.loads((tmp_path / "portkey" / "package.json").read_text())
    assert wanted["overrides"] == {"a": "1"}


def test_a_program_of_the_system_has_a_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = tmp_path / "proxy"
    proxy.write_text("#!/bin/sh\necho proxy version: proxy/1.22.1 >&2\n")
    proxy.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert program("proxy", version_flag="-v") == (str(proxy), "proxy/1.22.1")
    with pytest.raises(NotInstalled):
        program("no-such-program", version_flag="-v")


def test_the_cache_is_where_the_user_keeps_caches() -> None:
    assert default_cache({"XDG_CACHE_HOME": "/somewhere"}) == Path("/somewhere/syze-bench")
    assert default_cache({}).parts[-2:] == (".cache", "syze-bench")


def requests(cpu_us: float, connections: int = 64) -> Requests:
    return Requests(connections, cpu_us, 1000.0, 0, 0.5, 0.5, [cpu_us])


def streams(cpu_us: float, count: int = 100, *, lost: int = 0, first: float = 0.002) -> Streams:
    return Streams(
        streams=count,
        gap_ms=5,
        open=count - lost,
        lost=lost,
        told=[],
        cpu_us=cpu_us,
        per_second=200.0 * count,
        busy=0.5,
        load_busy=0.5,
        transit_p50=0.001,
        transit_p99=0.002,
        bytes_per_stream=20_480.0,
        probe=Probe(100, first, 2 * first, 0),
    )


def run(name: str, kind: str, number: int, *, request_us: float, event_us: float) -> Run:
    return Run(
        contestant=name,
        kind=kind,
        version="1.0",
        number=number,
        measured_at="2026-01-02T03:04:05+00:00",
        first_answer=0.5,
        idle_bytes=2**26,
        requests=[requests(request_us)],
        streams=[streams(event_us)],
    )


def comparison() -> Comparison:
    figures = {
        ("nginx", "relay"): (17.0, 12.0),
        ("syze", "gateway"): (100.0, 18.0),
        ("syze-tls", "gateway"): (110.0, 27.0),
        ("syze-2-workers", "gateway"): (105.0, 18.0),
    }
    direct = run("upstream alone", "upstream", 1, request_us=5.0, event_us=4.0)
    faster = msgspec.structs.replace(direct, streams=[streams(4.0, first=0.0005)])
    return Comparison(
        origin=Origin(
            "test",
            "2026-01-02T03:04:05+00:00",
            "Made up.",
            Machine("A CPU", 2, 2**34, "Linux 6", "CPython 3.11", {}, None, uncommitted=False),
        ),
        method=["With care."],
        settings=Settings(connections=(64,), streams=(100,), probed=(100,)),
        runs=[
            run(name, kind, number, request_us=request_us * share, event_us=event_us * share)
            for (name, kind), (request_us, event_us) in figures.items()
            for number, share in enumerate((1.0, 3.0, 0.9), 1)
        ],
        direct=[faster],
        missing=[Missing("litellm", "sold out")],
    )


def test_tables_have_the_medians_and_ours_first() -> None:
    result = comparison()
    assert names_of(result) == ["syze", "syze-2-workers", "syze-tls", "nginx"]
    asked, events, delays, kept, ratios, missing = compare_tables(result)
    assert asked[1] == ("syze", "1.0", "100", "0")
    assert events[-1] == ("nginx", "12.0", "0")
    assert delays[1] == ("syze", "1.50", "3.00", "1.00")
    assert kept[1] == ("syze", "64.0", "20.0", "0.50")
    assert ratios[1:] == [
        ("syze-tls: cost to syze", "1.10", "1.50"),
        ("2 workers: capacity to 1", "1.90", "2.00"),
    ]
    assert missing[1] == ("litellm", "sold out")


def test_goals_are_judged_by_the_medians_of_those_who_were_there() -> None:
    found = {check.name: (check.passed, check.detail) for check in goals(comparison())}
    assert found == {
        "an event at 100 streams, to nginx: at most 2": (True, "1.5"),
        "at most 33 KiB a stream": (True, "20.0 KiB"),
        "idle at most 70 MiB": (True, "64.0 MiB"),
        "first answer within 1 s": (True, "0.50 s"),
        "an event with the upstream behind TLS, to one without: at most 1.6": (True, "1.5"),
        "two workers do at least 1.85 of one": (True, "1.90"),
    }


def test_a_goal_that_is_missed_says_by_how_much() -> None:
    result = comparison()
    runs = [run("syze", "gateway", 1, request_us=1000.0, event_us=30.0)]
    runs += [run("tensorzero", "gateway", 1, request_us=200.0, event_us=34.0)]
    runs += [one for one in result.runs if one.contestant == "nginx"]
    missed = [
        (check.name, check.detail)
        for check in goals(msgspec.structs.replace(result, runs=runs))
        if not check.passed
    ]
    assert missed == [
        ("an event at 100 streams, to nginx: at most 2", "2.5"),
        ("a request at 64 connections, to tensorzero: at most 0.9", "5"),
        ("at 100 streams, p99: below every gateway", "3.0 ms beside 3.0 ms"),
    ]


def test_without_ours_there_are_no_goals() -> None:
    result = comparison()
    others = [one for one in result.runs if one.contestant == "nginx"]
    assert goals(msgspec.structs.replace(result, runs=others)) == []


def test_who_falls_behind_gets_a_star() -> None:
    result = comparison()
    slow = [msgspec.structs.replace(streams(9.0), per_second=15_000.0)]
    behind = [
        msgspec.structs.replace(one, streams=slow) if one.contestant == "nginx" else one
        for one in result.runs
    ]
    events = compare_tables(msgspec.structs.replace(result, runs=behind))[1]
    assert events[-1] == ("nginx", "9.0*", "0")
    assert events[1] == ("syze", "18.0", "0")


def test_a_comparison_is_kept_with_a_page(tmp_path: Path) -> None:
    result = comparison()
    path = save(result, tmp_path / "new")
    assert msgspec.json.decode(path.read_bytes(), type=Comparison) == result
    page = write_page(tmp_path / "new").read_text()
    assert "## test" in page
    assert "| syze | 18.0 | 0 |" in page
    assert "Made up." in page


@pytest.mark.parametrize(
    ("streams", "gap"), [(1, 5), (10, 5), (100, 5), (101, 10), (500, 50), (1000, 100), (5000, 500)]
)
def test_many_streams_share_a_rate_that_all_can_keep_up_with(streams: int, gap: int) -> None:
    assert Settings().gap_of(streams) == gap


def test_a_long_reason_for_being_left_out_is_told_by_its_end() -> None:
    told = Missing("litellm", "line one\n" * 100 + "Error: | no key")
    last = compare_tables(msgspec.structs.replace(comparison(), missing=[told]))[-1][1][1]
    assert last.startswith("... ")
    assert last.endswith("line one Error: / no key")
    assert len(last) < 200


def test_memory_is_not_divided_among_streams_that_never_began() -> None:
    result = comparison()
    few = [msgspec.structs.replace(streams(9.0), open=5, lost=95)]
    behind = [
        msgspec.structs.replace(one, streams=few) if one.contestant == "nginx" else one
        for one in result.runs
    ]
    kept = compare_tables(msgspec.structs.replace(result, runs=behind))[3]
    assert kept[-1] == ("nginx", "64.0", "-", "0.50")


def test_the_field_is_the_one_that_was_promised() -> None:
    field = {entry.name: entry for entry in entries()}
    assert set(field) == {
        *("syze", "syze-tls", "syze-2-workers", "nginx", "nginx-tls", "envoy", "sglang-router"),
        *("vllm-router", "tensorzero", "portkey", "litellm"),
    }
    assert field["syze"].streams == (MANY_STREAMS,)
    assert field["syze-tls"].settings(Settings()).streams == (100,)


def test_a_contestant_that_nobody_knows_is_a_wrong_command_line() -> None:
    result = CliRunner().invoke(main, ["compare", "--only", "bogus"])
    assert result.exit_code == 2
    assert "bogus" in result.stderr
