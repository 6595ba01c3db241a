"""Results of what a second worker is worth: as much as a second gateway, or less."""

import statistics

import msgspec

from bench.record import Check, Judged


class WorkersSettings(msgspec.Struct, frozen=True):
    """What `workers` was asked for: rounds, in each of which both forms have a window of so many seconds.

    `connections` is how many there are in all. `least` is what the workers have to do, as a multiple of one.
    """

    workers: int = 2
    connections: int = 64
    rounds: int = 16
    seconds: float = 3.0
    warm: float = 1.0
    tokens: int = 10
    least: float = 1.85


class Turn(msgspec.Struct, frozen=True):
    """One window: what a request cost in CPU microseconds, and how many were answered in a second."""

    cpu_us: float
    per_second: float


class Round(msgspec.Struct, frozen=True):
    """The same load on one gateway of many workers, and on as many gateways of one worker."""

    together: Turn
    apart: Turn


class Workers(Judged, frozen=True, tag="workers", tag_field="kind"):
    """What the workers of one gateway do beside what each would do alone."""

    settings: WorkersSettings
    rounds: list[Round]


def capacity(rounds: list[Round], workers: int) -> float:
    """Return what the workers do together, as a multiple of what one does: the median of the rounds."""
    return workers * statistics.median(one.apart.cpu_us / one.together.cpu_us for one in rounds)


def judge_workers(rounds: list[Round], settings: WorkersSettings) -> list[Check]:
    """Return the one check there is."""
    found = capacity(rounds, settings.workers)
    name = f"{settings.workers} workers do at least {settings.least:g} of one"
    return [Check(name, found >= settings.least, f"{found:.2f}")]
