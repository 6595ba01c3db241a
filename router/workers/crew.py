"""The workers that run one configuration.

A crew is complete when all its workers listen. It keeps its seats filled: who dies is replaced, as `respawn`
says. It ends when it is dismissed and the last worker has drained, or fails when starting workers is hopeless
and none of them serves.

A reload makes a second crew, which takes over from the first once it is complete.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import trio

from router.config import Config
from router.observe.log import Log
from router.workers.channel import Assignment, Failed, Listening, Order, Report
from router.workers.failure import WorkersFailed
from router.workers.page import page_path
from router.workers.process import Spawn, Worker
from router.workers.respawn import Life, Respawn
from router.workers.seat import Seats

START_SECONDS: Final = 60.0
MARGIN_SECONDS: Final = 5.0


class Crew:
    """Workers with the same configuration, on the same sockets.

    `urls` are the base URLs, known once it is complete.
    """

    def __init__(
        self,
        config: Config,
        *,
        spawn: Spawn,
        listeners: Sequence[int],
        folder: Path,
        seats: Seats,
        log: Log,
    ) -> None:
        self.config = config
        self.urls: list[str] = []
        self._spawn = spawn
        self._listeners = listeners
        self._folder = folder
        self._seats = seats
        self._logger = log.logger
        self._listening: set[int] = set()
        self._complete = False
        self._order: Order = "stop"
        self._dismissed = trio.Event()
        self._settled = trio.Event()  # complete, dismissed or failed
        self._failure: str | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until dismissed and drained; started when complete or dismissed. Cancellation kills.

        Raises `WorkersFailed`.
        """
        async with trio.open_nursery() as nursery:
            for _ in range(self.config.server.workers):
                nursery.start_soon(self._fill_seat, self._seats.take())
            await self._settled.wait()
            if self._failure is None:
                task_status.started()
        if self._failure is not None:
            raise WorkersFailed(self._failure)

    def dismiss(self, order: Order) -> None:
        """Tell all workers to drain and end. The first order counts."""
        if not self._dismissed.is_set():
            self._order = order
            self._dismissed.set()
            self._settled.set()

    async def _fill_seat(self, index: int) -> None:
        """Keep a worker in this seat until the crew is dismissed."""
        history = Respawn()
        while not self._dismissed.is_set():
            life = await self._live(index)
            if not self._dismissed.is_set():
                await self._mourn(index, life, history)
        self._seats.give_back(index)
        page_path(self._folder, index).unlink(missing_ok=True)

    async def _mourn(self, index: int, life: Life, history: Respawn) -> None:
        delay = history.delay_after(life)
        self._logger.error(
            "worker ended",
            worker=index,
            fault=life.fault,
            lived_seconds=round(life.seconds, 3),
            restart_in_seconds=delay,
        )
        if history.hopeless and not (self._complete and self._listening):
            self._failure = f"worker {index} cannot start: {life.fault}"
            self.dismiss("relieve")  # siblings that listen already may have clients
            return
        with trio.move_on_after(delay):
            await self._dismissed.wait()

    async def _live(self, index: int) -> Life:
        """Start a worker and stay with it to its end. Raises no error of the worker's."""
        began = trio.current_time()
        assignment = Assignment(index, str(self._folder), self._listeners, self.config)
        try:
            async with self._spawn(assignment) as worker:
                report, fault = await self._watch(index, worker)
        except OSError as error:
            report, fault = None, f"no process: {error}"
        finally:
            self._listening.discard(index)
        listened = isinstance(report, Listening)
        return Life(listened=listened, seconds=trio.current_time() - began, fault=fault)

    async def _watch(self, index: int, worker: Worker) -> tuple[Report | None, str]:
        """Return what the worker reported and what ended it."""
        fault = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._dismiss_worker, index, worker)
            report = None
            with trio.move_on_after(START_SECONDS) as patience:
                report = await worker.report()
            if patience.cancelled_caught:
                fault = f"did not listen within {START_SECONDS:g} seconds"
                worker.kill()
            elif isinstance(report, Listening):
                self._take_note(index, worker, report)
            ended = await worker.wait()
            nursery.cancel_scope.cancel()
        if isinstance(report, Failed):
            fault = report.error
        return report, fault or ended

    def _take_note(self, index: int, worker: Worker, report: Listening) -> None:
        self._logger.info("worker listens", worker=index, pid=worker.pid)
        self._listening.add(index)
        if len(self._listening) == self.config.server.workers and not self._settled.is_set():
            self.urls = list(report.urls)
            self._complete = True
            self._settled.set()

    async def _dismiss_worker(self, index: int, worker: Worker) -> None:
        """Once the crew is dismissed, tell the worker, and do not wait for it for ever."""
        await self._dismissed.wait()
        await worker.order(self._order)
        server = self.config.server
        await trio.sleep(server.lame_duck_seconds + server.drain_seconds + MARGIN_SECONDS)
        self._logger.error("worker killed: it did not drain in time", worker=index, pid=worker.pid)
        worker.kill()
