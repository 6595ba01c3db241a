"""Which epoll object trio sleeps on.

That object is trio's own affair, and trio names it to nobody. But an epoll object can be watched by another,
as any file can: whoever watches trio's hears in its own sleep of everything that would wake trio. The kernel
tells of each epoll object of a process what lies in it (`proc_pid_fdinfo(5)`). So trio is asked to watch a
file of ours for a moment, and the object in which that file then lies is the one.
"""

import re
import select
from pathlib import Path
from typing import Final

import trio

_FILES: Final = Path("/proc/self/fdinfo")
_WATCHED: Final = re.compile(r"^tfd:\s*(\d+)\s", re.MULTILINE)


async def trios_epoll(files: Path = _FILES) -> int | None:
    """Return the number of the object that this run of trio sleeps on, `None` where the kernel is silent.

    `files`: where the kernel tells of the files of this process.
    """
    with select.epoll() as ours:
        # A wait that is cancelled before it has begun still leaves the file where trio would look for it.
        with trio.move_on_after(0):
            await trio.lowlevel.wait_readable(ours.fileno())
        watchers = _watchers_of(ours.fileno(), files)
    return watchers[0] if len(watchers) == 1 else None


def _watchers_of(fd: int, files: Path) -> list[int]:
    """Return the epoll objects of this process in which a file lies."""
    if not files.is_dir():
        return []
    return [int(file.name) for file in list(files.iterdir()) if str(fd) in _watched_by(file)]


def _watched_by(file: Path) -> list[str]:
    try:
        return _WATCHED.findall(file.read_text("ascii"))
    except OSError:  # closed meanwhile, as that of the folder's own listing is
        return []
