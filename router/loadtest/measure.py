"""What processes cost, as the kernel counts it: CPU time and memory, read from `/proc`.

CPU time is `utime` + `stime` of `/proc/PID/stat` (proc_pid_stat(5)), for all threads, in clock ticks
of usually 10 ms. The two are cut off to whole ticks, so one difference is wrong by two ticks at
most: a load has to burn seconds of CPU for figures good to one percent. A process's own clock
(`cpu_seconds_of`) is exact, and does not divide them. Memory is
`/proc/PID/smaps_rollup`: RSS counts every resident page, PSS shares a page among those who map it.

The process measures itself with the same readings, so that a load generator can prove it was not
what limited the run.
"""

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

PROC = Path("/proc")
_CPU_CLOCK: Final = 2
"""Which of a process's clocks: the scheduler's own count."""


class Cpu(msgspec.Struct, frozen=True):
    """CPU time in microseconds, in user mode and in the kernel."""

    user_us: int
    system_us: int

    @property
    def total_us(self) -> int:
        """Both together."""
        return self.user_us + self.system_us


class Memory(msgspec.Struct, frozen=True):
    """Resident memory in bytes."""

    rss_bytes: int
    pss_bytes: int


class Reading(msgspec.Struct, frozen=True):
    """One look: a moment in seconds, the work done by then, and the CPU time of each role by then."""

    at: float
    units: int
    cpu: dict[str, Cpu]


class Window(msgspec.Struct, frozen=True):
    """What happened between two readings."""

    seconds: float
    units: int
    cpu: dict[str, Cpu]

    @property
    def per_second(self) -> float:
        """Units of work a second."""
        return self.units / self.seconds

    def cpu_us_per_unit(self, role: str) -> float:
        """Microseconds of CPU of `role` for each unit of work; ZeroDivisionError without work."""
        return self.cpu[role].total_us / self.units

    def busy(self, role: str) -> float:
        """The share of one core that `role` kept busy."""
        return self.cpu[role].total_us / 1e6 / self.seconds


class Probe:
    """Reads the CPU time of several roles at once, each made of some processes."""

    def __init__(self, roles: Mapping[str, Iterable[int]], *, proc: Path = PROC) -> None:
        self._roles = {role: tuple(pids) for role, pids in roles.items()}
        self._proc = proc

    def read(self, units: int) -> Reading:
        """Read now; `units` is the work done so far. Raises FileNotFoundError if a process is gone."""
        cpu = {role: cpu_of(pids, proc=self._proc) for role, pids in self._roles.items()}
        return Reading(time.monotonic(), units, cpu)


def between(first: Reading, last: Reading) -> Window:
    """Return the difference of two readings of one probe."""
    cpu = {
        role: Cpu(
            user_us=last.cpu[role].user_us - before.user_us,
            system_us=last.cpu[role].system_us - before.system_us,
        )
        for role, before in first.cpu.items()
    }
    return Window(last.at - first.at, last.units - first.units, cpu)


def process_tree(pid: int, *, proc: Path = PROC) -> list[int]:
    """Return `pid` and all processes that descend from it at this moment."""
    children = [
        int(child)
        for listing in sorted((proc / str(pid) / "task").glob("*/children"))
        for child in listing.read_text().split()
    ]
    return [pid, *(found for child in children for found in process_tree(child, proc=proc))]


def cpu_seconds_of(pids: Iterable[int]) -> float:
    """Sum the CPU time of some processes, to the nanosecond. Raises OSError if one is gone.

    Each process has a clock of it; how its number follows from the process id is clock_getcpuclockid(3),
    which Python does not offer, as the C library does it.
    """
    return sum(time.clock_gettime((~pid << 3) | _CPU_CLOCK) for pid in pids)


def cpu_of(pids: Iterable[int], *, proc: Path = PROC) -> Cpu:
    """Sum the CPU time of some processes. Raises FileNotFoundError if one is gone."""
    tick_us = 1_000_000 // os.sysconf("SC_CLK_TCK")
    user = system = 0
    for pid in pids:
        # The name in parentheses may hold anything, so fields count from its end.
        fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
        user += int(fields[11])
        system += int(fields[12])
    return Cpu(user * tick_us, system * tick_us)


def memory_of(pids: Iterable[int], *, proc: Path = PROC) -> Memory:
    """Sum the memory of some processes. Raises ProcessLookupError or FileNotFoundError if one is gone."""
    rss = pss = 0
    for pid in pids:
        lines = (proc / str(pid) / "smaps_rollup").read_text().splitlines()
        sizes = {name: value for name, _, value in (line.partition(":") for line in lines)}
        if "Rss" not in sizes:
            raise ProcessLookupError(f"process {pid} has ended")
        rss += _bytes(sizes["Rss"])
        pss += _bytes(sizes["Pss"])
    return Memory(rss, pss)


def descriptors_of(pids: Iterable[int], *, proc: Path = PROC) -> int:
    """Count the open file descriptors of some processes."""
    return sum(1 for pid in pids for _ in (proc / str(pid) / "fd").iterdir())


def _bytes(size: str) -> int:
    number, unit = size.split()
    if unit != "kB":
        raise ValueError(f"memory in {unit!r}")
    return int(number) * 1024
