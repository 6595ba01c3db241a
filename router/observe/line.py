"""What all log lines share: where they are written, and how they tell the time.

Writing never raises. A log pipe whose reader has died must not fail requests; lines that could not
be written are counted instead, and the count is a metric.
"""

import os
import select
import stat
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import BinaryIO, Final

# Several workers share one pipe, and only so much goes into it undivided; into a file goes what one writes.
MOST_BYTES: Final = select.PIPE_BUF
MOST_BYTES_OF_FILES: Final = 1024 * 1024


class LineWriter:
    """Writes finished lines to `file` and counts those it could not write.

    `catch_up` is called before a single line is written: whoever has put lines off writes them then, so that
    lines stay in their order.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._most_bytes = _undivided_bytes(file)
        self.catch_up: Callable[[], None] = _nothing_is_put_off
        self.lost_lines = 0

    def write(self, line: bytes) -> None:
        """Write and flush one line. Blocks as long as the file does; raises for no broken file."""
        self.catch_up()
        self._put([line])

    # structlog hands a rendered line to the method named after its level.
    debug = info = warning = error = critical = write

    def write_all(self, lines: Iterable[bytes]) -> None:
        """Write lines, as many at once as go out undivided. Blocks and raises as `write`."""
        together: list[bytes] = []
        size = 0
        for line in lines:
            size += len(line) + 1
            if size > self._most_bytes and together:
                self._put(together)
                together = []
                size = len(line) + 1
            together.append(line)
        if together:
            self._put(together)

    def _put(self, lines: list[bytes]) -> None:
        try:
            self._file.write(b"\n".join([*lines, b""]))
            self._file.flush()
        except (OSError, ValueError):  # a closed file raises ValueError
            self.lost_lines += len(lines)


def _undivided_bytes(file: BinaryIO) -> int:
    """Return how much of what is written at once lies together, whoever else writes."""
    try:
        is_file = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except (OSError, ValueError):  # closed, or none of the system's
        is_file = False
    return MOST_BYTES_OF_FILES if is_file else MOST_BYTES


def _nothing_is_put_off() -> None:
    pass


class LineClock:
    """Tells times as they stand in a line; the part that changes once a second is kept for so long."""

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._second = -1
        self._told = ""

    def now(self) -> str:
        """Return the time in UTC, to the millisecond."""
        return self.tell(self._wall_clock())

    def tell(self, at: float) -> str:
        """Return that of a unix time."""
        second, rest = divmod(int(at * 1000), 1000)
        if second != self._second:
            self._second = second
            self._told = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._told}.{rest:03d}Z"
