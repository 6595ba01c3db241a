"""How much work a client may ask for that leads to nothing.

A stream that is opened and reset at once costs the client a few bytes and the server a request
(CVE-2023-44487); so do settings, pings and empty frames by the thousand (CVE-2019-9512 and its kin). People
who click "stop" and tools that ping need some of that, so there is a store of patience that fills up again,
as nghttp2 has it: `MOST_AT_ONCE`, and `PER_SECOND` for good.
"""

from typing import Final

MOST_AT_ONCE: Final = 1000.0
PER_SECOND: Final = 33.0


class Patience:
    """The patience with one connection."""

    __slots__ = ("_at", "_left")

    def __init__(self, now: float) -> None:
        self._left = MOST_AT_ONCE
        self._at = now

    def spend(self, now: float) -> bool:
        """Note one more useless frame at `now` (seconds, monotonic); tell whether it is still borne."""
        self._left = min(MOST_AT_ONCE, self._left + (now - self._at) * PER_SECOND) - 1
        self._at = now
        return self._left >= 0
