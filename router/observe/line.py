"""What all log lines share: where they are written, and how they tell the time.

Writing never raises. A log pipe whose reader has died must not fail requests; lines that could not
be written are counted instead, and the count is a metric.

A busy gateway writes a line for each of thousands of requests in a second. Those are gathered for a moment
and written several at once; whatever else is to be told takes them along and is written at once.
"""

import select
from collections.abc import Callable
from datetime import UTC, datetime
from typing import BinaryIO, Final

import trio

GATHER_SECONDS: Final = 0.05
# Several workers share one pipe, and only so much goes into it undivided.
MOST_BYTES: Final = select.PIPE_BUF


class LineWriter:
    """Writes finished lines to `file` and counts those it could not write.

    While `run` runs, lines may be gathered.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._gathers = False
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._some = trio.Event()
        self.lost_lines = 0

    def write(self, line: bytes) -> None:
        """Write and flush one line. Blocks as long as the file does; raises for no broken file."""
        self.flush()
        self._put(line + b"\n", lines=1)

    # structlog hands a rendered line to the method named after its level.
    debug = info = warning = error = critical = write

    def write_soon(self, line: bytes) -> None:
        """Write a line within `GATHER_SECONDS`, or at once where nobody would."""
        if not self._gathers:
            self.write(line)
            return
        size = len(line) + 1
        if self._gathered_bytes + size > MOST_BYTES:
            self.flush()
        if not self._gathered:
            self._some.set()
        self._gathered.append(line)
        self._gathered_bytes += size

    def flush(self) -> None:
        """Write what has been gathered."""
        lines, self._gathered = self._gathered, []
        self._gathered_bytes = 0
        if lines:
            self._put(b"\n".join(lines) + b"\n", lines=len(lines))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Gather lines until cancelled; what is left is written then."""
        self._gathers = True
        task_status.started()
        try:
            while True:
                await self._some.wait()
                self._some = trio.Event()
                await trio.sleep(GATHER_SECONDS)
                self.flush()
        finally:
            self._gathers = False
            self.flush()

    def _put(self, data: bytes, *, lines: int) -> None:
        try:
            self._file.write(data)
            self._file.flush()
        except (OSError, ValueError):  # a closed file raises ValueError
            self.lost_lines += lines


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
