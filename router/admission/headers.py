"""The `x-ratelimit-*` headers: what the caller may use in a minute, what is left, and when it is all back.

The form is OpenAI's: durations as `1m0s` or `20ms`. Where several limits hold, the one with the least room
left is told. A caller without a limit gets no header for it.
"""

from collections.abc import Sequence
from typing import Final

from limiter.demand import Demand, Standing

Headers = list[tuple[bytes, bytes]]

_HOUR: Final = 3600
_MINUTE: Final = 60


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
    """Return a duration as OpenAI writes it: `1h2m3s`, `1.5s`, `20ms`."""
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))}ms"
    whole, rest = divmod(round(seconds, 3), _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    hours = f"{whole:.0f}h" if whole else ""
    return f"{hours}{f'{minutes:.0f}m' if whole or minutes else ''}{rest:g}s"
