"""A figure learned from what was seen: it starts at a prior, follows what is new, and trusts nobody too much.

Upstreams report usage, and now and then one of them reports nonsense. Each observation is therefore held to a
sane range, and weighs no more than a sixteenth of everything before it: a single absurd one moves the
figure by a seventeenth of the range at most, and the next hundred sane ones wear it away.
The prior is just what was there first, and fades as everything does.
"""

from typing import Final

_KEPT: Final = 1.0 - 1.0 / 256.0
_LARGEST_SHARE: Final = 1.0 / 16.0


class LearnedMean:
    """The weighted mean of values between `least` and `most`, of the last few hundred above all.

    `value` is the mean as it is now.
    """

    __slots__ = ("_least", "_most", "_sum", "_weight", "value")

    def __init__(self, prior: float, *, prior_weight: float, least: float, most: float) -> None:
        if not (least <= prior <= most and prior_weight > 0.0):
            raise ValueError("a prior lies in its range and has a weight")
        self._least = least
        self._most = most
        self._weight = prior_weight
        self._sum = prior * prior_weight
        self.value = self._sum / self._weight

    def learn(self, value: float, weight: float) -> None:
        """Take in a value, any at all, that counts as much as `weight` (above 0) says, within bounds."""
        allowed = min(weight, self._weight * _LARGEST_SHARE)
        held = min(max(value, self._least), self._most)
        self._weight = self._weight * _KEPT + allowed
        self._sum = self._sum * _KEPT + held * allowed
        self.value = self._sum / self._weight
