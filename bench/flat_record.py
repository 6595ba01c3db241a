"""Results of whether a request costs the same however many candidates and API keys there are."""

import statistics

import msgspec

from bench.record import Check, Judged

PLAIN = "one of each"


class FlatSettings(msgspec.Struct, frozen=True):
    """What `flat` was asked for: rounds, in each of which every gateway has a window of so many seconds.

    `candidates` and `keys` are the many that are compared with one; `allowed` is what a request may cost
    more with them, as a share.
    """

    candidates: int = 500
    keys: int = 100_000
    connections: int = 64
    rounds: int = 12
    seconds: float = 3.0
    warm: float = 1.0
    tokens: int = 10
    allowed: float = 0.10


class Level(msgspec.Struct, frozen=True):
    """One gateway: how many candidates and keys it has, and a request's CPU microseconds, round by round."""

    name: str
    candidates: int
    keys: int
    cpu_us: list[float]

    def ratio_to(self, plain: "Level") -> float:
        """Return the median, over the rounds, of what a request cost here as a multiple of there."""
        pairs = zip(self.cpu_us, plain.cpu_us, strict=True)
        return statistics.median(many / one for many, one in pairs)


class Flat(Judged, frozen=True, tag="flat", tag_field="kind"):
    """What a request costs at each gateway; the first of `levels` has one of each."""

    settings: FlatSettings
    levels: list[Level]


def judge_flat(levels: list[Level], settings: FlatSettings) -> list[Check]:
    """Return a check for each gateway that has many of something."""
    plain, *others = levels
    return [
        Check(
            f"{level.name} cost at most {settings.allowed:.0%} more than {PLAIN}",
            level.ratio_to(plain) <= 1.0 + settings.allowed,
            f"{level.ratio_to(plain):.3f}",
        )
        for level in others
    ]
