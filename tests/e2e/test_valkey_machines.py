"""The shared windows under real load, and with a store that is paused, slow, killed or not there at all.

Two processes stand for two gateways. Their windows are seconds long instead of a minute, so that a few
seconds see several of them; the arithmetic is the same.
"""

import random
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import pytest
import trio
from _pytest.outcomes import Failed, Skipped

from limiter.demand import Refusal, Standing
from limiter.valkey import Settings, StoreAway, ValkeyLimiter, ValkeyReservation
from tests.conftest import SIZE
from tests.e2e.process import wait_until
from tests.e2e.valkey_server import SILENT, ValkeyServer, server_binary, store
from tests.e2e.valkey_world import PATIENT, demand, running, taken, unused

__all__ = ["store"]  # fixtures
pytestmark = SILENT

ROOT = Path(__file__).resolve().parents[2]
SUBJECTS = [f"key:{n}" for n in range(4)]
LIMIT = 1_000
BUCKET = 0.025
WINDOW = 60 * BUCKET
SECONDS = 4.0 * SIZE
HUNG = 3.0  # far beyond any patience, and far below never


class Taken(NamedTuple):
    at: float
    tokens: int


@contextmanager
def two_gateways(store: ValkeyServer, folder: Path, seconds: float) -> Iterator[list[Path]]:
    """Two hammering processes. At the end both have ended by themselves, without an error."""
    logs = [folder / f"gateway{n}.log" for n in range(2)]
    options = [str(seconds), str(BUCKET), str(LIMIT)]
    processes = []
    for log in logs:
        with log.with_suffix(".err").open("wb") as errors:
            command = [sys.executable, "-m", "tests.e2e.valkey_hammer", store.url, str(log)]
            processes.append(
                subprocess.Popen([*command, *options, *SUBJECTS], cwd=ROOT, stderr=errors)
            )
    try:
        wait_until("both hammer", lambda: all(log.with_suffix(".ready").exists() for log in logs))
        yield logs
        for process, log in zip(processes, logs, strict=True):
            code = process.wait(seconds + 30)
            assert code == 0, log.with_suffix(".err").read_text()
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()


def admitted(logs: list[Path]) -> dict[str, list[Taken]]:
    """What both processes were given, by subject, in the server's order."""
    found: dict[str, list[Taken]] = {subject: [] for subject in SUBJECTS}
    for log in logs:
        for line in log.read_text("ascii").splitlines():
            if line.startswith("taken"):
                _, subject, tokens, at = line.split()
                found[subject].append(Taken(float(at), int(tokens)))
    return {subject: sorted(entries) for subject, entries in found.items()}


def waits_for_nothing(logs: list[Path]) -> list[float]:
    """How long each caller waited that was told that the store is away."""
    lines = [line for log in logs for line in log.read_text("ascii").splitlines()]
    return [float(line.split()[1]) for line in lines if line.startswith("away")]


def fullest_window(entries: list[Taken]) -> int:
    """The most tokens in any half-open span of a window's length."""
    times = [entry.at for entry in entries]
    sums = [0, *accumulate(entry.tokens for entry in entries)]
    # A window is fullest where it ends with an admission: (at - WINDOW, at].
    return max(
        sums[i + 1] - sums[bisect_left(times, at - WINDOW + 1e-6)] for i, at in enumerate(times)
    )


def test_the_window_check_finds_an_excess() -> None:
    entries = [Taken(0.0, 600), Taken(WINDOW - 0.01, 500)]
    assert fullest_window(entries) == 1100
    assert fullest_window([Taken(0.0, 600), Taken(WINDOW, 500)]) == 600


def test_two_gateways_fill_no_window_over_its_limit_and_use_nearly_all_of_it(
    store: ValkeyServer, tmp_path: Path
) -> None:
    with two_gateways(store, tmp_path, SECONDS) as logs:
        pass
    for subject, entries in admitted(logs).items():
        assert fullest_window(entries) <= LIMIT, subject
        # Buckets expire after 61 of their lengths, so no more than 60/61 can be reached in the long run.
        cycle = WINDOW * 61 / 60
        cycles = int((entries[-1].at - entries[0].at) / cycle)
        assert cycles >= 2, subject
        end = entries[0].at + cycles * cycle
        used = sum(entry.tokens for entry in entries if entry.at < end)
        assert used >= 0.97 * LIMIT * cycles * cycle / WINDOW, subject


def test_a_store_that_is_paused_and_slow_costs_patience_and_no_window(
    store: ValkeyServer, tmp_path: Path
) -> None:
    with two_gateways(store, tmp_path, SECONDS + 2.0) as logs:
        time.sleep(1.0)
        store.pause()
        time.sleep(0.8)
        store.resume()
        time.sleep(0.7)
        for _ in range(6):  # slow: each answer takes longer than patience lasts
            store.pause()
            time.sleep(0.15)
            store.resume()
            time.sleep(0.005)
        resumed = time.time()
    waits = waits_for_nothing(logs)
    assert waits
    assert max(waits) < HUNG
    for subject, entries in admitted(logs).items():
        assert fullest_window(entries) <= LIMIT, subject
        assert entries[-1].at > resumed, f"{subject}: nothing came back"


def test_a_store_that_is_killed_and_comes_back_empty_serves_full_windows_and_no_fuller(
    store: ValkeyServer, tmp_path: Path
) -> None:
    with two_gateways(store, tmp_path, SECONDS + 0.5) as logs:
        time.sleep(1.0)
        store.kill()
        killed = time.time()
        time.sleep(0.5)
        store.start()
    assert max(waits_for_nothing(logs)) < HUNG
    for subject, entries in admitted(logs).items():
        before = [entry for entry in entries if entry.at <= killed]
        after = [entry for entry in entries if entry.at > killed]
        assert before, subject
        assert after, f"{subject}: nothing came back"
        assert fullest_window(before) <= LIMIT, subject
        assert fullest_window(after) <= LIMIT, subject


@pytest.mark.parametrize(("ci", "outcome"), [("true", Failed), ("", Skipped)])
def test_without_a_server_a_build_fails_and_a_developer_sees_a_skip(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(outcome, match="valkey-server"):
        server_binary()


# One process, watched more closely

QUICK = Settings(patience=0.1, give_up=0.5, probe=0.05)


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(30):
        while not condition():  # noqa: ASYNC110 - the limiter tells its state to whoever looks
            await trio.sleep(0.01)


async def until_away(limiter: ValkeyLimiter, *, away: bool) -> None:
    await until(lambda: (limiter.away is not None) == away)


async def test_a_gateway_starts_without_its_store_and_finds_it_when_it_comes(
    store: ValkeyServer,
) -> None:
    key = demand(unused("key"), requests=1)
    store.kill()
    async with running(store.url, settings=QUICK) as limiter:
        with pytest.raises(StoreAway, match="ConnectionError"):
            await taken(limiter, key)
        await trio.to_thread.run_sync(store.start)
        await until_away(limiter, away=False)
        await taken(limiter, key)


async def test_a_limiter_that_does_not_run_says_that_the_store_is_away(
    store: ValkeyServer,
) -> None:
    limiter = ValkeyLimiter(store.url, instance="idle")
    with pytest.raises(StoreAway, match="not answered yet"):
        await taken(limiter, demand(unused("key")))
    async with running(store.url) as closed:
        pass
    with pytest.raises(StoreAway, match="not running"):
        await taken(closed, demand(unused("key")))


async def test_a_silent_store_opens_the_breaker_and_nobody_waits_for_it_any_more(
    store: ValkeyServer,
) -> None:
    key = demand(unused("key"))
    async with running(store.url, settings=QUICK) as limiter:
        await taken(limiter, key)
        store.pause()
        with trio.fail_after(30):
            for _ in range(QUICK.tolerance):
                with pytest.raises(StoreAway):
                    await taken(limiter, key)
        assert limiter.away is not None
        before = trio.current_time()
        for _ in range(100):
            with pytest.raises(StoreAway):
                await taken(limiter, key)
        assert trio.current_time() - before < 100 * QUICK.patience
        store.resume()
        await until_away(limiter, away=False)
        await taken(limiter, key)


async def test_answers_that_come_too_late_are_given_back(store: ValkeyServer) -> None:
    key = demand(unused("key"), requests=10, concurrency=10)
    slow = Settings(patience=0.05, give_up=20.0, probe=0.05, tolerance=100)
    async with running(store.url, settings=slow) as limiter:
        kept = await taken(limiter, key)
        store.pause()
        outcomes: list[str] = []

        async def try_once() -> None:
            try:
                await taken(limiter, key)
            except StoreAway:
                outcomes.append("away")

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(try_once)
        store.resume()
        await until_away(limiter, away=False)
        assert outcomes == ["away"] * 5
        assert await settled_standing(
            limiter, key.subject, Standing(used_requests=1, used_tokens=1, in_flight=1)
        )
        kept.release(now=0.0)
        assert await settled_standing(limiter, key.subject, Standing())


async def settled_standing(
    limiter: ValkeyLimiter, subject: str, expected: Standing, *, gauges: bool = False
) -> bool:
    """Ask until the subject stands as expected: its gauges, and its windows as well unless only `gauges`."""
    with trio.move_on_after(30):
        while True:
            with suppress(StoreAway):
                found = await limiter.standing(subject)
                if figures(found, gauges=gauges) == figures(expected, gauges=gauges):
                    return True
            await trio.sleep(0.01)
    return False


def figures(standing: Standing, *, gauges: bool) -> tuple[int, ...]:
    windows = (standing.used_requests, standing.used_tokens)
    return (standing.in_flight, standing.held_credit, *(() if gauges else windows))


async def test_a_connection_that_broke_under_a_question_is_replaced_and_leaves_no_call_behind(
    store: ValkeyServer,
) -> None:
    key = demand(unused("key"), concurrency=2)
    async with running(store.url, settings=QUICK) as limiter:
        kept = await taken(limiter, key)
        for _ in range(3):
            store.pause()
            with pytest.raises(StoreAway):
                await taken(limiter, key)
            # Until the engine has given this connection up.
            await until(lambda: "no answer within 0.5" in str(limiter.away))
            store.resume()
            await until_away(limiter, away=False)
        assert await settled_standing(limiter, key.subject, Standing(in_flight=1), gauges=True)
        kept.release(now=0.0)
        assert await settled_standing(limiter, key.subject, Standing(), gauges=True)


async def test_a_reservation_from_before_a_restart_takes_nothing_from_the_empty_store(
    store: ValkeyServer,
) -> None:
    key = demand(unused("key"), tokens=100)
    async with running(store.url, settings=QUICK) as limiter:
        old = await taken(limiter, key, tokens=60)
        store.kill()
        await until_away(limiter, away=True)
        await trio.to_thread.run_sync(store.start)
        await until_away(limiter, away=False)
        assert await settled_standing(limiter, key.subject, Standing(in_flight=1))
        old.release(now=0.0)
        assert await settled_standing(limiter, key.subject, Standing())


async def test_cancelled_reservations_leave_nothing_behind(store: ValkeyServer) -> None:
    key = demand(unused("key"), requests=10_000, concurrency=10_000, credit=10**6)
    rng = random.Random(0)
    async with running(store.url, settings=PATIENT) as limiter:

        async def reserve_and_leave(delay: float) -> None:
            with trio.move_on_after(delay):
                outcome = await limiter.reserve([key], tokens=5, credit=7, now=0.0)
                assert not isinstance(outcome, Refusal)
                outcome.release(now=0.0)

        for _ in range(20 * SIZE):
            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(reserve_and_leave, rng.uniform(0, 0.004))
        assert await settled_standing(limiter, key.subject, Standing())


async def test_closing_tells_the_store_what_has_ended(store: ValkeyServer) -> None:
    key = demand(unused("key"))
    async with running(store.url) as witness:
        async with running(store.url) as limiter:
            held = [await taken(limiter, key, tokens=3) for _ in range(10)]
            for reservation in held:
                assert isinstance(reservation, ValkeyReservation)
                reservation.settle(tokens=2, now=0.0)
        standing = await witness.standing(key.subject)
        assert (standing.used_requests, standing.used_tokens, standing.in_flight) == (10, 20, 0)


async def test_closing_without_a_store_does_not_hang(store: ValkeyServer) -> None:
    async with running(store.url, settings=QUICK) as limiter:
        reservation = await taken(limiter, demand(unused("key")))
        store.kill()
        reservation.release(now=0.0)
        with trio.fail_after(30):
            await limiter.aclose()
