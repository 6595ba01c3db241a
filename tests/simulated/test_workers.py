"""Supervisor and crew over scripted workers in virtual time, and the page over sockets of its own."""

import io
import math
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import trio
import trio.testing

from router.config import Config, ConfigError, Problem, ServerConfig
from router.observe.log import make_log
from router.workers.channel import Assignment, Failed, Listening, Order, Report
from router.workers.crew import MARGIN_SECONDS, START_SECONDS
from router.workers.failure import WorkersFailed, leaves
from router.workers.page import MetricsPage, page_path
from router.workers.process import Worker
from router.workers.seat import Seat
from router.workers.supervisor import Supervisor

URL = "http://127.0.0.1:1/v1"
QUIET_SECONDS = (
    0.02  # real ones: sockets and threads are real here, limits come when these are quiet
)


class Play(NamedTuple):
    """How one worker behaves: seconds to listen, to live, to drain; or the fault at its start."""

    starts: float = 1.0
    fault: str | None = None
    lives: float = math.inf
    drains: float = 0.0


class ScriptedWorker:
    """A worker without a process."""

    def __init__(self, play: Play, pid: int) -> None:
        self.pid = pid
        self.orders: list[tuple[Order, float]] = []
        self.killed = trio.Event()
        self._play = play
        self._told = trio.Event()

    async def report(self) -> Report | None:
        await trio.sleep(self._play.starts)
        return Listening([URL]) if self._play.fault is None else Failed(self._play.fault)

    async def order(self, order: Order) -> None:
        self.orders.append((order, trio.current_time()))
        self._told.set()
        await trio.lowlevel.checkpoint()

    async def wait(self) -> str:
        if self._play.fault is not None:
            await trio.lowlevel.checkpoint()
            return "exit code 1"
        with trio.move_on_after(self._play.lives) as life:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._drain, nursery.cancel_scope)
                await self.killed.wait()
                nursery.cancel_scope.cancel()
                return "killed by SIGKILL"
        return "killed by SIGSEGV" if life.cancelled_caught else "exit code 0"

    async def _drain(self, end: trio.CancelScope) -> None:
        await self._told.wait()
        await trio.sleep(self._play.drains)
        end.cancel()

    def kill(self) -> None:
        self.killed.set()


class Stage:
    """A supervisor whose workers behave as scripted: for each seat in turn, the last one for ever."""

    def __init__(self, folder: Path, script: dict[int, list[Play]] | None = None) -> None:
        self.script = script or {}
        self.started: list[tuple[int, float]] = []
        self.assigned: list[Assignment] = []
        self.workers: list[ScriptedWorker] = []
        self.alive: list[int] = []
        self.urls: list[str] = []
        self.file: Config | Exception = Config()
        self.log = io.BytesIO()
        self.supervisor = Supervisor(
            folder, log=make_log(self.log), read_config=self._read, spawn=self._spawn
        )

    async def run(self, config: Config) -> None:
        await self.supervisor.run(config, self.urls.extend)

    @asynccontextmanager
    async def _spawn(self, assignment: Assignment) -> AsyncIterator[Worker]:
        index = assignment.index
        assert index not in self.alive, "two living workers have one number"
        plays = self.script.get(index) or [Play()]
        play = plays.pop(0) if len(plays) > 1 else plays[0]
        worker = ScriptedWorker(play, pid=len(self.workers))
        self.workers.append(worker)
        self.assigned.append(assignment)
        self.started.append((index, trio.current_time()))
        self.alive.append(index)
        try:
            yield worker
        finally:
            self.alive.remove(index)

    def of(self, index: int) -> list[ScriptedWorker]:
        """The workers that sat in this seat, one after the other."""
        numbered = zip(self.assigned, self.workers, strict=True)
        return [worker for assignment, worker in numbered if assignment.index == index]

    def _read(self) -> Config:
        if isinstance(self.file, Exception):
            raise self.file
        return self.file

    def lines(self, event: str) -> list[dict[str, Any]]:
        lines = [msgspec.json.decode(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]

    def hang_up(self) -> None:
        self.supervisor.heed(signal.SIGHUP)


def config_of(workers: int, **server: Any) -> Config:
    settings = {"bind": ["127.0.0.1:0"], "drain_seconds": 20.0, **server}
    return Config(server=ServerConfig(workers=workers, **settings))


def play(scenario: Callable[[], Awaitable[None]]) -> None:
    clock = trio.testing.MockClock(autojump_threshold=QUIET_SECONDS)
    trio.run(partial(scenario), clock=clock)


async def together(*tasks: Callable[[], Awaitable[None]]) -> None:
    async with trio.open_nursery() as nursery:
        for task in tasks:
            nursery.start_soon(task)


def times(stage: Stage, index: int, began: float) -> list[float]:
    """When the workers of a seat were started, in seconds since `began`."""
    return [round(at - began, 6) for number, at in stage.started if number == index]


def test_the_address_is_announced_when_the_last_worker_listens(tmp_path: Path) -> None:
    async def scenario() -> None:
        stage = Stage(tmp_path, {2: [Play(starts=5.0)]})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stage.run, config_of(3))
            await trio.sleep(4.9)
            assert stage.urls == []
            await trio.sleep(0.2)
            assert stage.urls == [URL]
            stage.supervisor.stop()
        assert stage.alive == []

    play(scenario)


def test_a_worker_that_dies_again_and_again_comes_back_later_each_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        stage = Stage(tmp_path, {1: [Play(starts=0.0, lives=1.0)]})
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stage.run, config_of(2))
            await trio.sleep(12.2)
            stage.supervisor.stop()
        assert times(stage, 0, began) == [0.0]
        assert times(stage, 1, began) == [0.0, 1.0, 2.5, 4.5, 7.5]
        line = stage.lines("worker ended")[0]
        assert (line["worker"], line["fault"], line["restart_in_seconds"]) == (
            1,
            "killed by SIGSEGV",
            0.0,
        )

    play(scenario)


def test_a_gateway_that_cannot_start_gives_up_with_the_fault(tmp_path: Path) -> None:
    async def scenario() -> None:
        stage = Stage(tmp_path, {1: [Play(starts=0.1, fault="no such file")]})
        with pytest.raises(ExceptionGroup) as caught:
            await stage.run(config_of(2))
        [error] = leaves(caught.value)
        assert isinstance(error, WorkersFailed)
        assert "no such file" in str(error)
        assert len(stage.lines("worker ended")) == 3
        assert not stage.urls
        assert not stage.alive

    play(scenario)


def test_a_seat_that_stays_empty_does_not_end_those_who_serve(tmp_path: Path) -> None:
    async def scenario() -> None:
        broken = Play(starts=0.1, fault="no such file")
        stage = Stage(tmp_path, {1: [Play(lives=60.0), *[broken] * 8, Play()]})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stage.run, config_of(2))
            await trio.sleep(600)
            assert sorted(stage.alive) == [0, 1]  # back at last
            stage.supervisor.stop()
        assert len(stage.lines("worker ended")) == 9

    play(scenario)


def test_when_nobody_serves_and_nobody_can_start_the_gateway_ends(tmp_path: Path) -> None:
    async def scenario() -> None:
        broken = Play(starts=0.1, fault="disk gone")
        stage = Stage(tmp_path, {0: [Play(lives=60.0), broken], 1: [Play(lives=61.0), broken]})
        with pytest.raises(ExceptionGroup) as caught:
            await stage.run(config_of(2))
        assert ["disk gone" in str(error) for error in leaves(caught.value)] == [True]
        assert stage.alive == []

    play(scenario)


def test_a_worker_that_hangs_at_its_start_is_replaced(tmp_path: Path) -> None:
    async def scenario() -> None:
        stage = Stage(tmp_path, {0: [Play(starts=math.inf), Play()]})
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stage.run, config_of(2))
            await trio.sleep(START_SECONDS + 2)
            stage.supervisor.stop()
        assert times(stage, 0, began) == [0.0, START_SECONDS]
        assert [worker.killed.is_set() for worker in stage.of(0)] == [True, False]
        assert stage.urls == [URL]

    play(scenario)


def test_a_stop_waits_for_those_who_drain_and_kills_who_does_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        stage = Stage(tmp_path, {0: [Play(drains=15.0)], 1: [Play(drains=math.inf)]})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stage.run, config_of(2, lame_duck_seconds=3.0))
            await trio.sleep(2)
            stage.supervisor.heed(signal.SIGTERM)
            stopped = trio.current_time()
        took = trio.current_time() - stopped
        assert took == pytest.approx(3.0 + 20.0 + MARGIN_SECONDS)
        [patient], [stubborn] = stage.of(0), stage.of(1)
        assert [patient.killed.is_set(), stubborn.killed.is_set()] == [False, True]
        assert [patient.orders[0][0], stubborn.orders[0][0]] == ["stop", "stop"]
        assert len(stage.started) == 2

    play(scenario)


def test_a_stop_before_anybody_listens_announces_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        stage = Stage(tmp_path)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stage.run, config_of(2))
            await trio.sleep(0.5)
            stage.supervisor.stop()
        assert not stage.urls
        assert not stage.alive

    play(scenario)


def test_the_second_signal_to_stop_ends_all_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        stage = Stage(tmp_path, {0: [Play(drains=15.0)]})

        async def stop_twice() -> None:
            await trio.sleep(2)
            stage.supervisor.heed(signal.SIGINT)
            await trio.sleep(1)
            stage.supervisor.heed(signal.SIGTERM)

        began = trio.current_time()
        with pytest.raises(ExceptionGroup) as caught:
            await together(partial(stage.run, config_of(1)), stop_twice)
        assert [type(error) for error in leaves(caught.value)] == [WorkersFailed]
        assert trio.current_time() == began + 3.0
        assert stage.alive == []

    play(scenario)


def test_a_reload_starts_the_new_before_the_old_are_relieved(tmp_path: Path) -> None:
    async def scenario() -> None:
        stage = Stage(tmp_path, {0: [Play(drains=10.0), Play()], 1: [Play(drains=10.0), Play()]})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stage.run, config_of(2))
            await trio.sleep(2)
            asked = trio.current_time()
            stage.file = config_of(3)
            stage.hang_up()
            await trio.sleep(5)
            # The old ones drain still, so the new ones have other numbers.
            assert sorted(stage.alive) == [0, 1, 2, 3, 4]
            relieved = [worker.orders for worker in stage.workers[:2]]
            assert [[order for order, _ in orders] for orders in relieved] == [["relieve"]] * 2
            assert all(at >= asked + 1.0 for orders in relieved for _, at in orders)
            await trio.sleep(10)
            assert sorted(stage.alive) == [2, 3, 4]
            stage.hang_up()
            await trio.sleep(5)
            assert sorted(stage.alive) == [0, 1, 5]
            stage.supervisor.stop()
        assert stage.assigned[0].config.server.workers == 2
        assert stage.assigned[-1].config.server.workers == 3
        assert len(stage.lines("reloaded")) == 2

    play(scenario)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (
            ConfigError("syze.toml", [Problem("server.wrokers", "unknown")]),
            "configuration is wrong",
        ),
        (config_of(1, bind=["192.0.2.1:80"]), "cannot listen on 192.0.2.1:80"),
        (config_of(1, lame_duck_seconds=1.0), "no such file"),
    ],
)
def test_a_reload_that_fails_leaves_the_old_workers_alone(
    tmp_path: Path, file: Config | Exception, reason: str
) -> None:
    async def scenario() -> None:
        broken = Play(starts=0.1, fault="no such file")
        stage = Stage(tmp_path, {2: [broken]})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stage.run, config_of(2))
            await trio.sleep(2)
            stage.file = file
            stage.hang_up()
            await trio.sleep(10)
            assert sorted(stage.alive) == [0, 1]
            assert [worker.orders for worker in stage.workers[:2]] == [[], []]
            [line] = stage.lines("reload refused: the old configuration goes on")
            assert reason in line["reason"]
            stage.supervisor.stop()

    play(scenario)


def test_a_stop_during_a_reload_stops_both_crews(tmp_path: Path) -> None:
    async def scenario() -> None:
        stage = Stage(tmp_path, {2: [Play(starts=5.0)]})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stage.run, config_of(2))
            await trio.sleep(2)
            stage.file = config_of(1)
            stage.hang_up()
            stage.hang_up()
            stage.hang_up()
            await trio.sleep(1)
            assert sorted(stage.alive) == [0, 1, 2]
            stage.supervisor.stop()
        assert stage.alive == []
        assert len(stage.started) == 3

    play(scenario)


def own_page(index: int) -> Callable[[], tuple[bytes, str]]:
    text = f"# HELP g G.\n# TYPE g gauge\ng {index}.0\n"
    return lambda: (text.encode(), "text/plain")


def test_whoever_is_scraped_tells_of_all(tmp_path: Path) -> None:
    async def scenario() -> None:
        pages = [MetricsPage(own_page(n), Seat(n, folder=tmp_path)) for n in range(3)]
        async with trio.open_nursery() as nursery:
            for page in pages:
                await nursery.start(page.serve)
            told = {await page.render() for page in pages}
            nursery.cancel_scope.cancel()
        [(text, content_type)] = told
        assert content_type == "text/plain"
        assert [f'g{{worker="{n}"}} {n}.0\n'.encode() in text for n in range(3)] == [True] * 3

    play(scenario)
    assert list(tmp_path.iterdir()) == []


def test_a_dead_a_silent_and_a_torn_page_are_told_and_do_not_fail_the_scrape(
    tmp_path: Path,
) -> None:
    async def tear(stream: trio.SocketStream) -> None:
        await stream.send_all(b"100\ng 3.0\n")
        await stream.aclose()

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            silent, torn, dead = [listening_at(page_path(tmp_path, n)) for n in (1, 2, 3)]
            nursery.start_soon(trio.serve_listeners, tear, [torn])
            await dead.aclose()
            began = trio.current_time()
            text, _ = await MetricsPage(own_page(0), Seat(0, folder=tmp_path)).render()
            assert trio.current_time() - began == pytest.approx(1.0)
            nursery.cancel_scope.cancel()
            await silent.aclose()
        ups = [line for line in text.decode().splitlines() if line.startswith("syze_worker_up")]
        assert [line[-3:] for line in ups] == ["1.0", "0.0", "0.0", "0.0"]
        assert b'g{worker="0"} 0.0\n' in text

    play(scenario)


def listening_at(path: Path) -> trio.SocketListener:
    import socket

    opened = socket.socket(socket.AF_UNIX)
    opened.bind(str(path))
    opened.listen()
    opened.setblocking(False)
    return trio.SocketListener(trio.socket.from_stdlib_socket(opened))


def test_a_page_without_siblings_is_its_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        page = MetricsPage(own_page(7), Seat())
        async with trio.open_nursery() as nursery:
            await nursery.start(page.serve)
        assert await page.render() == own_page(7)()

    play(scenario)
