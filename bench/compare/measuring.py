"""The comparison as a whole: every entry in turn, run after run, each result kept as soon as it is there.

All entries take their first turn before any takes its second, so that a slow minute of the machine falls on
one run of some, and the medians are of the others.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import trio

from bench.compare.cache import Cache, NotInstalled
from bench.compare.course import Course
from bench.compare.field import Entry
from bench.compare.method import compare_method
from bench.compare.record import Comparison, Missing, Run, Settings
from bench.compare.standing import standing
from bench.compare.upstream import Upstream, serving_upstream
from bench.cores import Layout, running_on
from bench.machine import describe_machine
from bench.processes import Service, StandFailed, raise_file_limit
from bench.record import Origin
from router.loadtest.measure import memory_of, process_tree
from router.loadtest.progress import Progress
from router.loadtest.target import Target

DIRECT: Final = "upstream alone"
_SHOWN: Final = 600
_Loaded = tuple[Target, Service, float]


def measure_comparison(  # noqa: PLR0913 - whatever a result tells of itself
    settings: Settings,
    field: list[Entry],
    *,
    cache: Cache,
    kept: Path,
    name: str,
    note: str,
    progress: Progress,
) -> Comparison:
    """Measure what is not yet in `kept`, a folder of a file for each run, and sum up what is.

    What cannot be installed or does not serve is left out, and listed. Raises StandFailed when the upstream
    does not come up.
    """
    kept.mkdir(parents=True, exist_ok=True)
    _check_same(kept, settings)
    cores = os.sched_getaffinity(0)
    layout = Layout.of(cores)
    raise_file_limit(3 * max(*settings.streams, *(n for one in field for n in one.streams)) + 400)
    origin = Origin.now(name=name, note=note, machine=describe_machine(len(cores)))
    missing = list(_installed(field, cache, progress))
    absent = {one.contestant for one in missing}
    stage = _Stage(settings, cache, layout, kept, progress)
    with running_on(layout.load):
        for number in range(1, settings.runs + 1):
            stage.direct(number)
            for entry in field:
                if entry.name not in absent and (failure := stage.turn(entry, number)) is not None:
                    missing.append(failure)
                    absent.add(entry.name)
    runs = list(_kept_runs(kept))
    return Comparison(
        origin=origin,
        method=compare_method(settings, layout),
        settings=settings,
        runs=[run for run in runs if run.contestant != DIRECT],
        direct=[run for run in runs if run.contestant == DIRECT],
        missing=missing,
    )


class _Stage(msgspec.Struct, frozen=True):
    """Where turns are taken."""

    settings: Settings
    cache: Cache
    layout: Layout
    kept: Path
    progress: Progress

    def direct(self, number: int) -> None:
        """Measure the upstream with nothing before it."""
        path = self.kept / f"direct-{number}.json"
        if path.exists():
            return
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="syze-bench-")))
            upstream = stack.enter_context(serving_upstream(folder, tls=False))
            loaded = (upstream.target, upstream.service, 0.0)
            who = (DIRECT, "upstream", "-")
            run = self._run(who, loaded, upstream, number, settings=self.settings)
        _write(path, run)

    def turn(self, entry: Entry, number: int) -> Missing | None:
        """Measure one entry once, unless that was done before; returns what kept it from serving."""
        path = self.kept / f"{entry.name}-{number}.json"
        if path.exists():
            return None
        folder = Path(tempfile.mkdtemp(prefix="syze-bench-"))
        try:
            run = self._measured(entry, number, folder)
        except (NotInstalled, StandFailed, OSError, ExceptionGroup) as error:
            if isinstance(error, ExceptionGroup) and error.split(OSError)[1] is not None:
                raise
            self.progress.show(f"{entry.name} is left out")
            return Missing(entry.name, f"run {number}: {str(error)[:_SHOWN]}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        _write(path, run)
        return None

    def _measured(self, entry: Entry, number: int, folder: Path) -> Run:
        version = entry.contestant.install(self.cache)
        cores = self.layout.gateway | self.layout.load if entry.spread else self.layout.gateway
        with ExitStack() as stack:
            upstream = stack.enter_context(serving_upstream(folder, tls=entry.tls))
            it = stack.enter_context(
                standing(entry.contestant, self.cache, upstream, folder / "its", cores=cores)
            )
            time.sleep(self.settings.settle)
            loaded = (it.target, it.service, it.first_answer)
            who = (entry.name, entry.contestant.kind, version)
            settings = entry.settings(self.settings)
            return self._run(who, loaded, upstream, number, settings=settings, more=entry.streams)

    def _run(
        self,
        who: tuple[str, str, str],
        loaded: _Loaded,
        upstream: Upstream,
        number: int,
        *,
        settings: Settings,
        more: Sequence[int] = (),
    ) -> Run:
        name, kind, version = who
        target, service, first_answer = loaded

        def show(text: str) -> None:
            self.progress.show(f"run {number} of {settings.runs}, {name}: {text}")

        idle = memory_of(process_tree(service.pid)).pss_bytes
        course = Course(target, service.pid, upstream.service.pid, settings, show)
        first = sorted(settings.streams, reverse=True)
        streams = [trio.run(course.streams, count) for count in first]
        requests = [trio.run(course.requests, count) for count in settings.connections]
        streams += [trio.run(course.streams, count) for count in more]
        return Run(
            contestant=name,
            kind=kind,
            version=version,
            number=number,
            measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
            first_answer=first_answer,
            idle_bytes=idle,
            requests=requests,
            streams=sorted(streams, key=lambda one: one.streams),
        )


def _installed(field: list[Entry], cache: Cache, progress: Progress) -> Iterator[Missing]:
    """Install everybody before anything is measured; yields those who cannot be had."""
    for entry in field:
        progress.show(f"installing {entry.name}")
        try:
            entry.contestant.install(cache)
        except NotInstalled as error:
            yield Missing(entry.name, str(error)[:_SHOWN])


def _check_same(kept: Path, settings: Settings) -> None:
    """Remember what the runs of a folder were asked for. Raises StandFailed when it was something else."""
    path = kept / "settings.json"
    if not path.exists():
        path.write_bytes(msgspec.json.encode(settings) + b"\n")
    elif msgspec.json.decode(path.read_bytes(), type=Settings) != settings:
        raise StandFailed(f"{kept} has runs with other settings: give another name, or remove it")


def _write(path: Path, run: Run) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")


def _kept_runs(kept: Path) -> Iterator[Run]:
    for path in sorted(kept.glob("*-*.json")):
        yield msgspec.json.decode(path.read_bytes(), type=Run)
