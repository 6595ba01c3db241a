"""Endurance: many long streams at once, every one right, and a gateway that is afterwards what it was before.

What is compared afterwards is resident memory, and it has two honest starts. A fresh process has
never served anything; the first load makes any Python process larger for good (lazily built objects, free
lists, arenas that cannot be returned). A warmed one has seen the same number of streams once, and what it
gains from then on would be gained again every time: a leak. The warmed start decides, and the fresh
one is reported beside it.
"""

import os
import statistics
import time
from collections.abc import Sequence

import msgspec
import trio

from bench.cores import Layout, running_on
from bench.load import StreamOutcome, Tally, run_streams
from bench.machine import describe_machine
from bench.method import endurance_method
from bench.processes import Service, raise_file_limit
from bench.record import Check, Endurance, EnduranceSettings, Held, Origin, StreamTotals
from bench.stand import Stand, probe_of, stand
from bench.windows import GRACE_SECONDS, pause
from bench.work import stream_work
from router.loadtest.measure import (
    Memory,
    Window,
    between,
    descriptors_of,
    memory_of,
    process_tree,
)
from router.loadtest.progress import Progress
from router.loadtest.pump import STREAM_REST_SECONDS, open_pump

SHOWN_PROBLEMS = 20


class Round(msgspec.Struct):
    """One round of streams: how they went, their cost, and the most memory seen meanwhile."""

    totals: StreamTotals
    window: Window
    peak: Memory


class Course(msgspec.Struct):
    """The whole measurement in the order in which it happened."""

    fresh: Held
    warming: StreamTotals
    warmed: Held
    main: Round
    after: Held


def measure_endurance(
    settings: EnduranceSettings, *, name: str, note: str, progress: Progress
) -> Endurance:
    """Run it all and judge. Raises StandFailed when the processes do not come up."""
    cores = os.sched_getaffinity(0)
    layout = Layout.of(cores)
    raise_file_limit(4 * settings.streams + 200)
    origin = Origin.now(name=name, note=note, machine=describe_machine(len(cores)))
    with running_on(layout.load):
        with stand(layout) as standing:
            course = _course(standing, settings, progress)
        exit_code = standing.gateway.exit_code
    return Endurance(
        origin=origin,
        method=endurance_method(settings, layout),
        settings=settings,
        streams=course.main.totals,
        window=course.main.window,
        fresh=course.fresh,
        warmed=course.warmed,
        peak=course.main.peak,
        after=course.after,
        checks=judge(course, settings, exit_code),
    )


def judge(course: Course, settings: EnduranceSettings, exit_code: int | None) -> list[Check]:
    """Say what was found, as checks."""
    totals = course.main.totals
    asked = settings.streams
    return [
        Check(
            "every stream complete and byte-exact",
            totals.complete == asked,
            f"{totals.complete:,} of {asked:,}",
        ),
        Check("all streams open at once", totals.peak_open == asked, f"{totals.peak_open:,}"),
        Check(
            "the warm-up's streams too",
            course.warming.complete == asked,
            f"{course.warming.complete:,} of {asked:,}",
        ),
        _memory_check("warmed", course.warmed, course.after, settings, required=True),
        _memory_check("fresh", course.fresh, course.after, settings, required=False),
        Check(
            "no descriptors left open",
            course.after.descriptors <= course.warmed.descriptors,
            f"{course.fresh.descriptors} fresh, {course.warmed.descriptors} warmed, "
            f"{course.after.descriptors} after",
        ),
        Check("the gateway ended with status 0", exit_code == 0, str(exit_code)),
    ]


def total(outcomes: Sequence[StreamOutcome], tally: Tally) -> StreamTotals:
    """Sum up some streams; there has to be at least one."""
    seconds = [outcome.seconds for outcome in outcomes]
    problems = [
        f"stream {outcome.number}: {outcome.problem}"
        for outcome in outcomes
        if outcome.problem is not None
    ]
    return StreamTotals(
        asked=len(outcomes),
        complete=len(outcomes) - len(problems),
        peak_open=tally.peak_open,
        events=tally.events,
        shortest_seconds=min(seconds),
        median_seconds=statistics.median(seconds),
        longest_seconds=max(seconds),
        problems=problems[:SHOWN_PROBLEMS],
    )


def _course(standing: Stand, settings: EnduranceSettings, progress: Progress) -> Course:
    gateway = standing.gateway
    fresh = _held(gateway)
    warming = _round(standing, settings, settings.warm_up, progress, "warm-up")
    _settle(settings.settle, progress)
    warmed = _held(gateway)
    main = _round(standing, settings, settings.seconds, progress, "main round")
    _settle(settings.settle, progress)
    return Course(fresh, warming.totals, warmed, main, _held(gateway))


def _round(
    standing: Stand, settings: EnduranceSettings, seconds: float, progress: Progress, label: str
) -> Round:
    watch = _Watch(standing, progress, label)
    return trio.run(_run_round, standing, settings, seconds, watch)


class _Watch:
    """Looks at the gateway's memory every half second and says how far it is."""

    def __init__(self, standing: Stand, progress: Progress, label: str) -> None:
        self.tally = Tally()
        self.peak = Memory(0, 0)
        self._gateway = process_tree(standing.gateway.pid)
        self._progress = progress
        self._label = label

    def look(self) -> None:
        memory = memory_of(self._gateway)
        if memory.rss_bytes > self.peak.rss_bytes:
            self.peak = memory
        self._progress.show(
            f"{self._label}: {self.tally.open:,} streams open, {self.tally.completed:,} complete, "
            f"{self.tally.events:,} events, gateway {memory.rss_bytes / 2**20:.0f} MiB"
        )


async def _run_round(
    standing: Stand, settings: EnduranceSettings, seconds: float, watch: _Watch
) -> Round:
    target = standing.through
    tokens = max(1, round(seconds * settings.rate))
    works = [
        stream_work(target, number, tokens=tokens, gap=1 / settings.rate)
        for number in range(settings.streams)
    ]
    probe = probe_of(standing)
    limit = settings.spread + 2 * seconds + GRACE_SECONDS
    async with open_pump(rest=STREAM_REST_SECONDS) as pump, trio.open_nursery() as nursery:
        nursery.start_soon(pause, limit, watch.look)
        first = probe.read(0)
        outcomes = await run_streams(
            pump.dialer(target), works, watch.tally, spread=settings.spread, limit=limit
        )
        last = probe.read(watch.tally.events)
        nursery.cancel_scope.cancel()
    return Round(total(outcomes, watch.tally), between(first, last), watch.peak)


def _settle(seconds: float, progress: Progress) -> None:
    """Leave the gateway alone, saying so."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        progress.show(f"resting, {left:.0f} s to go")
        time.sleep(min(left, 1.0))


def _held(gateway: Service) -> Held:
    pids = process_tree(gateway.pid)
    return Held(memory_of(pids), descriptors_of(pids))


def _memory_check(
    start: str, before: Held, after: Held, settings: EnduranceSettings, *, required: bool
) -> Check:
    ratio = after.memory.rss_bytes / before.memory.rss_bytes
    return Check(
        f"memory within {settings.tolerance:.0%} of the {start} start",
        ratio <= 1 + settings.tolerance,
        f"{after.memory.rss_bytes / 2**20:.1f} MiB after, "
        f"{before.memory.rss_bytes / 2**20:.1f} MiB {start}: {ratio:.3f}",
        required=required,
    )
