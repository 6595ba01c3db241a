"""Waiting for sockets that live long: registered with the kernel once, and not anew for each wait.

trio asks the kernel about a socket each time a task waits for it, and is told once. That suits any socket;
but a gateway's connections serve request after request, and each request waits twice, for its client and for
its provider. So the worker has an epoll object of its own, in which every such socket lies for its life. trio
watches that object as if it were one socket. A task that has nothing to read goes to sleep, and is woken when
the kernel has something to tell of its socket.

The kernel tells of news, once, and not of a state (`EPOLLET`). So what was told while nobody waited is noted;
and whoever has read less than it asked for knows that nothing is left until there is news. A socket of which
news comes twice while nobody looks is taken out until somebody waits for it.

trio calls an instrument's `after_io_wait` when it returns from its own wait, before it runs any task. There
it is found out whose socket has news, and these tasks run in the same pass of trio's loop. What they write
meanwhile may be gathered, and goes out together: to wake a process that sleeps costs more than the write, and
one that is awake reads on. See `docs/discussion/waiting.md`.
"""

import os
import select
from typing import Final

import trio

HAS_EPOLL: Final = hasattr(select, "epoll")  # whether this machine has what all of it stands on

READ_BYTES: Final = 64 * 1024

# The rest is told of in the next pass; what has been woken runs first.
MOST_AT_ONCE: Final = 256

# So many writes wait for one another at most, and only short ones: a long one may not go out whole, and what
# it costs is the copying.
MOST_GATHERED: Final = 16
GATHERED_BYTES: Final = 8 * 1024


class UnwrittenError(Exception):
    """Something is to be written before more can be expected to come: see `PolledSocket.write_soon`."""


class Netpoll(trio.abc.Instrument):
    """The sockets of one worker that lie in the kernel. It tells of them while `run` runs."""

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self.sockets: dict[int, PolledSocket] = {}
        self._gathered: list[PolledSocket] = []

    @property
    def holding(self) -> int:
        """How many sockets it holds."""
        return len(self.sockets)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Wake who waits, until cancelled; who waits then goes on waiting by trio's own means."""
        with select.epoll() as epoll:
            self._epoll = epoll
            trio.lowlevel.add_instrument(self)
            task_status.started()
            try:
                while True:  # so that trio does not sleep while there is news
                    await trio.lowlevel.wait_readable(epoll.fileno())
            finally:
                trio.lowlevel.remove_instrument(self)
                self._write_gathered()
                for polled in list(self.sockets.values()):
                    self.remove(polled)
                    polled.wake()
                self._epoll = None

    def after_io_wait(self, timeout: float) -> None:  # noqa: ARG002 - as trio calls it
        """Wake those whose sockets have news. trio calls this."""
        assert self._epoll is not None  # noqa: S101 - it is an instrument only while it runs
        for fd, flags in self._epoll.poll(0, MOST_AT_ONCE):
            polled = self.sockets.get(fd)
            if polled is not None:
                polled.hear(flags)

    def before_io_wait(self, timeout: float) -> None:  # noqa: ARG002 - as trio calls it
        """Write what was gathered. trio calls this."""
        if self._gathered:
            self._write_gathered()

    def gather(self, polled: "PolledSocket") -> bool:
        """Let a socket write before trio waits next. Tells whether it will; it does not run else."""
        if self._epoll is None:
            return False
        self._gathered.append(polled)
        if len(self._gathered) >= MOST_GATHERED:
            self._write_gathered()
        return True

    def _write_gathered(self) -> None:
        gathered, self._gathered = self._gathered, []
        for polled in gathered:
            polled.write_unwritten()

    def add(self, polled: "PolledSocket") -> bool:
        """Take a socket in; what it has by now counts as news. Tells whether it could be taken."""
        if self._epoll is None:
            return False
        fd = polled.fileno()
        self._epoll.register(fd, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET)
        self.sockets[fd] = polled
        polled.held_as = fd
        return True

    def remove(self, polled: "PolledSocket") -> None:
        """Let go of a socket that was taken in, before it is closed."""
        if self._epoll is not None and self.sockets.get(polled.held_as) is polled:
            del self.sockets[polled.held_as]
            if polled.fileno() >= 0:  # else somebody has closed it, and the kernel let go by itself
                self._epoll.unregister(polled.held_as)
        polled.held_as = -1


class PolledSocket:
    """A connected socket, read by one task at a time; its owner must `close` it, or `let_go`.

    Where somebody else closes the socket itself, nothing may be read or written here any more: its number
    would be that of another connection by then.

    Without a `Netpoll` that runs, `socket` is waited for by trio's own means. `held_as` is the number by
    which it is held there, -1 while it is not. `unwritten`: what is to go out soon, or did not.
    """

    __slots__ = (
        "_has_ended",
        "_has_news",
        "_netpoll",
        "_number",
        "_task",
        "held_as",
        "socket",
        "unwritten",
    )

    def __init__(self, connected: trio.socket.SocketType, netpoll: Netpoll | None = None) -> None:
        self.socket = connected
        self._number = connected.fileno()  # until it is closed here
        self._netpoll = netpoll
        self._task: trio.lowlevel.Task | None = None
        self._has_news = False
        self._has_ended = False
        self.held_as = -1
        self.unwritten = b""

    async def read(self) -> bytes:
        """Wait for bytes and read them, at most `READ_BYTES`; empty at the end. Cancelled, nothing is lost.

        Raises OSError, `UnwrittenError`, and trio.ClosedResourceError when it is closed meanwhile.
        """
        while True:
            if self._has_news:
                await trio.lowlevel.checkpoint()
            elif self.held_as < 0 and not self._is_taken():
                await trio.lowlevel.wait_readable(self.socket)
            else:
                if self._task is not None:
                    raise trio.BusyResourceError("another task waits for this socket")
                self._task = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(self._give_up)
            data = self.read_now()
            if data is not None:
                return data
            if self.unwritten:
                raise UnwrittenError
            # else woken for nothing, which the kernel may do

    def read_now(self) -> bytes | None:
        """Read once, without waiting; `None` where nothing has come. Raises like `read`."""
        if self._number < 0:
            raise trio.ClosedResourceError("this connection was closed")
        try:
            data = os.read(self._number, READ_BYTES)
        except BlockingIOError:
            self._has_news = False
            return None
        # The end came with the last news, maybe, and there will be none after it.
        self._has_news = self._has_ended or len(data) == READ_BYTES
        return data

    def join(self, netpoll: Netpoll | None) -> None:
        """Lie in this one from the next wait on."""
        self._netpoll = netpoll

    def has_input(self) -> bool:
        """Tell, without waiting, whether there is something to read, if only the end; if so, it is spent.

        While it is held here, that is what was so when trio came back from its last wait.
        """
        if self.held_as >= 0 and not self._has_news:
            return False
        try:
            return self.read_now() is not None
        except (OSError, trio.ClosedResourceError):
            return True

    def write_now(self, data: bytes) -> int:
        """Write what goes out at once; returns how many bytes that is, 0 also where it is broken."""
        try:
            return os.write(self._number, data)
        except OSError:
            return 0

    def write_soon(self, data: bytes) -> bool:
        """Write before trio waits next, together with what others write; `False`: it did not go out.

        What does not go out stays `unwritten`, also where it is broken, and is for the owner to `take_back`
        and to write by other means before anything else. Where that is found out later, `read` raises
        `UnwrittenError`.
        """
        self.unwritten = data
        if self._netpoll is not None and self._netpoll.gather(self):
            return True
        self.unwritten = data[self.write_now(data) :]
        return not self.unwritten

    def write_unwritten(self) -> None:
        """Write what goes out at once of what was to go out soon; wake who waits if that was not all."""
        data = self.unwritten
        if data:
            self.unwritten = data[self.write_now(data) :]
            if self.unwritten:
                self._has_news = self._has_news or self._task is None
                # trio may be about to wait, with nobody it knows of to be run.
                trio.lowlevel.current_trio_token().run_sync_soon(self.wake)

    def take_back(self) -> bytes:
        """Return what is unwritten, and let it be."""
        data, self.unwritten = self.unwritten, b""
        return data

    def hear(self, flags: int) -> None:
        """Take note of news. `Netpoll` calls this."""
        if flags & ~select.EPOLLIN:
            self._has_ended = True
        task = self._task
        if task is not None:
            self._task = None
            trio.lowlevel.reschedule(task)
        elif self._has_news:
            self.let_go()
        else:
            self._has_news = True

    def wake(self) -> None:
        """Let who waits look again."""
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    def let_go(self) -> None:
        """Take it out of the kernel's watch, for another who waits for it in its own way."""
        if self._netpoll is not None and self.held_as >= 0:
            self._netpoll.remove(self)

    def close(self) -> None:
        """Close at once, what is gathered being written before, and tell who waits; again is harmless."""
        if self.unwritten:
            self.write_now(self.take_back())
        self.let_go()
        self._number = -1
        self.socket.close()
        self.wake()

    def fileno(self) -> int:
        """Its number, -1 once it is closed."""
        return self.socket.fileno()

    def _is_taken(self) -> bool:
        if self.socket.fileno() < 0:
            raise trio.ClosedResourceError("this connection was closed")
        return self._netpoll is not None and self._netpoll.add(self)

    def _give_up(self, _: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED
