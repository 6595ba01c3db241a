"""Agreement: whether `syze simulate` tells the truth about the gateway.

One small scenario is played over real sockets and in virtual time. An operator chooses a hedge policy by what
the simulation says, so its percentiles and its extra load have to be those of real processes. Chance differs
between two runs of either kind; several virtual ones show by how much.
"""

import os
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.machine import describe_machine
from bench.method import agreement_method
from bench.processes import raise_file_limit
from bench.race_record import Agreement, AgreementSettings, Compared, Seen
from bench.races import play_in_virtual_time, play_over_sockets
from bench.record import Check, Origin
from router.loadtest.progress import Progress
from router.simulation.scenario import Scenario, load_scenario

SCENARIO: Final = Path(__file__).resolve().parent / "scenarios" / "agreement.toml"
_OPEN_FILES: Final = 4000
_RUN: Final = "agreement"


def measure_agreement(
    path: Path, settings: AgreementSettings, *, name: str, note: str, progress: Progress
) -> Agreement:
    """Play a scenario both ways, and judge.

    Raises ConfigError for mistakes in it, StandFailed if it cannot be played over sockets or the processes
    do not come up, ValueError if nothing was answered.
    """
    scenario = load_scenario(path)
    written = path.read_text(encoding="utf-8")
    raise_file_limit(_OPEN_FILES)
    cores = os.sched_getaffinity(0)
    origin = Origin.now(name=name, note=note, machine=describe_machine(len(cores)))
    played = play_over_sockets({_RUN: written}, lambda text: progress.show(f"over sockets: {text}"))
    sockets = played.seen[_RUN]
    virtual = list(_virtual(scenario, settings, progress))
    compared = compare(sockets, virtual)
    return Agreement(
        origin=origin,
        method=agreement_method(settings),
        settings=settings,
        scenario=written,
        sockets=sockets,
        virtual=virtual,
        compared=compared,
        late=played.late,
        window=played.window,
        problems=played.problems,
        checks=list(judge(compared, settings, late=played.late)),
    )


def compare(sockets: Seen, virtual: Sequence[Seen]) -> list[Compared]:
    """Hold every figure of the run over sockets against the same one of the virtual runs."""
    wanted = _figures(sockets)
    others = [_figures(one) for one in virtual]
    compared = []
    for name, value in wanted.items():
        twins = [other.get(name, 0.0) for other in others]
        compared.append(
            Compared(name, value, statistics.median(twins), least=min(twins), greatest=max(twins))
        )
    return compared


def judge(
    compared: Sequence[Compared], settings: AgreementSettings, *, late: float
) -> Iterator[Check]:
    """Say what was found, as checks; `late` is the load's own 99th percentile of lateness in seconds.

    The split over endpoints follows from chance more than the rest.
    """
    yield Check(
        f"the machine let 99 in 100 requests begin within {1000 * settings.late:g} ms",
        late <= settings.late,
        f"{1000 * late:.1f} ms",
    )
    for one in compared:
        yield Check(
            f"{one.name} within {settings.tolerance:.0%}",
            abs(one.difference) <= settings.tolerance,
            f"{one.difference:+.1%}",
            required=not one.name.startswith(_OF_ENDPOINT),
        )


_OF_ENDPOINT: Final = "asked "


def _figures(seen: Seen) -> dict[str, float]:
    return {
        "p50": seen.p50,
        "p90": seen.p90,
        "p99": seen.p99,
        "answered": seen.answered,
        "upstream requests": seen.upstream_total,
        **{f"{_OF_ENDPOINT}{name}": count for name, count in seen.upstream_requests.items()},
    }


def _virtual(scenario: Scenario, settings: AgreementSettings, progress: Progress) -> Iterator[Seen]:
    for number in range(settings.virtual_runs):
        progress.show(f"in virtual time: run {number + 1} of {settings.virtual_runs}")
        yield play_in_virtual_time(scenario.with_seed(scenario.traffic.seed + number))
