"""Somebody who sees every reservation of a limiter, and adds up by himself what a minute held.

He knows no buckets: he remembers each admission with its moment, and what of it still counts.
"""

from collections.abc import Mapping, Sequence

from limiter.demand import WINDOW_SECONDS, Demand, Limits, Refusal
from limiter.local import LocalLimiter
from limiter.local_reservation import LocalReservation


class Admission:
    """One admitted request: what it reserved, and from its end on what it was found to use.

    `surplus` is what it used beyond its reservation, counted when it ended.
    """

    def __init__(self, subjects: Sequence[str], *, tokens: int, at: float) -> None:
        self.subjects = frozenset(subjects)
        self.at = at
        self.tokens = tokens
        self.requests = 1
        self.surplus = 0
        self.ended_at: float | None = None


class Witness:
    """Watches a limiter from now on, and judges each admission at its own moment."""

    def __init__(self, limiter: LocalLimiter) -> None:
        self.admitted: list[Admission] = []
        self._counts: list[tuple[str, int, int, int]] = []
        reserve = limiter.reserve

        def watched(
            demands: Sequence[Demand], *, tokens: int, credit: int = 0, now: float
        ) -> LocalReservation | Refusal:
            outcome = reserve(demands, tokens=tokens, credit=credit, now=now)
            if isinstance(outcome, LocalReservation):
                self._admit(outcome, [demand.subject for demand in demands], tokens, now)
            return outcome

        limiter.reserve = watched  # type: ignore[method-assign]

    def _admit(
        self, reservation: LocalReservation, subjects: Sequence[str], tokens: int, now: float
    ) -> None:
        admission = Admission(subjects, tokens=tokens, at=now)
        self.admitted.append(admission)
        for subject in subjects:
            self._count(subject, now)
        _watch_end(reservation, admission)

    def _count(self, subject: str, now: float) -> None:
        """Note what the minute up to `now` holds of a subject, all that runs included."""
        since = now - WINDOW_SECONDS
        ours = [one for one in self.admitted if subject in one.subjects]
        recent = [one for one in ours if one.at > since]
        debts = [one.surplus for one in ours if one.ended_at is not None and one.ended_at > since]
        in_flight = sum(one.ended_at is None for one in ours)
        tokens = sum(one.tokens for one in recent) + sum(debts)
        self._counts.append((subject, sum(one.requests for one in recent), tokens, in_flight))

    def assert_within(self, limits: Mapping[str, Limits]) -> None:
        """No minute that ended with an admission held more than its subject's limits."""
        for subject, requests, tokens, in_flight in self._counts:
            limit = limits[subject]
            assert limit.requests is None or requests <= limit.requests, subject
            assert limit.tokens is None or tokens <= limit.tokens, subject
            assert limit.concurrency is None or in_flight <= limit.concurrency, subject


def _watch_end(reservation: LocalReservation, admission: Admission) -> None:
    settle, release = reservation.settle, reservation.release
