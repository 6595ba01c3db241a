"""Stragglers: what hedging makes of the slowest hundredth, as ratios over real sockets.

Three gateways run side by side, over upstreams that are alike but for their stragglers: without any, with 3 %
that are ten times slower and no hedging, and with hedging as it is by default. The ratio of their 99th
percentiles needs no quiet machine, since all three have the same one. The same scenarios are played in
virtual time too: a run without stragglers whose median lies off its virtual twin was disturbed by something
else, and is played once more at the end.
"""

import os
import tomllib
from collections.abc import Iterator
from typing import Final

import msgspec

from bench.machine import describe_machine
from bench.method import stragglers_method
from bench.processes import raise_file_limit
from bench.race_record import Cell, Stragglers, StragglerSettings, Trio
from bench.races import play_in_virtual_time, play_over_sockets
from bench.record import Check, Origin
from router.loadtest.progress import Progress
from router.simulation.scenario import scenario_of

SHARE: Final = 0.03
FACTOR: Final = 10.0
# A shift of the times makes some stragglers so slow that `slow_first_token` asks a second one for them, as
# a retry and not as a hedge; for retries the budget has a burst of its own.
LENT: Final = 10
_OPEN_FILES: Final = 4000

_SCENARIO: Final = """
[traffic]
rate = {rate}
requests = {requests}
seed = {seed}

[race]
hedge = {hedge}

[[endpoint]]
name = "upstream"
count = 3
median = {median}
sigma = {sigma}
straggler_share = {share}
straggler_factor = {factor}
"""
_SHIFT: Final = """
[[shift]]
at = {at}
factor = {factor}
"""


class Kind(msgspec.Struct, frozen=True):
    """What the upstreams of a cell are like."""

    name: str
    sigma: float
    median: float = 0.3
    shift: float = 1.0
    attainable: bool = True


KINDS: Final = (
    Kind("sigma 0.2", 0.2, attainable=False),
    Kind("sigma 0.5", 0.5),
    Kind("sigma 0.7", 0.7),
    Kind("shift up", 0.5, shift=3.0),
    Kind("shift down", 0.5, median=0.9, shift=1 / 3),
)


def measure_stragglers(
    settings: StragglerSettings, *, name: str, note: str, progress: Progress
) -> Stragglers:
    """Play every kind of upstreams, and judge. Raises StandFailed, or ValueError if nothing was answered."""
    raise_file_limit(_OPEN_FILES)
    cores = os.sched_getaffinity(0)
    origin = Origin.now(name=name, note=note, machine=describe_machine(len(cores)))
    cells = {kind: _cell(kind, settings, progress) for kind in KINDS}
    for kind, cell in cells.items():
        if cell.median_off > settings.noise:
            again = msgspec.structs.replace(_cell(kind, settings, progress), again=True)
            cells[kind] = min(cell, again, key=lambda one: one.median_off)
    played = list(cells.values())
    return Stragglers(
        origin=origin,
        method=stragglers_method(settings, share=SHARE, factor=FACTOR),
        settings=settings,
        cells=played,
        checks=[check for cell in played for check in judge(cell, settings)],
    )


def scenarios_of(kind: Kind, settings: StragglerSettings) -> dict[str, str]:
    """Write the three scenarios of a cell, by the names of the runs."""
    return {
        "steady": _scenario(kind, settings, hedge=False, share=0.0),
        "unhedged": _scenario(kind, settings, hedge=False, share=SHARE),
        "hedged": _scenario(kind, settings, hedge=True, share=SHARE),
    }


def judge(cell: Cell, settings: StragglerSettings) -> Iterator[Check]:
    """Say what was found in one cell, as checks."""
    runs = (cell.sockets.steady, cell.sockets.unhedged, cell.sockets.hedged)
    hedged, limit = cell.sockets.hedged, settings.limit
    answered = sum(run.answered for run in runs)
    requests = sum(run.requests for run in runs)
    yield Check(
        f"{cell.name}: p99 with hedging at most {limit:g} times that without stragglers",
        cell.sockets.hedged_ratio <= limit,
        f"{cell.sockets.hedged_ratio:.2f}, in virtual time {cell.virtual.hedged_ratio:.2f}",
        required=cell.attainable,
    )
    yield Check(
        f"{cell.name}: at most {settings.budget:.0%} more upstream requests, and {LENT} retries",
        hedged.upstream_total <= (1 + settings.budget) * hedged.requests + LENT,
        f"{hedged.extra:+.2%}",
    )
    yield Check(
        f"{cell.name}: every request answered rightly",
        answered == requests,
        f"{answered:,} of {requests:,}",
    )
    yield Check(
        f"{cell.name}: the machine left the median alone",
        cell.median_off <= settings.noise,
        f"{cell.median_off:+.1%} of its virtual twin",
    )


def _cell(kind: Kind, settings: StragglerSettings, progress: Progress) -> Cell:
    written = scenarios_of(kind, settings)
    played = play_over_sockets(written, lambda text: progress.show(f"{kind.name}: {text}"))
    virtual = {}
    for name, text in written.items():
        progress.show(f"{kind.name}: the same in virtual time, {name}")
        scenario = scenario_of(tomllib.loads(text), source=kind.name)
        virtual[name] = play_in_virtual_time(scenario)
    return Cell(
        name=kind.name,
        median=kind.median,
        sigma=kind.sigma,
        shift=kind.shift,
        attainable=kind.attainable,
        sockets=Trio(**played.seen),
        virtual=Trio(**virtual),
        late=played.late,
        window=played.window,
        problems=played.problems,
    )


def _scenario(kind: Kind, settings: StragglerSettings, *, hedge: bool, share: float) -> str:
    shifts = kind.shift != 1.0
    requests = settings.requests * (2 if shifts else 1)
    written = _SCENARIO.format(
        rate=settings.rate,
        requests=requests,
        seed=settings.seed,
        hedge=str(hedge).lower(),
        median=kind.median,
        sigma=kind.sigma,
        share=share,
        factor=FACTOR,
    )
    if not shifts:
        return written
    return written + _SHIFT.format(at=requests / settings.rate / 2, factor=kind.shift)
