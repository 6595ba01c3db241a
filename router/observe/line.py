"""What all log lines share: where they are written, and how they tell the time.

Writing never raises. A log pipe whose reader has died must not fail requests; lines that could not
be written are counted instead, and the count is a metric.
"""

import select
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import BinaryIO, Final

# Several workers share one pipe, and only so much goes into it undivided.
MOST_BYTES: Final = select.PIPE_BUF


class LineWriter:
    """Writes finished lines to `file` and counts those it could not write.

    `catch_up` is called before a single line is written: whoever has put lines off writes them then, so that
    lines stay in their order.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.catch_up: Callable[[], None] = _nothing_is_put_off
        self.lost_lines = 0

    def write(self, line: bytes) -> None:
        """Write and flush one line. Blocks as long as the file does; raises for no broken file."""
        self.catch_up()
        self._put([line])

    # structlog hands a rendered line to the method named after its level.
    debug = info = warning = error = critical = write

    def write_all(self, lines: Iterable[bytes]) -> None:
        """Write lines, as many at once as go into a shared pipe undivided. Blocks and raises as `write`."""
        together: list[bytes] = []
        size = 0
        for line in lines:
            size += len(line) + 1
            if size > MOST_BYTES and together:
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
