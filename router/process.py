"""What a serving process asks of its system and its interpreter.

Signals to stop on, enough open files, a collector of cycles that keeps away, and quick turns between threads.
"""

import gc
import resource
import signal
import sys
from typing import Final

import trio


def allow_many_open_files() -> int:
    """Raise the soft limit of open files to the hard one, and return it.

    Every stream holds two sockets, and the usual soft limit of 1,024 exists for programs that use
    `select`, which this one does not. Go's runtime does the same.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


YOUNG_OBJECTS: Final = 20_000  # allocated and not freed, before the youngest are looked through
TURN_SECONDS: Final = 0.001


def prepare_interpreter() -> None:
    """Keep the collector of cycles and other threads from holding requests up. Call it when all is up.

    Catalog, prices and modules are hundreds of thousands of objects that live as long as the process; every
    full collection would walk over them, in the middle of somebody's request. And a request makes hundreds
    of objects, nearly all of them freed without the collector: at CPython's 700 it would come with every
    other request, for a few that die in cycles.

    The threads that book settlements compute for milliseconds at a time. By default the interpreter lets one
    of them go on for five before it gives trio's thread a turn, which is more than a request may be late.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)
    sys.setswitchinterval(TURN_SECONDS)


async def stop_on_signal(stop: trio.Event) -> None:
    """Set `stop` at the first SIGTERM or SIGINT; from then on they act as usual again."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            stop.set()
            return
