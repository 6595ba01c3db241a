"""The watch under a virtual clock: when it asks, what it tells the ring, and what it survives.

Sources run in real worker threads, and meanwhile an automatic clock would jump to the next
deadline. So no test waits with a deadline while a poll is running. A source looks at the clock from
its thread, and when its time has come raises what no watch may catch; that also bounds a watch that
does not work.
"""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from router.accounts.keyring import KeyRing
from router.accounts.keys import ApiKey, hash_key, key_hint
from router.accounts.snapshot import Snapshot
from router.accounts.store import KeyStore
from router.accounts.watch import KeySource, watch_keys

State = tuple[int, list[ApiKey]]


def make_key(letter: str) -> tuple[ApiKey, str]:
    secret = "sk-syze-" + letter * 32
    key = ApiKey(
        id=f"key_{letter}",
        name=letter,
        hint=key_hint(secret),
        digest=hash_key(secret),
        created_at=0.0,
    )
    return key, secret


A, SECRET_A = make_key("a")
B, SECRET_B = make_key("b")


class RecordingRing(KeyRing):
    """A ring that remembers when it was replaced, and by what."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[tuple[float, set[str]]] = []
        self.replaced = trio.Event()

    def replace(self, snapshot: Snapshot) -> None:
        super().replace(snapshot)
        ids = {caller.key.id for caller in snapshot.callers}
        self.history.append((trio.current_time(), ids))
        self.replaced.set()
        self.replaced = trio.Event()


def opened_by(ring: KeyRing, secret: str) -> ApiKey | None:
    caller = ring.authenticate(secret)
    return caller.key if caller is not None else None


class TimeIsUp(BaseException):
    """Ends a watch from inside a poll."""


class TimelineSource:
    """A store whose state, or failure, at a moment is that of the last entry at or before it."""

    def __init__(self, timeline: list[tuple[float, State | Exception]], *, end: float) -> None:
        self._timeline = timeline
        self._end = end
        self.calls: list[tuple[float, str]] = []

    def revision(self) -> int:
        return self._state("revision")[0]

    def load(self) -> tuple[int, Snapshot]:
        revision, keys = self._state("load")
        return revision, Snapshot.embedded(keys)

    def _state(self, call: str) -> State:
        now = trio.from_thread.run_sync(trio.current_time)
        self.calls.append((now, call))
        if now >= self._end:
            raise TimeIsUp
        state = [state for at, state in self._timeline if at <= now][-1]
        if isinstance(state, Exception):
            raise state
        return state


class CountedSource:
    """A real store that ends the watch after so many polls, and can be told to act before one."""

    def __init__(
        self,
        store: KeySource,
        *,
        polls: int,
        before: dict[int, Callable[[], object]] | None = None,
    ) -> None:
        self._store = store
        self._polls = polls
        self._before = before or {}
        self._count = 0

    def revision(self) -> int:
        self._poll()
        return self._store.revision()

    def load(self) -> tuple[int, Snapshot]:
        if self._count == 0:
            self._poll()
        return self._store.load()

    def _poll(self) -> None:
        self._count += 1
        if self._count > self._polls:
            raise TimeIsUp
        self._before.get(self._count, lambda: None)()


def refuse(error: Exception) -> None:
    raise AssertionError("the watch reported an error") from error


async def watch_timeline(
    timeline: list[tuple[float, State | Exception]], *, end: float, interval: float = 0.5
) -> tuple[RecordingRing, TimelineSource, list[tuple[float, Exception]]]:
    ring = RecordingRing()
    errors: list[tuple[float, Exception]] = []

    def note(error: Exception) -> None:
        errors.append((trio.current_time(), error))

    source = TimelineSource(timeline, end=end)
    with pytest.raises(TimeIsUp):
        await watch_keys(source, ring, interval=interval, on_error=note)
    return ring, source, errors


async def test_the_first_load_is_at_once_and_later_polls_only_ask_for_the_revision(
    autojump_clock: MockClock,
) -> None:
    ring, source, errors = await watch_timeline([(0.0, (7, [A]))], end=1.5)
    assert source.calls == [(0.0, "load"), (0.5, "revision"), (1.0, "revision"), (1.5, "revision")]
    assert ring.history == [(0.0, {"key_a"})]
    assert errors == []


async def test_a_moved_revision_reloads_the_ring_at_the_next_poll(
    autojump_clock: MockClock,
) -> None:
    ring, source, _ = await watch_timeline(
        [(0.0, (1, [A])), (0.6, (2, [A, B])), (1.1, (3, [B]))], end=2.0
    )
    assert ring.history == [(0.0, {"key_a"}), (1.0, {"key_a", "key_b"}), (1.5, {"key_b"})]
    assert ring.authenticate(SECRET_A) is None
    assert opened_by(ring, SECRET_B) == B
    assert [call for call in source.calls if call[0] == 1.0] == [(1.0, "revision"), (1.0, "load")]


async def test_a_revision_that_goes_back_is_a_change_too(autojump_clock: MockClock) -> None:
    # As after the database was restored from a backup.
    ring, _, _ = await watch_timeline([(0.0, (9, [A, B])), (0.2, (4, [A]))], end=1.0)
    assert ring.history == [(0.0, {"key_a", "key_b"}), (0.5, {"key_a"})]


async def test_an_outage_keeps_the_last_keys_is_reported_and_ends(
    autojump_clock: MockClock,
) -> None:
    gone = OSError("the disk is gone")
    ring, _, errors = await watch_timeline([(0.0, (1, [A])), (0.5, gone), (1.5, (2, [B]))], end=2.0)
    assert errors == [(0.5, gone), (1.0, gone)]
    assert ring.history == [(0.0, {"key_a"}), (1.5, {"key_b"})]


async def test_a_store_that_fails_from_the_start_is_loaded_when_it_comes(
    autojump_clock: MockClock,
) -> None:
    gone = ValueError("nobody expected this one")
    ring, source, errors = await watch_timeline([(0.0, gone), (1.0, (1, [A]))], end=1.5)
    assert errors == [(0.0, gone), (0.5, gone)]
    assert ring.history == [(1.0, {"key_a"})]
    assert source.calls[-1] == (1.5, "revision")


async def test_keys_survive_an_outage_without_a_change(autojump_clock: MockClock) -> None:
    ring, _, errors = await watch_timeline(
        [(0.0, (1, [A])), (0.5, OSError("a moment")), (1.0, (1, [A]))], end=1.5
    )
    assert len(errors) == 1
    assert ring.history == [(0.0, {"key_a"})]
    assert opened_by(ring, SECRET_A) == A


async def test_the_interval_is_the_callers(autojump_clock: MockClock) -> None:
    _, source, _ = await watch_timeline([(0.0, (1, []))], end=0.5, interval=0.25)
    assert [at for at, _ in source.calls] == [0.0, 0.25, 0.5]


async def test_a_key_made_and_revoked_in_another_store_arrives_at_the_next_poll(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    ring = RecordingRing()
    made: list[tuple[ApiKey, str]] = []
    with KeyStore.open(tmp_path / "keys.db") as here, KeyStore.open(tmp_path / "keys.db") as there:
        source = CountedSource(
            here,
            polls=4,
            before={
                2: lambda: made.append(there.create("laptop")),
                4: lambda: there.revoke("laptop"),
            },
        )
        with pytest.raises(TimeIsUp):
            await watch_keys(source, ring, on_error=refuse)
    [(key, secret)] = made
    assert ring.history == [(0.0, set()), (0.5, {key.id}), (1.5, set())]
    assert ring.authenticate(secret) is None


@pytest.mark.parametrize("revoked_at", [0.01, 0.3, 0.49, 0.5, 0.51])
async def test_i12_a_key_revoked_by_another_process_stops_working_within_a_second(
    tmp_path: Path, autojump_clock: MockClock, revoked_at: float
) -> None:
    ring = RecordingRing()
    path = tmp_path / "keys.db"
    with KeyStore.open(path) as here, KeyStore.open(path) as there:
        key, secret = there.create("laptop")
        async with trio.open_nursery() as nursery:
            loaded = ring.replaced
            source = CountedSource(here, polls=8)

            async def watch() -> None:
                await watch_keys(source, ring, on_error=refuse)

            nursery.start_soon(watch)
            await loaded.wait()
            assert opened_by(ring, secret) == key
            await trio.sleep_until(revoked_at)
            changed = ring.replaced
            there.revoke(key.id)
            await changed.wait()
            assert ring.authenticate(secret) is None
            nursery.cancel_scope.cancel()
    assert len(ring.history) == 2
    assert ring.history[-1][0] - revoked_at < 1.0


async def test_cancellation_does_not_wait_for_a_query_that_hangs() -> None:
    entered = trio.Event()
    release = threading.Event()
    finished = threading.Event()

    class HangingSource:
        def revision(self) -> int:
            raise AssertionError("nothing was loaded yet")

        def load(self) -> tuple[int, Snapshot]:
            trio.from_thread.run_sync(entered.set)
            release.wait(10)
            finished.set()
            return 1, Snapshot.embedded([A])

    ring = RecordingRing()

    async def watch() -> None:
        await watch_keys(HangingSource(), ring, on_error=refuse)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        await entered.wait()
        nursery.cancel_scope.cancel()
    assert not finished.is_set()
    release.set()
    assert await trio.to_thread.run_sync(finished.wait, 10)
    await trio.testing.wait_all_tasks_blocked()
    assert ring.history == []
