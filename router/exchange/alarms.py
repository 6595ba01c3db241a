"""Alarms: what is to happen at a moment, unless it is called off before, for all races of a process.

Most races are won by their first attempt, long before anybody would join it, and before its time is over. A
task that sleeps until such a moment, or a scope with that deadline, would nearly always be made for nothing,
and making one costs more than all decisions of the race. So one task sleeps for all, until the earliest
moment of any; to set an alarm is to put a line on a heap. An alarm that was called off stays there until its
time, or until most of the heap is like it.
"""

from collections.abc import Awaitable, Callable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final

import trio

_NEVER: Final = float("inf")
_FEW: Final = 64  # so many that were called off are no reason to tidy up


class Alarm:
    """One that was set; `ring(now)` is called once, and not at all after `Alarms.call_off`."""

    __slots__ = ("ring",)

    def __init__(self, ring: Callable[[float], None]) -> None:
        self.ring: Callable[[float], None] | None = ring


class Alarms:
    """All alarms of one process, which ring while `run` runs; `pending` of them are still to come.

    The same task has the nursery for what an alarm sets off.

    Moments are trio's. What rings is synchronous and must not raise.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Alarm]] = []
        self._numbers = count()
        self._scope: trio.CancelScope | None = None
        self._nursery: trio.Nursery | None = None
        self._wakes = _NEVER
        self.pending = 0

    @property
    def lines(self) -> int:
        """How many lines the heap has, of those called off too."""
        return len(self._heap)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Let alarms ring, each at its moment, until cancelled."""
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            while True:
                self._wakes = self._heap[0][0] if self._heap else _NEVER
                with trio.CancelScope(deadline=self._wakes) as self._scope:
                    await trio.sleep_forever()
                self._ring_those_due(trio.current_time())

    def start(self, work: Callable[[], Awaitable[None]]) -> None:
        """Start a task, which must not raise, that is cancelled with `run` at the latest."""
        if self._nursery is None:
            raise RuntimeError("alarms do not ring yet")
        self._nursery.start_soon(work)

    def set(self, moment: float, ring: Callable[[float], None]) -> Alarm:
        """Let `ring(now)` be called at `moment`, or at once if that has passed, from the task of `run`."""
        alarm = Alarm(ring)
        heappush(self._heap, (moment, next(self._numbers), alarm))
        self.pending += 1
        if moment < self._wakes and self._scope is not None:
            self._wakes = self._scope.deadline = moment
        return alarm

    def call_off(self, alarm: Alarm) -> None:
        """Let an alarm not ring any more; no effect on one that has rung."""
        if alarm.ring is None:
            return
        alarm.ring = None
        self.pending -= 1
        if len(self._heap) > 2 * self.pending + _FEW:
            self._heap = [line for line in self._heap if line[2].ring is not None]
            heapify(self._heap)

    def _ring_those_due(self, now: float) -> None:
        while self._heap and (self._heap[0][0] <= now or self._heap[0][2].ring is None):
            alarm = heappop(self._heap)[2]
            ring, alarm.ring = alarm.ring, None
            if ring is not None:
                self.pending -= 1
                ring(now)
