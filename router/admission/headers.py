"""The `x-ratelimit-*` headers: what the caller may use in a minute, what is left, and when it is all back.

The form is OpenAI's: durations as `1m0s` or `20ms`. Where several limits hold, the one with the least room
left is told. A caller without a limit gets no header for it.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from limiter.demand import ANY, Demand, Use

Header = tuple[bytes, bytes]
Headers = list[Header]

MOST_DURATIONS: Final = (
    4096  # those of windows that were used just now are a thousand: 60 to 61 seconds
)


class _Kind(NamedTuple):
    """A kind of window: its headers, where a `Use` tells of it, and the limits on it by place of a demand.

    The smallest limit comes first: of those with the same room left that one is told.
    """

    remaining: bytes
    reset: bytes
    used_at: int
    reset_at: int
    limits: Sequence[tuple[int, int, Header]]


class Windows:
    """The limits on requests and on tokens among some demands, written as headers once."""

    __slots__ = ("_kinds",)

    def __init__(self, demands: Sequence[Demand]) -> None:
        requests = [(place, demand.limits.requests) for place, demand in enumerate(demands)]
        tokens = [(place, demand.limits.tokens) for place, demand in enumerate(demands)]
        kinds = _kind(b"requests", 0, requests), _kind(b"tokens", 1, tokens)
        self._kinds = [kind for kind in kinds if kind.limits]

    def headers(self, uses: Sequence[Use | None]) -> Headers | None:
        """Return the headers, with so much in use of each demand's subject.

        `None` where it is not known of a subject whose windows are limited.
        """
        headers: Headers = []
        told, reset = -1.0, b""
        for remaining_name, reset_name, used_at, reset_at, limits in self._kinds:
            least: float = ANY
            limit_header, seconds = limits[0][2], 0.0
            for place, limit, header in limits:
                use = uses[place]
                if use is None:
                    return None
                left = limit - use[used_at]
                if left < least:
                    least, limit_header, seconds = left, header, use[reset_at]
            if seconds != told:
                told, reset = seconds, duration(seconds)
            remaining = b"%d" % least if least > 0 else b"0"
            headers += limit_header, (remaining_name, remaining), (reset_name, reset)
        return headers


def _kind(name: bytes, used_at: int, limits: Sequence[tuple[int, int | None]]) -> _Kind:
    known = [(place, limit) for place, limit in limits if limit is not None]
    return _Kind(
        b"x-ratelimit-remaining-" + name,
        b"x-ratelimit-reset-" + name,
        used_at,
        used_at + 2,
        [
            (place, limit, (b"x-ratelimit-limit-" + name, b"%d" % limit))
            for place, limit in sorted(known, key=lambda one: one[1])
        ],
    )


def duration(seconds: float) -> bytes:
    """Return a duration as OpenAI writes it, rounded up to the millisecond: `1h2m3s`, `1.5s`, `20ms`.

    What a float adds beyond the microsecond is not rounded up.
    """
    return _written(int(seconds * 1000 + 0.9995))


@lru_cache(maxsize=MOST_DURATIONS)
def _written(milliseconds: int) -> bytes:
    if milliseconds < 1000:
        return b"%dms" % max(0, milliseconds)
    minutes, rest = divmod(milliseconds, 60_000)
    whole, parts = divmod(rest, 1000)
    told = (b"%d.%03d" % (whole, parts)).rstrip(b"0") + b"s" if parts else b"%ds" % whole
    if not minutes:
        return told
    hours, minutes = divmod(minutes, 60)
    return b"%dh%dm%b" % (hours, minutes, told) if hours else b"%dm%b" % (minutes, told)
