"""When the store is not worth asking.

A dead server refuses at once. A slow one is worse: every request would wait for it as long as patience
lasts. So after a few answers in a row that failed or came late the breaker opens, and nobody asks any more.
It closes with the first answer that comes in time, and that is never a client's to wait for: the engine's
own heartbeat is the probe.
"""


class Breaker:
    """Counts failures in a row. It starts open: a server that has not answered yet is not there.

    `tolerance`: so many failures in a row open it.
    """

    def __init__(self, tolerance: int) -> None:
        self._tolerance = tolerance
        self._failures = tolerance
        self.cause = "it has not answered yet"

    @property
    def is_open(self) -> bool:
        """Whether the store should be left alone; `cause` says why."""
        return self._failures >= self._tolerance

    def failed(self, cause: str) -> None:
        """Count one answer that was late, wrong or missing."""
        self._failures += 1
        self.cause = cause

    def broke(self, cause: str) -> None:
        """Open at once: the connection is gone, so every further call would fail as well."""
        self._failures = self._tolerance
        self.cause = cause

    def succeeded(self) -> None:
        """Close: an answer came in time."""
        self._failures = 0
