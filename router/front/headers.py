"""Headers that every answer carries: the request id, and CORS for clients in a browser.

CORS follows the Fetch standard. Credentials in the cookie sense play no part: the key travels in a
header that the page sets itself, so a wildcard origin is sound.
"""

import os
import time
from collections.abc import Sequence
from typing import Final

Headers = list[tuple[bytes, bytes]]

_EXPOSED: Final = (
    b"x-request-id, retry-after, retry-after-ms, x-ratelimit-limit-requests, "
    b"x-ratelimit-remaining-requests, x-ratelimit-reset-requests, x-ratelimit-limit-tokens, "
    b"x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, "
    b"x-syze-provider, x-syze-attempts, x-syze-hedged"
)
_PREFLIGHT_SECONDS: Final = b"86400"
_CHANCE_BYTES: Final = 10
_IDS_AT_ONCE: Final = 400


def new_request_id() -> str:
    """Return a fresh id: `req_` and 32 hexadecimal digits.

    The first 12 are the milliseconds of the unix time, as in UUIDs of version 7 (RFC 9562), because ids
    become keys in the books, and a database files what comes in order for a fraction of the work. The rest
    is chance: 80 bits in each millisecond.
    """
    return RequestIds(at_once=1).new()


class RequestIds:
    """Makes the ids of many requests, like `new_request_id`; the system is asked for chance once in a while.

    An instance belongs to one process: a copy in another would make the same ids. `at_once`: for how many it
    asks.
    """

    def __init__(self, *, at_once: int = _IDS_AT_ONCE) -> None:
        self._chance_bytes = _CHANCE_BYTES * at_once
        self._chance = ""
        self._used = 0

    def new(self) -> str:
        """Return a fresh id."""
        start = self._used
        end = start + 2 * _CHANCE_BYTES
        if start == len(self._chance):
            self._chance = os.urandom(self._chance_bytes).hex()
            start, end = 0, 2 * _CHANCE_BYTES
        self._used = end
        return f"req_{time.time_ns() // 1_000_000:012x}{self._chance[start:end]}"


class CommonHeaders:
    """Makes the headers that go with every answer, for the configured CORS origins."""

    def __init__(self, cors_origins: Sequence[str]) -> None:
        self._any_origin = "*" in cors_origins
        self._origins = frozenset(origin.encode() for origin in cors_origins)

    def of_answer(self, request_id: str, origin: bytes | None) -> Headers:
        """Return the headers for an answer to a request that came with this `Origin`."""
        return [(b"x-request-id", request_id.encode()), *self.of_origin(origin)]

    def of_origin(self, origin: bytes | None) -> Headers:
        """Return those that are the same with every answer to this `Origin`."""
        headers: Headers = []
        if origin is not None and (allowed := self._allowed(origin)) is not None:
            headers += [
                (b"access-control-allow-origin", allowed),
                (b"access-control-expose-headers", _EXPOSED),
            ]
        if not self._any_origin:
            headers.append((b"vary", b"origin"))
        return headers

    def of_preflight(self, asked_headers: bytes) -> Headers:
        """Return what a preflight is told besides: methods, headers, how long it holds."""
        return [
            (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
            (b"access-control-allow-headers", asked_headers or b"authorization, content-type"),
            (b"access-control-max-age", _PREFLIGHT_SECONDS),
        ]

    def _allowed(self, origin: bytes) -> bytes | None:
        if self._any_origin:
            return b"*"
        return origin if origin in self._origins else None
