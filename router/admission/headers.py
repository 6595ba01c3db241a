"""The `x-ratelimit-*` headers: what the caller may use in a minute, what is left, and when it is all back.

The form is OpenAI's: durations as `1m0s` or `20ms`. Where several limits hold, the one with the least room
left is told. A caller without a limit gets no header for it.
"""

from collections.abc import Sequence
from math import ceil
from typing import Final

from limiter.demand import Demand, Standing

Headers = list[tuple[bytes, bytes]]
Room = tuple[int, int, float]
"""What is left of a limit, the limit, and the seconds until all of it is back."""

_REQUESTS: Final = (
    b"x-ratelimit-limit-requests",
    b"x-ratelimit-remaining-requests",
    b"x-ratelimit-reset-requests",
)
_TOKENS: Final = (
    b"x-ratelimit-limit-tokens",
    b"x-ratelimit-remaining-tokens",
    b"x-ratelimit-reset-tokens",
)


def limit_headers(standings: Sequence[tuple[Demand, Standing]]) -> Headers:
    """Return the headers for the limits of these subjects, as they stand now."""
    requests: Room | None = None
    tokens: Room | None = None
    for demand, standing in standings:
        limits = demand.limits
        if (limit := limits.requests) is not None:
            room = (limit - standing.used_requests, limit, standing.requests_reset)
            requests = room if requests is None else min(requests, room)
        if (limit := limits.tokens) is not None:
            room = (limit - standing.used_tokens, limit, standing.tokens_reset)
            tokens = room if tokens is None else min(tokens, room)
    return [*_headers(_REQUESTS, requests), *_headers(_TOKENS, tokens)]


def _headers(names: tuple[bytes, bytes, bytes], room: Room | None) -> Headers:
    if room is None:
        return []
    left, limit, reset = room
    return [
        (names[0], b"%d" % limit),
        (names[1], b"%d" % max(0, left)),
        (names[2], duration(reset).encode()),
    ]


def duration(seconds: float) -> str:
    """Return a duration as OpenAI writes it, rounded up to the millisecond: `1h2m3s`, `1.5s`, `20ms`."""
    milliseconds = max(0, ceil(round(seconds * 1000, 3)))
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    shown_hours = f"{hours}h" if hours else ""
    shown_minutes = f"{minutes}m" if hours or minutes else ""
    return f"{shown_hours}{shown_minutes}{rest / 1000:g}s"
