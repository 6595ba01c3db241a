"""The process that serves nobody: it holds the sockets, starts the workers, and ends with them.

SIGTERM and SIGINT: workers drain as a single gateway does (invariant I10), and when the last one has ended,
so does the supervisor. A second one ends all at once. SIGHUP: the configuration is read anew, a new crew is
started with it, and when that is complete the old one drains; a configuration that is wrong, or with which
no worker starts, is logged, and the old crew goes on (I11).

Should the supervisor be killed, its workers notice by their channels, drain and end.
"""

import signal
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import trio

from router.config import Config, ConfigError, Problem
from router.observe.log import Log
from router.workers.crew import Crew
from router.workers.doors import Doors
from router.workers.failure import WorkersFailed
from router.workers.process import Spawn, spawn_process
from router.workers.seat import Seats

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


async def serve_with_workers(
    config: Config,
    *,
    log: Log,
    read_config: Callable[[], Config],
    on_listening: Callable[[list[str]], None] = lambda _urls: None,
    spawn: Spawn = spawn_process,
) -> None:
    """Serve with `config.server.workers` processes until a signal says to stop, and all have drained.

    `on_listening` hears the base URLs once all workers listen; `read_config` reads the configuration anew.
    Cancellation kills the workers. Raises `OSError`, `WorkersFailed`.
    """
    with tempfile.TemporaryDirectory(prefix="syze-run-") as folder:
        supervisor = Supervisor(Path(folder), log=log, read_config=read_config, spawn=spawn)
        with trio.open_signal_receiver(*_SIGNALS) as signals:
            async with trio.open_nursery() as nursery:

                async def heed() -> None:
                    async for number in signals:
                        supervisor.heed(signal.Signals(number))

                nursery.start_soon(heed)
                await supervisor.run(config, on_listening)
                nursery.cancel_scope.cancel()


class Supervisor:
    """Starts crews, and hands over from one to the next. `folder` is private and empty."""

    def __init__(
        self, folder: Path, *, log: Log, read_config: Callable[[], Config], spawn: Spawn
    ) -> None:
        self._folder = folder
        self._log = log
        self._read_config = read_config
        self._spawn = spawn
        self._doors = Doors()
        self._seats = Seats()
        self._crews: list[Crew] = []
        self._stopping = False
        self._wanted_send, self._wanted = trio.open_memory_channel[None](1)

    def heed(self, number: signal.Signals) -> None:
        """Do what a signal asks for. Raises `WorkersFailed` at the second one that says to stop."""
        if number is signal.SIGHUP:
            try:
                self._wanted_send.send_nowait(None)
            except (trio.WouldBlock, trio.ClosedResourceError):
                return  # one is waiting to be done, or the end has begun
        elif self._stopping:
            raise WorkersFailed("told twice to stop: what was in flight was cut")
        else:
            self.stop()

    def stop(self) -> None:
        """Let all workers drain; `run` returns when they have."""
        self._stopping = True
        self._wanted_send.close()
        self._doors.close_all_but()
        for crew in self._crews:
            crew.dismiss("stop")

    async def run(self, config: Config, on_listening: Callable[[list[str]], None]) -> None:
        """Serve until `stop`, reloading when a signal asks for it."""
        try:
            async with trio.open_nursery() as nursery:
                crew = await self._muster(config, nursery)
                if not self._stopping:
                    on_listening(crew.urls)
                async for _ in self._wanted:
                    if not self._stopping:
                        crew = await self._reload(crew, nursery)
        finally:
            self._doors.close_all_but()

    async def _muster(self, config: Config, nursery: trio.Nursery) -> Crew:
        """Start a crew; return it when it is complete, or told to stop. Raises as `run` does."""
        await self._doors.open(config.server.bind)
        crew = Crew(
            config,
            spawn=self._spawn,
            listeners=self._doors.numbers(config.server.bind),
            folder=self._folder,
            seats=self._seats,
            log=self._log,
        )
        self._crews.append(crew)
        if self._stopping:  # since before there was a crew to tell
            crew.dismiss("stop")
        await nursery.start(self._run_crew, crew)
        return crew

    async def _run_crew(
        self, crew: Crew, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        try:
            await crew.run(task_status=task_status)
        finally:
            self._crews.remove(crew)

    async def _reload(self, old: Crew, nursery: trio.Nursery) -> Crew:
        """Replace the crew by one with the configuration as it is now; return the one that serves."""
        try:
            config = await trio.to_thread.run_sync(self._read_config)
            crew = await self._muster(config, nursery)
        except ConfigError as error:
            return self._go_on(old, "the configuration is wrong", error.problems)
        except (OSError, WorkersFailed) as error:
            return self._go_on(old, str(error))
        self._doors.close_all_but(() if self._stopping else config.server.bind)
        old.dismiss("relieve")
        self._log.logger.info("reloaded", urls=crew.urls, workers=config.server.workers)
        return crew

    def _go_on(self, old: Crew, reason: str, problems: Sequence[Problem] = ()) -> Crew:
        self._doors.close_all_but(old.config.server.bind)
        self._log.logger.error(
            "reload refused: the old configuration goes on",
            reason=reason,
            problems=[str(problem) for problem in problems],
        )
        return old
