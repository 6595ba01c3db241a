"""Refusals: which limits a request must pass, and how it is told which one was in its way."""

from collections.abc import Sequence
from math import floor
from typing import Final

from limiter.demand import Demand, LimitKind, Limits, Refusal
from limiter.turns import Coming, Shortage
from router.admission.engine import Schedule
from router.errors import CreditHeld, LimitExceeded
from router.ledger.money import format_usd

_WORDS: Final[dict[LimitKind, str]] = {
    "requests": "requests per min (RPM)",
    "tokens": "tokens per min (TPM)",
    "concurrency": "requests at the same time",
    "credit": "credit",
}


def shortages(schedules: Sequence[tuple[Demand, Schedule]], *, tokens: int) -> list[Shortage]:
    """Return each limit on requests and on tokens that a request of so many tokens must pass."""
    return [
        Shortage(
            subject=demand.subject,
            kind=kind,
            asked=asked,
            free=limit - _used(coming),
            coming=coming,
        )
        for demand, schedule in schedules
        for kind, limit, coming, asked in _windows(demand.limits, schedule, tokens)
        if limit is not None
    ]


def refused(
    refusal: Refusal | None, windows: Sequence[Shortage], *, seconds: float
) -> LimitExceeded | CreditHeld:
    """Return the error for a request that may come back after so many seconds.

    `windows` are the limits it must pass. Where no refusal names one, the one with the least room is named.
    """
    # Told to the millisecond, and never a hair early.
    told = (floor(max(0.0, seconds) * 1000) + 1) / 1000
    named = refusal or _tightest(windows)
    if named is None:
        said = "Too many requests of this key are waiting."
        return LimitExceeded(said, limit="requests", retry_after=told)
    if refusal is not None and refusal.kind == "credit":
        return CreditHeld(_said_of_credit(refusal), retry_after=told)
    return LimitExceeded(_said(named), limit=named.kind, retry_after=told)


def _said_of_credit(refusal: Refusal) -> str:
    free = max(0, refusal.limit - refusal.used)
    return (
        f"Insufficient credits at the moment: of ${format_usd(refusal.limit)}, running calls hold all but "
        f"${format_usd(free)}, and this request may cost ${format_usd(refusal.asked)}. "
        "What they hold comes back as they end."
    )


def _windows(
    limits: Limits, schedule: Schedule, tokens: int
) -> tuple[tuple[LimitKind, int | None, Coming, int], ...]:
    return (
        ("requests", limits.requests, schedule.requests, 1),
        ("tokens", limits.tokens, schedule.tokens, tokens),
    )


def _used(coming: Coming) -> int:
    return sum(amount for _, amount in coming)


def _tightest(windows: Sequence[Shortage]) -> Refusal | None:
    window = min(windows, key=lambda window: window.free - window.asked, default=None)
    if window is None:
        return None
    used = _used(window.coming)
    return Refusal(
        subject=window.subject,
        kind=window.kind,
        limit=window.free + used,
        used=used,
        asked=window.asked,
        fits_after=None,
    )


def _said(refusal: Refusal) -> str:
    scope = refusal.subject.partition(":")[0]
    return (
        f"Rate limit reached for this {scope} on {_WORDS[refusal.kind]}: "
        f"Limit {refusal.limit}, Used {refusal.used}, Requested {refusal.asked}."
    )
