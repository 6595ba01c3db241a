"""How long things take at a simulated provider: a median, a spread and, if wanted, stragglers.

Measured times to first token lean to the right: most are near the median, a few are far above it.
A lognormal distribution has that shape with two numbers. The rare request that lands on a sick
machine is not the tail of that curve but another population, so it is a share of draws multiplied
by a factor.
"""

import itertools
import math
import random
from collections.abc import Iterator
from typing import Annotated, Self

import msgspec

NonNegative = Annotated[float, msgspec.Meta(ge=0.0)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


class Latency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A distribution of durations in seconds.

    `sigma` is the standard deviation of the logarithm; 0 makes every draw the median. A share
    `straggler_share` of the draws is multiplied by `straggler_factor`.
    """

    median: NonNegative = 0.0
    sigma: NonNegative = 0.0
    straggler_share: Share = 0.0
    straggler_factor: NonNegative = 10.0

    @classmethod
    def fixed(cls, seconds: float) -> Self:
        """Every draw is `seconds`."""
        return cls(median=seconds)

    @classmethod
    def lognormal(
        cls,
        median: float,
        sigma: float,
        *,
        straggler_share: float = 0.0,
        straggler_factor: float = 10.0,
    ) -> Self:
        """Draws spread around `median` seconds by `sigma`, with stragglers if given."""
        return cls(median, sigma, straggler_share, straggler_factor)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `median[:sigma[:share[:factor]]]`, the form of the command line.

        Raises ValueError when a part is not a finite number, is out of its range, or there are
        more than four.
        """
        parts = [float(part) for part in text.split(":")]
        if len(parts) > len(cls.__struct_fields__) or not all(map(math.isfinite, parts)):
            raise ValueError("expected median[:sigma[:straggler share[:straggler factor]]]")
        named = dict(zip(cls.__struct_fields__, parts, strict=False))
        try:
            return msgspec.convert(named, cls)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error

    @property
    def is_fixed(self) -> bool:
        """Whether every draw is the same, so that sums can be exact products."""
        return self.sigma == 0.0 and self.straggler_share == 0.0

    def draw(self, rng: random.Random) -> float:
        """One duration in seconds."""
        seconds = self.median
        if self.sigma:
            seconds *= rng.lognormvariate(0.0, self.sigma)
        if self.straggler_share and rng.random() < self.straggler_share:
            seconds *= self.straggler_factor
        return seconds

    def offsets(self, rng: random.Random) -> Iterator[float]:
        """Seconds from the first moment of a series to each: 0, then sums of draws.

        They are absolute on purpose: who sleeps until `start + offset` is not stretched by load,
        while sleeping for one gap after the other adds every delay of the machine to the stream.
        """
        if self.is_fixed:
            return (count * self.median for count in itertools.count())
        draws = (self.draw(rng) for _ in itertools.count())
        return itertools.accumulate(draws, initial=0.0)
