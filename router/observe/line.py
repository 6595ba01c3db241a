"""What all log lines share: where they are written, and how they tell the time.

Writing never raises. A log pipe whose reader has died must not fail requests; lines that could not
be written are counted instead, and the count is a metric.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import BinaryIO


class LineWriter:
    """Writes finished lines to `file` and counts those it could not write."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.lost_lines = 0

    def write(self, line: bytes) -> None:
        """Write and flush one line. Blocks as long as the file does; raises for no broken file."""
        try:
            self._file.write(line + b"\n")
            self._file.flush()
        except (OSError, ValueError):  # a closed file raises ValueError
            self.lost_lines += 1

    # structlog hands a rendered line to the method named after its level.
    debug = info = warning = error = critical = write


class LineClock:
    """Tells the time as it stands in a line; the part that changes once a second is kept for so long."""

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._second = -1
        self._told = ""

    def now(self) -> str:
        """Return the time in UTC, to the millisecond."""
        milliseconds = int(self._wall_clock() * 1000)
        second, rest = divmod(milliseconds, 1000)
        if second != self._second:
            self._second = second
            self._told = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._told}.{rest:03d}Z"
