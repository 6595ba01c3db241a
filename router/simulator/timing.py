"""When the tokens of one answer are due: the behaviour's orders, or draws from the profile.

All moments are seconds from the arrival of the request, so a schedule can be written down before
anything waits.
"""

import itertools
import random
from collections.abc import Iterator
from typing import Self

import msgspec

from router.simulator.behaviour import Behaviour
from router.simulator.latency import Latency
from router.simulator.profile import Profile


class Timing(msgspec.Struct, frozen=True):
    """The moments of one answer.

    The first token is due at `first`, the others follow by `gap`; `whole` is when an answer that
    is not streamed is ready, None for the moment its stream would have ended.
    """

    first: float
    gap: Latency
    whole: float | None
    rng: random.Random

    @classmethod
    def of(cls, profile: Profile, behaviour: Behaviour, rng: random.Random) -> Self:
        """Draw the moments; a pace ordered by the behaviour also decides over whole answers."""
        ordered = behaviour.ttft is not None or behaviour.gap is not None
        return cls(
            first=profile.ttft.draw(rng) if behaviour.ttft is None else behaviour.ttft,
            gap=profile.gap if behaviour.gap is None else Latency.fixed(behaviour.gap),
            whole=None if ordered or profile.whole is None else profile.whole.draw(rng),
            rng=rng,
        )

    def tokens(self) -> Iterator[float]:
        """The moments of the tokens, without end; the one after the last token ends the answer."""
        return (self.first + offset for offset in self.gap.offsets(self.rng))

    def ready(self, tokens: int) -> float:
        """The moment when an answer of so many tokens, given as a whole, is ready."""
        if self.whole is not None:
            return self.whole
        return next(itertools.islice(self.tokens(), tokens, None))
