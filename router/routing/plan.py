"""What the policy is asked and what it answers: snapshots in, a plan out.

The policy decides on frozen pictures of the candidates, so that a decision can be tested, repeated and
explained. A picture is out of date as soon as anybody waits: before the second attempt of a request begins,
ask its endpoint and key again whether they are available, or make another plan.
"""

from collections.abc import Iterator
from enum import Enum, auto
from typing import Generic, TypeVar

import msgspec

from router.routing.availability import Availability

C = TypeVar("C")


class CandidateView(msgspec.Struct, Generic[C], frozen=True, kw_only=True):
    """One candidate at one moment; `candidate` is whatever the caller knows it by.

    `tier`: 0 is asked first. `weight`: above 0, relative to the others of its tier. `latency`: expected
    seconds to the first token. `price`: lower is cheaper, in any unit that all candidates share;
    `throughput`: tokens a second; `None` where unknown. `place`: the fingerprint of its own name.
    """

    candidate: C
    tier: int
    availability: Availability
    weight: float = 1.0
    latency: float
    in_flight: int
    price: float | None = None
    throughput: float | None = None
    place: int = 0

    @property
    def cost(self) -> float:
        """The load that one more request would meet: seconds, times those who want them."""
        return self.latency * (self.in_flight + 1)


class Sort(Enum):
    """What counts within a tier."""

    LOAD = auto()
    PRICE = auto()
    LATENCY = auto()
    THROUGHPUT = auto()


class Preference(msgspec.Struct, frozen=True, kw_only=True):
    """What one request wants.

    `prefix`: the fingerprint of the prompt's beginning, where going to the same place as before saves
    money; it counts with `Sort.LOAD` only. `may_probe`: whether a failed probe could be made good by
    another attempt; if not, what is due for a probe is a last resort. `is_drawn`: the candidates come in an
    order that was drawn already.
    """

    sort: Sort = Sort.LOAD
    prefix: int | None = None
    may_probe: bool = True
    is_drawn: bool = False


class Later(msgspec.Struct, Generic[C], frozen=True):
    """A candidate that should not, or must not, be asked before `at` (monotonic seconds)."""

    candidate: C
    at: float


class Tier(msgspec.Struct, Generic[C], frozen=True, kw_only=True):
    """One tier's candidates. `usable`: best first. `last_resorts`: ejected, best first.

    `parked` must not be asked before their time, nor `dead` ones before theirs; soonest first.
    """

    level: int
    usable: tuple[C, ...]
    last_resorts: tuple[Later[C], ...]
    parked: tuple[Later[C], ...]
    dead: tuple[Later[C], ...]


class Plan(msgspec.Struct, Generic[C], frozen=True):
    """The tiers, from the first to the last."""

    tiers: tuple[Tier[C], ...]

    def attempts(self) -> Iterator[C]:
        """Yield who may be asked, in order: all that are usable, tier by tier, then the last resorts."""
        for tier in self.tiers:
            yield from tier.usable
        for tier in self.tiers:
            yield from (later.candidate for later in tier.last_resorts)
