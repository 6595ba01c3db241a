"""Who is told to come back when: refusals that do not send everybody back at the same moment.

When fifty requests are refused at once and all are told when the next of them would fit, all come back then,
and all but a few are refused again. So each refusal is a promise: what was promised before is taken as
spent, and the next one is told the moment at which there is room besides.

A promise occupies its amount from its moment on, for as long as an admitted request would, and for
`late_seconds` more, because clients come a little late. Moments never run backwards: a later refusal is
never told an earlier moment than a promise that still stands. So promises stay true when others are made,
and it does not matter who of them comes up to `late_seconds` late. What nobody came for is dropped that
long after its moment; who did come is in the window by then.

Beyond a horizon nothing is promised and its end is told instead: clients who ask again and again without
waiting each leave promises behind, and must not push everybody else's moment away without end.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import msgspec

from limiter.demand import WINDOW_SECONDS, LimitKind
from limiter.recent import Recent

Coming = Sequence[
    tuple[float, int]
]  # seconds from now, in order, and the amount that comes free then

_STEPS: Final = 60


class Shortage(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that a refused request must pass, whether or not it was the one in its way.

    `free` is what the limit leaves now, below 0 if it is overdrawn. `coming` says when its use expires.
    """

    subject: str
    kind: LimitKind
    asked: int
    free: int
    coming: Coming


class Promise:
    """A moment told, and the amounts set aside for it: none where it lay too far ahead to be kept."""

    __slots__ = ("_aside", "moment")

    def __init__(self, moment: float, aside: Sequence[tuple["_Line", int]] = ()) -> None:
        self.moment = moment
        self._aside = list(aside)
        for line, amount in self._aside:
            line.add(moment, amount)

    @property
    def kept(self) -> bool:
        """Whether later promises take it into account."""
        return bool(self._aside)

    def withdraw(self) -> None:
        """Whoever it was made to will not come for it: it was served earlier, or gave up. May be repeated."""
        while self._aside:
            line, amount = self._aside.pop()
            line.take_off(self.moment, amount)


class _Line:
    """What has been promised of one limit: amounts by moment, in the order of the moments."""

    __slots__ = ("promised", "total")

    def __init__(self) -> None:
        self.promised: OrderedDict[float, int] = OrderedDict()
        self.total = 0

    @property
    def last(self) -> float | None:
        return next(reversed(self.promised)) if self.promised else None

    def add(self, moment: float, amount: int) -> None:
        self.promised[moment] = self.promised.get(moment, 0) + amount
        self.total += amount

    def take_off(self, moment: float, amount: int) -> None:
        """Undo `add`, unless it was dropped since."""
        if moment in self.promised:
            self.total -= amount
            self.promised[moment] -= amount
            if not self.promised[moment]:
                del self.promised[moment]

    def drop_before(self, moment: float) -> None:
        while self.promised and next(iter(self.promised)) < moment:
            self.total -= self.promised.popitem(last=False)[1]


class Turns:
    """Hands out moments to come back at; `now` and the moments are seconds of one monotonic clock.

    `occupied_seconds`: how long an admitted request counts at most, a window and the width of its bucket.
    `horizon_seconds`: how far ahead promises go. At most `most_moments` are kept for each of at most
    `most_limits` limits.
    """

    def __init__(
        self,
        *,
        occupied_seconds: float = WINDOW_SECONDS + 1.0,
        late_seconds: float = 1.0,
        horizon_seconds: float = 300.0,
        most_limits: int = 10_000,
        most_moments: int = 500,
    ) -> None:
        if min(occupied_seconds, horizon_seconds) <= 0.0 or late_seconds < 0.0 or most_moments < 1:
            raise ValueError("promises need a length, a horizon and room")
        self._span = occupied_seconds + late_seconds
        self._late = late_seconds
        self._horizon = horizon_seconds
        self._most_moments = most_moments
        self._lines: Recent[tuple[str, LimitKind], _Line] = Recent(most_limits, lambda _: _Line())

    def promise(
        self, shortages: Sequence[Shortage], *, now: float, not_before: float = 0.0
    ) -> Promise:
        """Return at which moment a refused request would be admitted if all others come back as told.

        Give every limit that it must pass. An amount that never fits is told when all else has expired.
        Round the moment up, never down, to tell it.
        """
        lines = [self._line(shortage, now) for shortage in shortages]
        moment = max(now, not_before, *(line.last or now for line in lines))
        for line, shortage in zip(lines, shortages, strict=True):
            moment = max(moment, self._fits_at(line, shortage, start=moment, now=now))
        if moment > now + self._horizon:
            return Promise(now + self._horizon)
        if not all(self._has_room(line, moment) for line in lines):
            return Promise(moment)
        asked = (shortage.asked for shortage in shortages)
        return Promise(moment, list(zip(lines, asked, strict=True)))

    def _line(self, shortage: Shortage, now: float) -> _Line:
        line = self._lines.obtain((shortage.subject, shortage.kind))
        line.drop_before(now - self._late)
        return line

    def _has_room(self, line: _Line, moment: float) -> bool:
        return moment in line.promised or len(line.promised) < self._most_moments

    def _fits_at(self, line: _Line, shortage: Shortage, *, start: float, now: float) -> float:
        """Return the first moment from `start` on, which no promise is beyond, with room for the amount."""
        lacking = shortage.asked + line.total - shortage.free
        frees = [(now + after, amount) for after, amount in shortage.coming]
        frees += [(moment + self._span, amount) for moment, amount in line.promised.items()]
        fits = start
        for moment, amount in sorted(frees):
            if lacking <= 0:
                break
            lacking -= amount
            fits = max(fits, moment)
        return fits


def spread_evenly(used: int) -> Coming:
    """Return a schedule for use of which nothing but the amount is known: as if it had come in evenly."""
    whole, rest = divmod(max(used, 0), _STEPS)
    step = WINDOW_SECONDS / _STEPS
    # The remainder is put last: late is a wait, early another refusal.
    amounts = [whole + (index >= _STEPS - rest) for index in range(_STEPS)]
    return [(step * (index + 1), amount) for index, amount in enumerate(amounts) if amount]
