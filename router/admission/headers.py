"""The `x-ratelimit-*` headers: what the caller may use in a minute, what is left, and when it is all back.

The form is OpenAI's: durations as `1m0s` or `20ms`. Where several limits hold, the one with the least room
left is told. A caller without a limit gets no header for it.
"""

from collections.abc import Sequence
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
    headers: Headers = []
    told = b""
    if requests is not None:
        told = duration(requests[2])
        _add(headers, _REQUESTS, requests, told)
    if tokens is not None:
        is_told = requests is not None and requests[2] == tokens[2]
        _add(headers, _TOKENS, tokens, told if is_told else duration(tokens[2]))
    return headers


def _add(headers: Headers, names: tuple[bytes, bytes, bytes], room: Room, reset: bytes) -> None:
    left, limit, _ = room
    headers.append((names[0], b"%d" % limit))
    headers.append((names[1], b"%d" % left if left > 0 else b"0"))
    headers.append((names[2], reset))


def duration(seconds: float) -> bytes:
    """Return a duration as OpenAI writes it, rounded up to the millisecond: `1h2m3s`, `1.5s`, `20ms`.

    What a float adds beyond the microsecond is not rounded up.
    """
    milliseconds = -(-int(seconds * 1_000_000 + 0.5) // 1000)
    if milliseconds < 1000:
        return b"%dms" % max(0, milliseconds)
    minutes, rest = divmod(milliseconds, 60_000)
    whole, parts = divmod(rest, 1000)
    told = (b"%d.%03d" % (whole, parts)).rstrip(b"0") + b"s" if parts else b"%ds" % whole
    if not minutes:
        return told
    hours, minutes = divmod(minutes, 60)
    return b"%dh%dm%b" % (hours, minutes, told) if hours else b"%dm%b" % (minutes, told)
