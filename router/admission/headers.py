"""The `x-ratelimit-*` headers: what the caller may use in a minute, what is left, and when it is all back.

The form is OpenAI's: durations as `1m0s` or `20ms`. Where several limits hold, the one with the least room
left is told. A caller without a limit gets no header for it.
"""

from collections.abc import Sequence
from math import ceil

from limiter.demand import Demand, Standing

Headers = list[tuple[bytes, bytes]]


def limit_headers(standings: Sequence[tuple[Demand, Standing]]) -> Headers:
    """Return the headers for the limits of these subjects, as they stand now."""
    requests = [
        (limit - standing.used_requests, limit, standing.requests_reset)
        for demand, standing in standings
        if (limit := demand.limits.requests) is not None
    ]
    tokens = [
        (limit - standing.used_tokens, limit, standing.tokens_reset)
        for demand, standing in standings
        if (limit := demand.limits.tokens) is not None
    ]
    return [*_headers(b"requests", requests), *_headers(b"tokens", tokens)]


def _headers(kind: bytes, rooms: list[tuple[int, int, float]]) -> Headers:
    if not rooms:
        return []
    left, limit, reset = min(rooms)
    return [
        (b"x-ratelimit-limit-" + kind, b"%d" % limit),
        (b"x-ratelimit-remaining-" + kind, b"%d" % max(0, left)),
        (b"x-ratelimit-reset-" + kind, duration(reset).encode()),
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
