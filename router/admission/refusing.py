"""Refusals: which limit was in the way, and when the same request will fit.

The moment told is a promise (`limiter.turns`): what was promised to others is taken as spent, so that those
who come back as they were told are not refused again.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from limiter.demand import Demand, LimitKind, Refusal, Standing
from limiter.turns import Shortage, Turns, spread_evenly
from router.errors import LimitExceeded

# Nobody knows when a running call will end; this is when it is worth asking again.
CALL_SECONDS: Final = 1.0

_WORDS: Final[dict[LimitKind, str]] = {
    "requests": "requests per min (RPM)",
    "tokens": "tokens per min (TPM)",
    "concurrency": "requests at the same time",
    "credit": "credit",
}


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """One limit that a request must pass, as it stands."""

    subject: str
    kind: LimitKind
    limit: int
    used: int
    asked: int

    @property
    def free(self) -> int:
        """What is left of the limit, below 0 where it is overdrawn."""
        return self.limit - self.used


Standings = Sequence[tuple[Demand, Standing]]


def refused(
    refusal: Refusal | None, standings: Standings, tokens: int, *, turns: Turns, now: float
) -> LimitExceeded:
    """Return the error for a request that was refused; `refusal` is `None` if its turn never came.

    `tokens`: what it would have reserved. `now`: seconds on the clock of `turns`.
    """
    windows = [window for pair in standings for window in _windows(*pair, tokens)]
    if refusal is None or refusal.kind in {"requests", "tokens"}:
        not_before = now + (refusal.fits_after or 0.0) if refusal is not None else now
        wait = _promised(windows, turns, now=now, not_before=not_before)
    else:
        wait = CALL_SECONDS
    named = _named(refusal, windows)
    return LimitExceeded(
        _told(named),
        limit=named.kind if named is not None else "requests",
        retry_after=wait,
    )


def _promised(windows: Sequence[Window], turns: Turns, *, now: float, not_before: float) -> float:
    if not windows:
        return max(CALL_SECONDS, not_before - now)
    shortages = [
        Shortage(
            subject=window.subject,
            kind=window.kind,
            asked=window.asked,
            free=window.free,
            coming=spread_evenly(window.used),
        )
        for window in windows
    ]
    return turns.promise(shortages, now=now, not_before=not_before).moment - now


def _windows(demand: Demand, standing: Standing, tokens: int) -> list[Window]:
    limits = demand.limits
    kinds: list[tuple[LimitKind, int | None, int, int]] = [
        ("requests", limits.requests, standing.used_requests, 1),
        ("tokens", limits.tokens, standing.used_tokens, tokens),
    ]
    return [
        Window(subject=demand.subject, kind=kind, limit=limit, used=used, asked=asked)
        for kind, limit, used, asked in kinds
        if limit is not None
    ]


def _named(refusal: Refusal | None, windows: Sequence[Window]) -> Refusal | Window | None:
    """Return which limit to name: the one that refused, else the one with the least room."""
    if refusal is not None:
        return refusal
    return min(windows, key=lambda window: window.free - window.asked, default=None)


def _told(named: Refusal | Window | None) -> str:
    if named is None:
        return "Too many requests of this key are waiting."
    scope = named.subject.partition(":")[0]
    return (
        f"Rate limit reached for this {scope} on {_WORDS[named.kind]}: "
        f"Limit {named.limit}, Used {named.used}, Requested {named.asked}."
    )
