"""The relay pump: one task that carries all streams of a worker on which nothing else is to be done.

A stream of tokens is mostly silence, broken by small events. Were each stream's own task to wait for its next
event, every event would cost two switches between tasks, a change of what is polled, and often a read in
vain. So a task whose stream is only to be passed on goes to sleep here and leaves two things: the socket to
watch, and a *step*, a synchronous function that reads what has come and writes it to the client. One task of
the worker watches all these sockets together, through an epoll object of its own that nests in trio's, and
runs the step of each socket that has something.

The step says when its stream needs its own task again, and then that task wakes. So whoever waits for a
stream is the stream's own task all the time: deadlines and cancellation strike it where it sleeps, and take
the socket out of the pump before anything can close it. See `docs/discussion/relay-pump.md`.
"""

import select
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

import trio

# After so many steps, or so long, the other tasks have their turn. The kernel goes round among the sockets
# that are ready, as long as all that it has named are served: so it is asked for a few at a time.
MOST_AT_ONCE: Final = 64
TURN_SECONDS: Final = 0.005
_FEW: Final = 8

# Where events come closer than this, a pause lets several of them come together. To wake for each of them
# would cost about as much as to pass it on.
BUSY_SECONDS: Final = 1 / 8_000
GATHER_SECONDS: Final = 0.001


class Carried(ABC):
    """A stream in the pump: `task` sleeps meanwhile, `error` is what a step has raised."""

    __slots__ = ("error", "task")

    def __init__(self) -> None:
        self.task: trio.lowlevel.Task | None = None
        self.error: Exception | None = None

    @abstractmethod
    def step(self, now: float) -> bool:
        """Pass on what has come, at this trio time; returns whether the stream needs its own task."""


class Pump:
    """The pump of one worker. It carries streams while `run` runs, and `carrying` of them now.

    `gather_seconds`: how long it pauses when much is going on; 0 for never.
    """

    def __init__(self, *, gather_seconds: float = GATHER_SECONDS) -> None:
        self.gather_seconds = gather_seconds
        self._epoll: select.epoll | None = None
        self._carried: dict[int, Carried] = {}

    @property
    def is_running(self) -> bool:
        """Whether `carry` may be called."""
        return self._epoll is not None

    @property
    def carrying(self) -> int:
        """How many streams it carries."""
        return len(self._carried)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Carry streams until cancelled; those that it still has go back to their own tasks then."""
        with select.epoll() as epoll:
            self._epoll = epoll
            task_status.started()
            number = epoll.fileno()
            last_turn = trio.current_time()
            is_busy = False
            try:
                while True:
                    if is_busy:
                        await trio.sleep(self.gather_seconds)
                    else:
                        await trio.lowlevel.wait_readable(number)
                    now = trio.current_time()
                    steps = self._serve(epoll, now)
                    is_busy = now - last_turn < steps * BUSY_SECONDS and self.gather_seconds > 0
                    last_turn = now
            finally:
                for fd in list(self._carried):
                    self._wake(fd)
                self._epoll = None

    async def carry(self, fd: int, carried: Carried) -> None:
        """Run its step whenever `fd` can be read, until that returns True, or the pump ends.

        The socket is left alone by everybody else meanwhile. Raises what the step raises; cancelled, the step
        is not called again.
        """
        assert self._epoll is not None  # noqa: S101 - the caller has asked `is_running`
        carried.task = trio.lowlevel.current_task()
        self._epoll.register(fd, select.EPOLLIN)
        self._carried[fd] = carried

        def let_go(_: object) -> trio.lowlevel.Abort:
            self._take_out(fd)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(let_go)
        if carried.error is not None:
            raise carried.error

    def _serve(self, epoll: select.epoll, start: float) -> int:
        """Run the steps of the sockets that are ready, and of those that become so meanwhile; count them."""
        now = start
        steps = 0
        while steps < MOST_AT_ONCE and now - start < TURN_SECONDS:
            ready = epoll.poll(0, _FEW)
            if not ready:
                break
            self._run_steps(ready, now)
            steps += len(ready)
            now = trio.current_time()
        return steps

    def _run_steps(self, ready: Sequence[tuple[int, int]], now: float) -> None:
        """Run the steps of these sockets; what one raises is its own stream's affair."""
        for fd, _ in ready:
            carried = self._carried.get(fd)
            if carried is None:
                continue  # a step before this one has had it cancelled
            try:
                is_needed = carried.step(now)
            except Exception as error:  # noqa: BLE001 - it is raised where the stream is waited for
                carried.error = error
                is_needed = True
            if is_needed and fd in self._carried:
                self._wake(fd)

    def _wake(self, fd: int) -> None:
        trio.lowlevel.reschedule(self._take_out(fd))

    def _take_out(self, fd: int) -> trio.lowlevel.Task:
        """Carry a stream no longer; returns its task."""
        carried = self._carried.pop(fd)
        assert self._epoll is not None  # noqa: S101 - nothing is carried without it
        assert carried.task is not None  # noqa: S101 - nor for nobody
        self._epoll.unregister(fd)
        return carried.task
