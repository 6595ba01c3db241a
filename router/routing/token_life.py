"""The life of a token that lasts for an hour: when it is used, when the next is fetched, and by how many.

By one. Whoever comes while a token is fetched uses the old one as long as that is good, and else waits for
the same answer. The next token is fetched some minutes before the old one ends, so that nobody has to wait
then, and a token service that is away for a moment goes unnoticed.
"""

from enum import Enum, auto
from typing import Final

REFRESH_SECONDS: Final = 300.0  # before a token's end the next is fetched
SPARE_SECONDS: Final = (
    10.0  # a request may be on its way so long; a token that ends sooner is of no use
)
PAUSE_SECONDS: Final = 10.0  # after a failure, while the old token is still good


class Step(Enum):
    """What somebody who needs a token does next."""

    USE = auto()  # the one that is there
    FETCH = auto()  # the next one, for everybody
    WAIT = auto()  # for the one that is being fetched


class TokenLife:
    """One account's token. Times are seconds by any clock that goes evenly."""

    def __init__(self) -> None:
        self._value = ""
        self._ends = 0.0
        self._known = False
        self._fetching = False
        self._not_before = 0.0

    @property
    def value(self) -> str:
        """The token, for whoever was told to use it."""
        return self._value

    def good(self, now: float) -> bool:
        """Tell whether the token that is there can go out now."""
        return self._known and now < self._ends - SPARE_SECONDS

    def next_step(self, now: float) -> Step:
        """Return what to do; whoever is told to fetch must say `fetched`, `failed` or `abandoned`."""
        if self.good(now) and (
            self._fetching or now < max(self._ends - REFRESH_SECONDS, self._not_before)
        ):
            return Step.USE
        if self._fetching:
            return Step.WAIT
        self._fetching = True
        return Step.FETCH

    def fetched(self, value: str, ends: float) -> None:
        """Take the next token, good until `ends`."""
        self._value, self._ends, self._known = value, ends, True
        self._fetching = False

    def failed(self, now: float) -> None:
        """Note that none was to be had."""
        self._fetching = False
        self._not_before = now + PAUSE_SECONDS

    def abandoned(self) -> None:
        """Note that whoever was fetching has left; the next one starts anew."""
        self._fetching = False

    def refused(self, value: str) -> None:
        """Forget a token that was refused, unless there is another by now."""
        if value == self._value:
            self._known = False
