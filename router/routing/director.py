"""What a race does next: a pure decider, asked again whenever something happened or a moment came.

The director knows the tiers of candidates in the policy's order, what runs, and what failed how. It answers
with one of three things: start this candidate, wait until then, or the race is lost. The nursery that carries
this out (`router.exchange.hedge`) knows none of the rules.

The rules, in the order in which they are tried when nothing runs: the next usable candidate of the tier; the
same one again where the failure table allows it and the tier has no other; a parked one whose time comes
within the tier's patience; the next tier; what is ejected, as a last resort. While an attempt runs, a second
one starts when the first has outlasted its hedge delay (another candidate of the same tier), or has not
begun to answer for so long that the next tier should be asked as well. If that one fails, the next follows.

Every attempt but the first is paid from one budget, so added load is bounded whatever the rules say.
"""

from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from random import Random
from typing import Final, Generic, TypeVar

import msgspec

from router.errors import GatewayError
from router.routing.availability import Standing
from router.routing.backoff import backoff
from router.routing.opening import Asked, RaceLimits, opener
from router.routing.reaction import NextCandidate, Reaction, SameKey, reaction_to
from router.routing.reaction import Wait as RowWait

_NEVER: Final = float("inf")


C = TypeVar("C", bound=Asked)


class Start(msgspec.Struct, Generic[C], frozen=True):
    """Start an attempt. `hedge`: another one is running. `alone`: nobody will be asked while it runs."""

    candidate: C
    hedge: bool
    alone: bool = False


class Wait(msgspec.Struct, frozen=True):
    """Ask again at `until`, or when an attempt has ended."""

    until: float


class Lost(msgspec.Struct, frozen=True):
    """Nobody is left to ask. `fatal`: the failure that ended the race by itself, if one did."""

    fatal: GatewayError | None = None


class _Running(msgspec.Struct, Generic[C]):
    candidate: C
    level: int
    hedge_at: float
    slow_at: float
    has_asked_below: bool = False


class _Again(msgspec.Struct, Generic[C], frozen=True):
    """A candidate that may be asked a second time, at `at`."""

    candidate: C
    at: float


class Director(Generic[C]):
    """Decides one race. Synchronous; `now` is monotonic and never goes back.

    `tiers`: the candidates of each tier, best first. Where that is only who begins, there are others, and
    `rest(now)` gives all tiers once somebody is to join or to follow. `may_spend(now)`: whether the budget
    grants one more attempt (asked only for attempts beyond the first, and granted ones are used at once);
    `may_hedge()`: the same for an attempt that no failure calls for.
    """

    __slots__ = (
        "_again",
        "_busy_since",
        "_fatal",
        "_fatal_alone",
        "_hedged",
        "_is_anybody_left",
        "_level",
        "_levels",
        "_limits",
        "_may_hedge",
        "_may_spend",
        "_quickly_retried",
        "_rest",
        "_rng",
        "_running",
        "_tiers",
        "_untried",
        "_waiting_since",
        "attempts",
        "failures",
    )

    def __init__(  # noqa: PLR0913 - all that one race is decided with comes in here
        self,
        tiers: Sequence[Sequence[C]],
        *,
        rest: Callable[[float], Sequence[Sequence[C]]] | None = None,
        limits: RaceLimits,
        may_spend: Callable[[float], bool],
        may_hedge: Callable[[], bool],
        rng: Random,
        now: float,
    ) -> None:
        self._tiers = tiers
        self._untried = [list(tier) for tier in tiers]
        self._rest = rest
        self._is_anybody_left = True  # who has not been tried, and may join a running attempt
        self._levels: dict[C, int] = {}  # of those that were tried
        self._limits = limits
        self._may_spend = may_spend
        self._may_hedge = may_hedge
        self._rng = rng
        self._level = 0
        self._waiting_since = now  # moved on by the time in which attempts ran
        self._busy_since = now
        self._running: dict[object, _Running[C]] = {}
        self._again: list[_Again[C]] = []
        self._quickly_retried = False
        self._hedged = False
        self._fatal: GatewayError | None = None
        self._fatal_alone: GatewayError | None = None
        self.attempts = 0
        self.failures: list[tuple[C, GatewayError]] = []

    @property
    def is_open(self) -> bool:
        """Whether an attempt runs whose end is still of interest: no failure has ended the race by itself."""
        return bool(self._running) and self._fatal is None

    def next(self, now: float) -> Start[C] | Wait | Lost:
        """Return what to do now. A `Start` must be carried out, and its end reported."""
        if self._fatal is not None:
            return Lost(self._fatal)
        if self._running:
            return self._beside_running(now)
        if not self.attempts and (best := opener(self._untried, now)) is not None:
            self._take(best)
            return Start(best, hedge=False, alone=not self._is_anybody_left)
        return self._from_nothing(now)

    def started(self, attempt: object, candidate: C, now: float) -> float:
        """Note that an attempt has begun; `attempt` is whatever tells it from the others.

        Return when to ask what to do beside it, if it runs alone so far.
        """
        hedge_at = self._hedge_at(candidate, now)
        return min(hedge_at, self._note_start(attempt, candidate, hedge_at=hedge_at, now=now))

    def opened(self, attempt: object, candidate: C, *, hedge_at: float, now: float) -> None:
        """Note that the race has been opened, at `now`, before anything had to be decided (see `opener`).

        `hedge_at` is what `RaceLimits.hedge_at` said then.
        """
        self._take(candidate)
        self._note_start(attempt, candidate, hedge_at=hedge_at, now=now)

    def timed_from(self, attempt: object, moment: float | None) -> None:
        """Note from when on an attempt is timed; `None`: it waits for what is not its candidate's doing.

        Meanwhile no hedge joins it, for that would wait for the same; the next tier still may.
        """
        running = self._running[attempt]
        if moment is None:
            running.hedge_at = _NEVER
        else:
            running.hedge_at = self._hedge_at(running.candidate, moment)
            running.slow_at = moment + self._limits.slow

    def failed(
        self, attempt: object, error: GatewayError, *, now: float, retry_after: float | None
    ) -> None:
        """Note that an attempt has failed; `retry_after` is what the provider said, in seconds."""
        candidate = self._end(attempt, now)
        self.failures.append((candidate, error))
        reaction = reaction_to(error, retry_after=retry_after)
        if reaction.next_candidate is NextCandidate.OPENS_URLS and self._running:
            self._fatal_alone = error  # whoever still runs may have opened it, or will say so too
            return
        if reaction.next_candidate is not NextCandidate.AT_ONCE:
            self._fatal = error
            return
        match reaction.same_key:
            case SameKey.AFTER_RETRY_AFTER | SameKey.AFTER_BACKOFF:
                self._again.append(_Again(candidate, now))  # its key is parked: that says when
            case SameKey.ONCE_IF_ALONE if not self._quickly_retried and self._is_alone(now):
                self._quickly_retried = True
                self._again.append(_Again(candidate, now + self._wait(reaction, retry_after)))
            case _:
                pass

    def soonest(self, now: float) -> float | None:
        """Return when the first of all candidates may be asked again; `None` if that is now or unknown."""
        self._learn_of_all(now)
        times = [
            availability.until
            for tier in self._tiers
            for availability in (candidate.availability(now) for candidate in tier)
            if availability.standing > Standing.PROBE and availability.until > now
        ]
        return min(times, default=None)

    def _end(self, attempt: object, now: float) -> C:
        """Note that an attempt runs no more. Those that are late beside it may be joined by another."""
        ended = self._running.pop(attempt)
        self._hedged = False
        for running in self._running.values():
            running.has_asked_below = False
        if not self._running:
            self._waiting_since += now - max(self._busy_since, self._waiting_since)
        return ended.candidate

    def _note_start(self, attempt: object, candidate: C, *, hedge_at: float, now: float) -> float:
        """Enter an attempt; return when it is slow."""
        self.attempts += 1
        if not self._running:
            self._busy_since = now
        slow_at = now + self._limits.slow
        self._running[attempt] = _Running(candidate, self._levels[candidate], hedge_at, slow_at)
        return slow_at

    def _hedge_at(self, candidate: C, now: float) -> float:
        return self._limits.hedge_at(candidate, now, may_be_joined=self._is_anybody_left)

    def _wait(self, reaction: Reaction, retry_after: float | None) -> float:
        if reaction.wait is RowWait.NONE:
            return 0.0
        return max(backoff(0, self._rng), retry_after or 0.0)

    # --- while nothing runs ---------------------------------------------------------------------

    def _from_nothing(self, now: float) -> Start[C] | Wait | Lost:
        if self._fatal_alone is not None:
            return Lost(self._fatal_alone)
        if self.attempts >= self._limits.max_attempts:
            return Lost()
        while self._level < len(self._tiers):
            action = self._in_tier(now)
            if action is not None:
                return action
            self._level += 1
            self._waiting_since = now
            self._again.clear()
        candidate = self._last_resort(now)
        return self._start(candidate, now) if candidate is not None else Lost()

    def _in_tier(self, now: float) -> Start[C] | Wait | Lost | None:
        for level in range(self._level + 1):  # one further up may have become usable meanwhile
            candidate = self._usable(level, now)
            if candidate is not None:
                return self._start(candidate, now)
        soonest = min(self._opening(now), key=lambda again: again.at, default=None)
        if soonest is None or soonest.at > self._waiting_since + self._limits.patience:
            return None
        if soonest.at > now:
            return Wait(soonest.at)
        candidate = soonest.candidate
        self._again = [again for again in self._again if again.candidate is not candidate]
        return self._start(candidate, now)

    def _opening(self, now: float) -> list[_Again[C]]:
        """Return who may be asked again in this tier, or for the first time later, and when."""
        waiting = [*self._again, *(_Again(one, now) for one in self._untried[self._level])]
        standings = ((again, again.candidate.availability(now)) for again in waiting)
        return [
            _Again(again.candidate, max(again.at, availability.until))
            if availability.standing is Standing.PARKED
            else again
            for again, availability in standings
            if availability.standing not in {Standing.EJECTED, Standing.DEAD}
        ]

    def _usable(self, level: int, now: float) -> C | None:
        """Return the best untried candidate of a tier that may be asked now."""
        for candidate in self._untried[level]:
            if candidate.availability(now).standing <= Standing.PROBE:
                return candidate
        if self._rest is None:
            return None
        self._learn_of_all(now)
        return self._usable(level, now)

    def _learn_of_all(self, now: float) -> None:
        """Learn of all tiers, where only who begins is known. It stands in the first of them."""
        if self._rest is None:
            return
        (head,) = self._tiers
        first, *below = self._rest(now)
        self._rest = None
        self._tiers = [[*head, *(one for one in first if one not in head)], *below]
        self._untried = [[one for one in tier if one not in self._levels] for tier in self._tiers]
        self._is_anybody_left = any(self._untried)

    def _last_resort(self, now: float) -> C | None:
        """Return who is left, though ejected; rather one who has become usable since its tier was left."""
        left = [
            (candidate.availability(now).standing, candidate)
            for untried in self._untried
            for candidate in untried
        ]
        standing, candidate = min(left, key=itemgetter(0), default=(Standing.DEAD, None))
        return candidate if standing <= Standing.EJECTED else None

    def _start(self, candidate: C, now: float) -> Start[C] | Lost:
        if self.attempts and not self._is_granted(now):
            return Lost()
        self._take(candidate)
        return Start(candidate, hedge=False, alone=not self._is_anybody_left)

    def _take(self, candidate: C) -> None:
        for level, untried in enumerate(self._untried):
            if candidate in untried:
                untried.remove(candidate)
                self._levels[candidate] = level
        self._is_anybody_left = self._rest is not None or any(self._untried)

    def _is_granted(self, now: float) -> bool:
        """Whether another attempt may be made after the first."""
        return self.attempts < self._limits.max_attempts and self._may_spend(now)

    # --- beside a running attempt ---------------------------------------------------------------

    def _beside_running(self, now: float) -> Start[C] | Wait:
        wake = _NEVER
        for running in self._running.values():
            if running.slow_at <= now and not running.has_asked_below:
                running.has_asked_below = self._hedged = True
                if (other := self._below(running.level, now)) is not None:
                    return other
            if running.hedge_at <= now and not self._hedged:
                self._hedged = True  # one hedge at a time: two would be three times the load
                if (hedge := self._second(running.level, now, granted=self._may_hedge)) is not None:
                    return hedge
            if now < running.slow_at < wake:
                wake = running.slow_at
            if now < running.hedge_at < wake and not self._hedged:
                wake = running.hedge_at
        return Wait(wake)

    def _second(self, level: int, now: float, *, granted: Callable[[], bool]) -> Start[C] | None:
        candidate = self._usable(level, now)
        if candidate is None or self.attempts >= self._limits.max_attempts or not granted():
            return None
        self._take(candidate)
        return Start(candidate, hedge=True)

    def _below(self, level: int, now: float) -> Start[C] | None:
        """Ask who is next, here or further down, because the running attempt is slow."""
        self._learn_of_all(now)
        for lower in range(level, len(self._tiers)):
            start = self._second(lower, now, granted=partial(self._may_spend, now))
            if start is not None:
                if lower > self._level:
                    self._level, self._waiting_since = lower, now
                return start
        return None

    def _is_alone(self, now: float) -> bool:
        """Whether the candidate that has just failed leaves nobody else to ask in its tier."""
        if self._running or self._level >= len(self._tiers):  # a last resort gets no second chance
            return False
        return self._usable(self._level, now) is None
