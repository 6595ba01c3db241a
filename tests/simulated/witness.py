"""Somebody who sees every reservation of a limiter, and adds up by himself what a minute held.

He knows no buckets: he remembers each admission with its moment, and what of it still counts.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from limiter.demand import WINDOW_SECONDS, Demand, Limits, Refusal, Reservation, Use
from limiter.local import LocalLimiter


class Admitted:
    """One reservation, passed on: what it took, and since its end what it was found to use.

    `surplus` is what it used beyond its reservation; that counts from its end on.
    """

    def __init__(self, within: Reservation, subjects: set[str], *, tokens: int, at: float) -> None:
        self._within = within
        self.subjects = subjects
        self.at = at
        self.requests = 1
        self.tokens = tokens
        self.surplus = 0
        self.ended_at: float | None = None

    @property
    def ended(self) -> bool:
        return self._within.ended

    @property
    def uses(self) -> Sequence[Use | None]:
        return self._within.uses

    def settle(self, *, tokens: int, now: float, owed: int = 0) -> None:
        self._within.settle(tokens=tokens, now=now, owed=owed)
        self.surplus = max(0, tokens - self.tokens)
        self.tokens = min(tokens, self.tokens)
        self.ended_at = now

    def release(self, *, now: float) -> None:
        self._within.release(now=now)
        self.requests = self.tokens = 0
        self.ended_at = now


class Sum(NamedTuple):
    """What was in use of a subject as another of its requests was admitted, that one included."""

    subject: str
    requests: int
    tokens: int
    in_flight: int


class Witness:
    """Watches a limiter from now on, and adds up the last minute at each admission."""

    def __init__(self, limiter: LocalLimiter) -> None:
        self.admitted: list[Admitted] = []
        self.sums: list[Sum] = []
        reserve = limiter.reserve

        def watched(
            demands: Sequence[Demand],
            *,
            tokens: int,
            credit: int = 0,
            calls: int = 1,
            now: float,
        ) -> Reservation | Refusal:
            outcome = reserve(demands, tokens=tokens, credit=credit, calls=calls, now=now)
            if isinstance(outcome, Refusal) or not calls:
                return outcome
            subjects = {demand.subject for demand in demands}
            self.admitted.append(Admitted(outcome, subjects, tokens=tokens, at=now))
            self.sums += [self._sum(subject, now) for subject in subjects]
            return self.admitted[-1]

        limiter.reserve = watched  # type: ignore[method-assign,assignment]

    def _sum(self, subject: str, now: float) -> Sum:
        ours = [one for one in self.admitted if subject in one.subjects]
        recent = [one for one in ours if one.at > now - WINDOW_SECONDS]
        debts = sum(
            one.surplus
            for one in ours
            if one.ended_at is not None and one.ended_at > now - WINDOW_SECONDS
        )
        return Sum(
            subject,
            requests=sum(one.requests for one in recent),
            tokens=sum(one.tokens for one in recent) + debts,
            in_flight=sum(one.ended_at is None for one in ours),
        )

    def assert_within(self, limits: Mapping[str, Limits]) -> None:
        """At no admission did the minute before it hold more than the limits of its subjects."""
        for subject, requests, tokens, in_flight in self.sums:
            limit = limits[subject]
            assert limit.requests is None or requests <= limit.requests, subject
            assert limit.tokens is None or tokens <= limit.tokens, subject
            assert limit.concurrency is None or in_flight <= limit.concurrency, subject
