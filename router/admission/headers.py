"""The `x-ratelimit-*` headers: what the caller may use in a minute, what is left, and when it is all back.

The form is OpenAI's: durations as `1m0s` or `20ms`. Where several limits hold, the one with the least room
left is told. A caller without a limit gets no header for it.
"""

from collections.abc import Sequence
from typing import Final

from limiter.demand import Demand, Use

Headers = list[tuple[bytes, bytes]]
Room = tuple[int, int, float]
"""What is left of a limit, the limit, and the seconds until all of it is back."""

_LIMIT_REQUESTS: Final = b"x-ratelimit-limit-requests"
_REMAINING_REQUESTS: Final = b"x-ratelimit-remaining-requests"
_RESET_REQUESTS: Final = b"x-ratelimit-reset-requests"
_LIMIT_TOKENS: Final = b"x-ratelimit-limit-tokens"
_REMAINING_TOKENS: Final = b"x-ratelimit-remaining-tokens"
_RESET_TOKENS: Final = b"x-ratelimit-reset-tokens"


def limit_headers(demands: Sequence[Demand], uses: Sequence[Use | None]) -> Headers | None:
    """Return the headers for these demands' limits, of which so much is in use.

    `None` where it is not known of a subject whose windows are limited.
    """
    requests: Room | None = None
    tokens: Room | None = None
    for place, demand in enumerate(demands):
        limits, use = demand.limits, uses[place]
        most_requests, most_tokens = limits.requests, limits.tokens
        if most_requests is None and most_tokens is None:
            continue
        if use is None:
            return None
        if most_requests is not None:
            room = (most_requests - use[0], most_requests, use[2])
            if requests is None or room < requests:
                requests = room
        if most_tokens is not None:
            room = (most_tokens - use[1], most_tokens, use[3])
            if tokens is None or room < tokens:
                tokens = room
    return _written(requests, tokens)


def _written(requests: Room | None, tokens: Room | None) -> Headers:
    headers: Headers = []
    reset = b""
    if requests is not None:
        left, limit, seconds = requests
        reset = duration(seconds)
        headers = [
            (_LIMIT_REQUESTS, str(limit).encode()),
            (_REMAINING_REQUESTS, str(left).encode() if left > 0 else b"0"),
            (_RESET_REQUESTS, reset),
        ]
    if tokens is not None:
        left, limit, seconds = tokens
        if requests is None or seconds != requests[2]:
            reset = duration(seconds)
        headers += [
            (_LIMIT_TOKENS, str(limit).encode()),
            (_REMAINING_TOKENS, str(left).encode() if left > 0 else b"0"),
            (_RESET_TOKENS, reset),
        ]
    return headers


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
