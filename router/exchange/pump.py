"""The relay pump: it carries all streams of a worker on which nothing else is to be done.

A stream of tokens is mostly silence, broken by small events. Were each stream's own task to wait for its next
event, every event would cost two switches between tasks, a change of what is polled, and often a read in
vain. So a task whose stream is only to be passed on goes to sleep here and leaves two things: the socket to
watch, and a *step*, a synchronous function that reads what has come and writes it to the client. All these
sockets lie in one epoll object of the worker, and the step of each that has something is run.

That is done where trio would sleep. Before it does, it tells its instruments (`before_io_wait`), and this one
sleeps in its stead, on its own epoll object, in which trio's lies as well (`router.watcher`). As long as
nothing but steps is to be done, trio's loop stands still, and an event costs a read and a write. As soon as
anything else is to be done, the loop goes on.

The step says when its stream needs its own task again, and then that task wakes. So whoever waits for a
stream is the stream's own task all the time: deadlines and cancellation strike it where it sleeps, and take
the socket out of the pump before anything can close it. See `docs/discussion/relay-pump.md`.
"""

import select
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from router.exchange.alarms import Alarms
from router.watcher import trios_epoll

# After so many steps, or so long, the other tasks have their turn. The kernel goes round among the sockets
# that are ready, as long as all that it has named are served: so it is asked for a few at a time.
MOST_AT_ONCE: Final = 64
TURN_SECONDS: Final = 0.005
_FEW: Final = 8

# Where several events in a row come closer than this, a pause lets some come together. To wake for each of
# them would cost about as much as to pass it on.
BUSY_SECONDS: Final = 1 / 8_000
SEVERAL: Final = 16
GATHER_SECONDS: Final = 0.001


class Carried(ABC):
    """A stream in the pump: `task` sleeps meanwhile, `error` is what a step has raised.

    `is_due`: no step has woken the task, but that its time was over.
    """

    __slots__ = ("error", "is_due", "task")

    def __init__(self) -> None:
        self.task: trio.lowlevel.Task | None = None
        self.error: Exception | None = None
        self.is_due = False

    @abstractmethod
    def step(self, now: float) -> bool:
        """Pass on what has come, at this trio time; returns whether the stream needs its own task."""


class Pump(trio.abc.Instrument):
    """The pump of one worker. It carries streams while `run` runs, and `carrying` of them now.

    `alarms` tell when a stream's time is over. `gather_seconds`: how long it pauses when much is going on; 0
    for never. `find_watcher` finds what trio sleeps on; where it does not, the pump's own task waits instead.
    """

    def __init__(
        self,
        alarms: Alarms,
        *,
        gather_seconds: float = GATHER_SECONDS,
        find_watcher: Callable[[], Awaitable[int | None]] = trios_epoll,
    ) -> None:
        self.gather_seconds = gather_seconds
        self._find_watcher = find_watcher
        self._alarms = alarms
        self._epoll: select.epoll | None = None
        self._carried: dict[int, Carried] = {}
        self._task: trio.lowlevel.Task | None = None  # its own, while trio's sleep is used instead
        self._is_busy = False
        self._steps = 0  # since then, to find out how much is going on
        self._counts_from = 0.0
        self._trios: int | None = None
        # While trio is about to sleep: whether a task was woken, and whether it will find that it must not.
        self._has_woken = False
        self._is_called = False

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
        trios = self._trios = await self._find_watcher()
        with select.epoll() as epoll:
            if trios is not None:
                epoll.register(trios, select.EPOLLIN)
            self._epoll = epoll
            # Two steps shorter than trio's own.
            self._now = trio.lowlevel.current_clock().current_time
            self._wake_trio = trio.lowlevel.current_trio_token().run_sync_soon
            trio.lowlevel.add_instrument(self)
            task_status.started()
            try:
                while True:
                    if self._is_busy:
                        await trio.sleep(self.gather_seconds)
                    elif trios is None:
                        await trio.lowlevel.wait_readable(epoll.fileno())
                    else:
                        await self._until_busy()
                        continue
                    self._serve(epoll, self._now())
            finally:
                trio.lowlevel.remove_instrument(self)
                for fd in list(self._carried):
                    self._wake(fd)
                self._epoll = None

    def before_io_wait(self, timeout: float) -> None:
        """Run steps until there is something else to do, or the time is over. trio calls this.

        What is ready is served also where trio is not going to sleep.
        """
        if self._task is None or not self._carried:
            return
        assert self._epoll is not None  # noqa: S101 - it is an instrument only while it runs
        epoll = self._epoll
        now = self._now()
        until = now + timeout
        self._has_woken = False
        self._is_called = timeout <= 0
        while not (self._is_called or self._has_woken) and now < until:
            ready = epoll.poll(until - now, _FEW)
            now = self._now()
            self._run_steps(ready, now)
        is_dry = self._serve(epoll, now)
        if self._is_busy:
            self._hand_over(self._task)
        if not (is_dry and self._is_called):
            self._wake_trio(_nothing, idempotent=True)

    async def _until_busy(self) -> None:
        """Leave all to `before_io_wait`, until much is going on."""

        def give_up(_: object) -> trio.lowlevel.Abort:
            self._task = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(give_up)

    def _hand_over(self, task: trio.lowlevel.Task) -> None:
        """Leave all to the pump's own task from now on."""
        self._task = None
        self._has_woken = True
        trio.lowlevel.reschedule(task)

    async def carry(self, fd: int, carried: Carried, *, until: float) -> bool:
        """Run its step whenever `fd` can be read, until that returns True, or the pump ends.

        Returns False when trio's time comes to `until` before, at once if it has. The socket is left alone by
        everybody else meanwhile. Raises what the step raises; cancelled, the step is not called again.
        """
        assert self._epoll is not None  # noqa: S101 - the caller has asked `is_running`
        if self._now() >= until:
            return False
        carried.task = trio.lowlevel.current_task()
        carried.is_due = False
        self._epoll.register(fd, select.EPOLLIN)
        self._carried[fd] = carried

        def let_go(_: object) -> trio.lowlevel.Abort:
            self._take_out(fd)
            return trio.lowlevel.Abort.SUCCEEDED

        def time_is_over(_now: float) -> None:
            if self._carried.get(fd) is carried:
                carried.is_due = True
                self._wake(fd)

        alarm = self._alarms.set(until, time_is_over)
        try:
            await trio.lowlevel.wait_task_rescheduled(let_go)
        finally:
            self._alarms.call_off(alarm)
        if carried.error is not None:
            raise carried.error
        return not carried.is_due

    def _serve(self, epoll: select.epoll, start: float) -> bool:
        """Run the steps of the sockets that are ready, and of those that become so meanwhile.

        Returns whether none is ready any more; else the others have their turn.
        """
        now = start
        left = MOST_AT_ONCE
        while left > 0 and now - start < TURN_SECONDS:
            steps = self._run_steps(epoll.poll(0, _FEW), now)
            if not steps:
                return True
            left -= steps
            now = self._now()
        return False

    def _run_steps(self, ready: Sequence[tuple[int, int]], now: float) -> int:
        """Run the steps of these sockets, and count them; what one raises is its own stream's affair."""
        steps = 0
        for fd, _ in ready:
            carried = self._carried.get(fd)
            if carried is None:  # trio's, or a step before this one has had it cancelled
                self._is_called |= fd == self._trios
                continue
            steps += 1
            try:
                is_needed = carried.step(now)
            except Exception as error:  # noqa: BLE001 - it is raised where the stream is waited for
                carried.error = error
                is_needed = True
            if is_needed and fd in self._carried:
                self._wake(fd)
        self._steps += steps
        passed = now - self._counts_from
        if self._steps >= SEVERAL or passed >= SEVERAL * BUSY_SECONDS:
            self._is_busy = passed < self._steps * BUSY_SECONDS and self.gather_seconds > 0
            self._steps, self._counts_from = 0, now
        return steps

    def _wake(self, fd: int) -> None:
        trio.lowlevel.reschedule(self._take_out(fd))

    def _take_out(self, fd: int) -> trio.lowlevel.Task:
        """Carry a stream no longer; returns its task."""
        carried = self._carried.pop(fd)
        assert self._epoll is not None  # noqa: S101 - nothing is carried without it
        assert carried.task is not None  # noqa: S101 - nor for nobody
        self._epoll.unregister(fd)
        self._has_woken = True  # whoever takes it out does so to wake its task
        return carried.task


def _nothing() -> None:
    """Do nothing, in trio's loop, which does not sleep while there is something to do."""
