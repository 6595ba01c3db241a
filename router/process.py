"""What a serving process asks of its operating system: signals to stop on, and enough open files."""

import resource
import signal

import trio


def allow_many_open_files() -> int:
    """Raise the soft limit of open files to the hard one, and return it.

    Every stream holds two sockets, and the usual soft limit of 1,024 exists for programs that use
    `select`, which this one does not. Go's runtime does the same.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


async def stop_on_signal(stop: trio.Event) -> None:
    """Set `stop` at the first SIGTERM or SIGINT; from then on they act as usual again."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            stop.set()
            return
