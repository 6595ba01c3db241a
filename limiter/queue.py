"""Who waits for which limit, and who is next: the order in which requests try again, without the waiting.

Most requests that do not fit would fit in a moment. Each key has its own line, first come first served; only
the head of a line tries, and as long as somebody waits, a newcomer of the same key stands behind. Otherwise
a large request would starve, as small ones slip into every gap that it waits for. Keys never wait for
each other.

The head tries when its limit said that it would fit. It may fit earlier: calls end and give back what they
did not use. What ends in this process is told to the queue; what ends in another worker nobody tells, so
the head also looks after 50 ms, then less often, down to once in 250 ms.

The queue decides and a shell waits: it sleeps until `wake_at` of its ticket, and wakes the tickets that a
method hands back. `now` and all moments are seconds of one monotonic clock.
"""

from collections import OrderedDict
from math import inf
from typing import Final, Literal

import msgspec

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 0.25
_PAUSE_GROWTH: Final = 1.5
# A limit that says "now" and then refuses must not make its head try without end.
_SHORTEST_PAUSE: Final = 0.001


class Full(msgspec.Struct, frozen=True):
    """There is no place to wait: in the line of this key, or in all lines together."""

    scope: Literal["key", "all"]
    waiting: int


class Ticket:
    """A place in the line of a key; `try_at` is the moment of the next try, infinite behind the head."""

    __slots__ = ("deadline", "key", "pause", "try_at")

    def __init__(self, key: str, deadline: float) -> None:
        self.key = key
        self.deadline = deadline
        self.try_at = inf
        self.pause = _FIRST_PAUSE

    @property
    def wake_at(self) -> float:
        """When its holder has something to do if nobody wakes it before: to try, or to give up."""
        return min(self.try_at, self.deadline)


class WaitingLines:
    """The lines of all keys. Every method costs the same however many wait.

    `most_per_key` and `most_in_all` bound how many may wait. Raises ValueError if they are below 1.
    `count` is how many do wait.
    """

    def __init__(self, *, most_per_key: int = 100, most_in_all: int = 1_000) -> None:
        if min(most_per_key, most_in_all) < 1:
            raise ValueError("a line needs room for at least 1")
        self._most_per_key = most_per_key
        self._most_in_all = most_in_all
        # Ordered and keyed, so that leaving from the middle costs no search.
        self._lines: dict[str, OrderedDict[Ticket, None]] = {}
        self.count = 0

    def waiting(self, key: str) -> int:
        """Return how many of this key wait."""
        return len(self._lines.get(key, ()))

    def must_wait(self, key: str) -> bool:
        """Whether a newcomer of this key would overtake somebody if it tried at once."""
        return key in self._lines

    def enter(
        self, key: str, *, now: float, fits_after: float | None, deadline: float
    ) -> Ticket | Full:
        """Stand at the end of the line.

        `fits_after` are the seconds that the refusal told, `None` if it told none or nothing was tried.
        `deadline` is when the holder gives up; it must then leave, as in all other cases.
        """
        if self.count >= self._most_in_all:
            return Full("all", self.count)
        line = self._lines.get(key)
        if line is not None and len(line) >= self._most_per_key:
            return Full("key", len(line))
        ticket = Ticket(key, deadline)
        if line is None:
            line = self._lines[key] = OrderedDict()
            self.postponed(ticket, now=now, fits_after=fits_after)
        line[ticket] = None
        self.count += 1
        return ticket

    def is_head(self, ticket: Ticket) -> bool:
        """Whether it is the turn of this ticket, which still waits."""
        return self._head(ticket.key) is ticket

    def postponed(self, ticket: Ticket, *, now: float, fits_after: float | None) -> None:
        """The head was refused again: it keeps its place, and tries again after a pause."""
        pause = ticket.pause if fits_after is None else min(fits_after, ticket.pause)
        ticket.try_at = now + max(pause, _SHORTEST_PAUSE)
        ticket.pause = min(ticket.pause * _PAUSE_GROWTH, _LONGEST_PAUSE)

    def leave(self, ticket: Ticket, *, now: float) -> Ticket | None:
        """Give up the place, served or not; returns the new head, to be woken, as it may try at once.

        Raises KeyError if the ticket has left before.
        """
        was_head = self.is_head(ticket)
        line = self._lines[ticket.key]
        del line[ticket]
        self.count -= 1
        if not line:
            del self._lines[ticket.key]
        return self.ended(ticket.key, now=now) if was_head else None

    def ended(self, key: str, *, now: float) -> Ticket | None:
        """A call of this key has ended; returns the head, to be woken, as it may try at once."""
        head = self._head(key)
        if head is not None:
            head.try_at = now
        return head

    def _head(self, key: str) -> Ticket | None:
        line = self._lines.get(key)
        return next(iter(line)) if line else None
