"""Crosscheck: whether the load generator says what an independent one says of the same server.

wrk, in C, has none of this project's code and none of its ideas of what to count. Both load one simulated
provider in turn, with the same request over as many connections in a closed loop, from the same core. The
provider has a core to itself and is what limits both, so its rate, its CPU time for an answer and the
time of a typical answer must come out the same.
"""

import os
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import trio

from bench.compare.cache import NotInstalled, program
from bench.cores import Layout, running_on
from bench.crosscheck_record import Crosscheck, CrosscheckSettings, Reading
from bench.machine import describe_machine
from bench.processes import Service, StandFailed, raise_file_limit
from bench.prose import paragraphs
from bench.record import Check, Origin
from bench.stand import serving_provider
from bench.work import MODEL
from router.loadtest.measure import cpu_seconds_of
from router.loadtest.plan import Plan
from router.loadtest.progress import Progress
from router.loadtest.pump import open_pump
from router.loadtest.run import Load
from router.loadtest.target import Target

_GRACE_SECONDS: Final = 30.0
_WARM_SECONDS: Final = 0.3
_PREFIX: Final = "crosscheck"
_SCRIPT: Final = """\
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer unused"
wrk.body = [==[{body}]==]
function done(summary, latency, requests)
  local wrong = summary.errors
  local failed = wrong.connect + wrong.read + wrong.write + wrong.status + wrong.timeout
  io.write(string.format("{prefix} %d %d %d %d %d\\n", summary.requests, summary.duration,
    failed, latency:percentile(50), latency:percentile(99)))
end
"""
_METHOD: Final = """
Both generators ask one simulated provider for answers of {tokens} tokens in one piece, over {connections}
kept connections in a closed loop, in turn, {rounds} times each, {seconds:g} s at a time. The provider has a
core to itself and is always busy, so its speed is what both see. It drifts with the machine's, so each
turn is compared with its neighbour, and the median of these ratios counts.

wrk runs with one thread. The provider's CPU time is that of its process by its own clock, over the whole of
a turn. Rate and times of ours are those of its measured window, after {warm:g} s of load.
"""


def measure_crosscheck(
    settings: CrosscheckSettings, *, name: str, note: str, progress: Progress
) -> Crosscheck:
    """Let both take their turns, and judge. Raises StandFailed when wrk is not there, or one fails."""
    try:
        wrk, version = program("wrk", version_flag="-v")
    except NotInstalled as error:
        raise StandFailed(str(error)) from error
    cores = os.sched_getaffinity(0)
    layout = Layout.of(cores)
    raise_file_limit(4 * settings.connections + 200)
    origin = Origin.now(name=name, note=note, machine=describe_machine(len(cores)))
    ours: list[Reading] = []
    theirs: list[Reading] = []
    with tempfile.TemporaryDirectory(prefix="syze-bench-") as folder, running_on(layout.load):
        serving = serving_provider(
            Path(folder), "--tokens", str(settings.tokens), cores=layout.gateway
        )
        with serving as (provider, target):
            for number in range(1, settings.rounds + 1):
                progress.show(f"round {number} of {settings.rounds}")
                ours.append(trio.run(_our_turn, target, provider, settings))
                theirs.append(_their_turn(wrk, target, provider, settings, Path(folder)))
    return Crosscheck(
        origin=origin,
        method=_method(settings),
        settings=settings,
        wrk=version,
        ours=ours,
        theirs=theirs,
        checks=list(judge(ours, theirs, settings)),
    )


def judge(
    ours: Sequence[Reading], theirs: Sequence[Reading], settings: CrosscheckSettings
) -> Iterator[Check]:
    """Say what was found, as checks. The slowest hundredth is told and does not decide."""
    failed = sum(one.failed for one in [*ours, *theirs])
    yield Check("every request was answered", failed == 0, f"{failed} failed")
    pairs = list(zip(ours, theirs, strict=True))
    for what, ratios, required in (
        ("answers a second", [a.per_second / b.per_second for a, b in pairs], True),
        ("median time of an answer", [a.p50 / b.p50 for a, b in pairs], True),
        ("server CPU of an answer", [a.cpu_us / b.cpu_us for a, b in pairs], True),
        ("99th percentile of an answer", [a.p99 / b.p99 for a, b in pairs], False),
    ):
        off = statistics.median(ratios) - 1
        yield Check(
            f"{what} within {settings.tolerance:.0%} of wrk's",
            abs(off) <= settings.tolerance,
            f"{off:+.1%}",
            required=required,
        )


async def _our_turn(target: Target, provider: Service, settings: CrosscheckSettings) -> Reading:
    async with open_pump() as pump:
        load = Load(
            _plan(settings), target, dial=pump.dialer(target), watched=None, show=lambda _: None
        )
        before = cpu_seconds_of([provider.pid])
        await load.play()
        spent = cpu_seconds_of([provider.pid]) - before
    first, last, tally = load.first, load.last, load.tally
    if first is None or last is None or not tally.good:
        raise StandFailed(f"the provider answered nothing: {tally.told}")
    return Reading(
        per_second=(last.answered - first.answered) / (last.at - first.at),
        p50=tally.latency.percentile(0.5),
        p99=tally.latency.percentile(0.99),
        cpu_us=1e6 * spent / tally.answered,
        failed=tally.problems.total(),
    )


def _their_turn(
    wrk: str, target: Target, provider: Service, settings: CrosscheckSettings, folder: Path
) -> Reading:
    script = folder / "wrk.lua"
    body = _plan(settings).request(target, 0).partition(b"\r\n\r\n")[2].decode()
    script.write_text(_SCRIPT.format(body=body, prefix=_PREFIX), encoding="utf-8")
    command = [wrk, "-t1", f"-c{settings.connections}", f"-d{settings.seconds:g}s"]
    url = f"http://{target.host}:{target.port}{target.prefix}/chat/completions"
    before = cpu_seconds_of([provider.pid])
    done = subprocess.run(
        [*command, "-s", str(script), url],
        capture_output=True,
        text=True,
        timeout=settings.seconds + _GRACE_SECONDS,
        check=False,
    )
    spent = cpu_seconds_of([provider.pid]) - before
    lines = [line for line in done.stdout.splitlines() if line.startswith(_PREFIX)]
    if not lines:
        raise StandFailed(f"wrk told nothing: {done.stdout}{done.stderr}")
    return reading_of(lines[0], spent)


def reading_of(line: str, cpu_seconds: float) -> Reading:
    """Read what wrk's script wrote: requests, microseconds, failures, and two percentiles in microseconds."""
    requests, duration_us, failed, p50_us, p99_us = map(int, line.split()[1:])
    return Reading(
        per_second=requests / duration_us * 1e6,
        p50=p50_us / 1e6,
        p99=p99_us / 1e6,
        cpu_us=1e6 * cpu_seconds / requests,
        failed=failed,
    )


def _plan(settings: CrosscheckSettings) -> Plan:
    return Plan(
        model=MODEL,
        streamed=False,
        connections=settings.connections,
        seconds=settings.seconds,
        warm=_WARM_SECONDS,
        max_tokens=None,
        timeout=_GRACE_SECONDS,
    )


def _method(settings: CrosscheckSettings) -> list[str]:
    text = _METHOD.format(
        tokens=settings.tokens,
        connections=settings.connections,
        rounds=settings.rounds,
        seconds=settings.seconds,
        warm=_WARM_SECONDS,
    )
    return paragraphs(text)
