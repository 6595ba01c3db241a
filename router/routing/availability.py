"""Whether something may be asked now, and if not, when.

Endpoints and keys are judged separately, because they fail separately: a rate limit belongs to the key, a
broken machine to the endpoint. A candidate needs both, so their two answers are joined into one, the worse.

The order of the standings matters. An *ejected* endpoint is one that we have lost faith in: we may be wrong,
so it is still asked when nothing else is left. A *parked* one asked us to stay away until a moment it named,
and a *dead* key was refused outright: these two are never asked, whatever else fails.
"""

from enum import IntEnum
from typing import Final

import msgspec


class Standing(IntEnum):
    """From good to bad."""

    USABLE = 0
    PROBE = 1  # one request may find out whether it is well again
    EJECTED = 2  # a last resort
    PARKED = 3
    DEAD = 4


class Availability(msgspec.Struct, frozen=True):
    """An answer at one moment.

    `share`, above 0 and at most 1, is the part of its usual traffic that a recovering endpoint takes.
    `until` is when it is worth asking again (monotonic seconds); it means nothing if it is usable now.
    """

    standing: Standing
    share: float = 1.0
    until: float = 0.0


# What nearly all are at nearly all times; joining it with itself makes nothing new.
USABLE: Final = Availability(Standing.USABLE)


def joined(one: Availability, other: Availability) -> Availability:
    """Return the availability of what needs both."""
    if one is USABLE and other is USABLE:
        return USABLE
    return Availability(
        max(one.standing, other.standing),
        min(one.share, other.share),
        max(one.until, other.until),
    )
