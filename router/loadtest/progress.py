"""One line that says how far a run is, for whoever waits for it.

On a terminal the line is rewritten in place. Elsewhere, in the log of a build for instance, a
rewritten line is noise, so it becomes a plain one every few seconds.
"""

import time
from collections.abc import Callable
from typing import Final, TextIO

PLAIN_EVERY_SECONDS: Final = 10.0
_ERASE_LINE: Final = "\r\x1b[2K"


class Progress:
    """Writes to `stream`, usually standard error; `now` is a clock in seconds."""

    def __init__(self, stream: TextIO, *, now: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._now = now
        self._rewrites = stream.isatty()
        self._said_at: float | None = None

    def show(self, text: str) -> None:
        """Say how far it is; forgotten when nobody would read it."""
        if self._rewrites:
            self._write(_ERASE_LINE + text)
        elif self._said_at is None or self._now() - self._said_at >= PLAIN_EVERY_SECONDS:
            self._said_at = self._now()
            self._write(text + "\n")

    def end(self) -> None:
        """Leave a terminal's line, so that what follows begins a new one."""
        if self._rewrites:
            self._write("\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
