"""The one instant that makes two workers see each other: a full memory barrier.

A worker announces what it wants to take, and then reads what the others have. A processor may let the read
overtake the write that waits in its store buffer; two workers that do so at once both read the past, and
both take the last of a limit. Nothing else can go wrong on x86-64: its stores are seen in the order they
were made, and its loads happen in the order they stand (Intel's manual, volume 3, "Memory ordering"), so one
barrier between announcement and reading is enough.

Python has no barrier by name. Taking a lock has one inside: CPython acquires by a compare-and-exchange,
which on x86-64 carries the `lock` prefix and drains the store buffer. The lock is the caller's own and never
contended, so it costs some fifty nanoseconds and nobody ever waits for it.

Other processors (arm64) reorder plain stores and plain loads as well, and a lock's acquisition is less than
a full barrier there. One worker needs no order but its own; a second one is refused there.
"""

import platform
import threading
from collections.abc import Callable


class Fence:
    """A full memory barrier on x86-64: `acquire()`, then `release()`, by one thread."""

    __slots__ = ("acquire", "release")

    def __init__(self) -> None:
        lock = threading.Lock()
        self.acquire: Callable[[], bool] = lock.acquire
        self.release: Callable[[], None] = lock.release


def orders_stores(machine: str | None = None) -> bool:
    """Whether `machine`, by default this one, keeps the order of stores. It is named as `platform` does."""
    return (machine or platform.machine()) in {"x86_64", "AMD64", "amd64"}
