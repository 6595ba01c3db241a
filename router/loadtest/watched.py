"""A local server under load: what its processes take, as the kernel counts it."""

import msgspec

from router.loadtest.measure import cpu_seconds_of, memory_of, process_tree


class Held(msgspec.Struct, frozen=True):
    """The server's memory (PSS, bytes) at a moment at which so many answers were under way."""

    pss_bytes: int
    open: int


class Watched:
    """A process and all that descend from it.

    `idle` is its memory when the watch began, `fullest` when most answers were under way. All methods raise
    OSError when a process is gone.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.idle = self._held(0)
        self.fullest = self.idle

    def cpu_seconds(self) -> float:
        """CPU time until now, in user mode and in the kernel."""
        return cpu_seconds_of(process_tree(self.pid))

    def look(self, open_answers: int) -> None:
        """Read the memory, if there is more under way than ever before."""
        if open_answers > self.fullest.open:
            self.fullest = self._held(open_answers)

    @property
    def bytes_per_open(self) -> float | None:
        """By how much each answer under way made it grow; None when none was seen."""
        if not self.fullest.open:
            return None
        return (self.fullest.pss_bytes - self.idle.pss_bytes) / self.fullest.open

    def _held(self, open_answers: int) -> Held:
        return Held(memory_of(process_tree(self.pid)).pss_bytes, open_answers)
