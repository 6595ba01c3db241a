"""The Date header of every answer, written anew once a second (RFC 9110, section 6.6.1)."""

import time
from collections.abc import Callable
from email.utils import formatdate


class DateHeader:
    """Makes the header; `clock` gives seconds since the epoch."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._second = -1
        self._header = (b"date", b"")

    def now(self) -> tuple[bytes, bytes]:
        """Return the header's name and value."""
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._header = (b"date", formatdate(second, usegmt=True).encode())
        return self._header
