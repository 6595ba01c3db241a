"""The rules of the shared windows, on a real server whose clock the tests turn by hand."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from limiter.demand import Demand, Refusal, Standing
from limiter.valkey import Settings, ValkeyLimiter, ValkeyReservation
from tests.e2e.process import wait_until
from tests.e2e.valkey_server import SILENT, ValkeyServer, running_server, shared_store, store
from tests.e2e.valkey_world import PATIENT, Clock, demand, refused, running, taken, unused

__all__ = ["shared_store", "store"]  # fixtures
pytestmark = SILENT


@pytest.fixture
def clock() -> Clock:
    return Clock()


# Each limit


async def test_requests_are_limited_and_fit_again_when_the_oldest_have_expired(
    shared_store: ValkeyServer, clock: Clock
) -> None:
    key = demand(unused("key"), requests=3)
    async with running(shared_store.url, clock=clock) as limiter:
        for _ in range(3):
            await taken(limiter, key)
            clock.advance(2.25)
        refusal = await refused(limiter, key)
        assert refusal == Refusal(
            subject=key.subject, kind="requests", limit=3, used=3, asked=1, fits_after=54.25
        )
        clock.advance(54.249999)
        await refused(limiter, key)
        clock.advance(0.000001)
        await taken(limiter, key)


async def test_tokens_fit_again_when_enough_of_them_have_expired(
    shared_store: ValkeyServer, clock: Clock
) -> None:
    key = demand(unused("key"), tokens=100)
    async with running(shared_store.url, clock=clock) as limiter:
        for amount in (10, 20, 60):
            await taken(limiter, key, tokens=amount)
            clock.advance(10)
        refusal = await refused(limiter, key, tokens=35)
        assert (refusal.kind, refusal.used, refusal.asked) == ("tokens", 90, 35)
        assert refusal.fits_after == 61 + 10 - 30
        assert (await refused(limiter, key, tokens=101)).fits_after is None
        await taken(limiter, key, tokens=10)


async def test_concurrency_is_free_again_when_a_call_ends(shared_store: ValkeyServer) -> None:
    key = demand(unused("key"), concurrency=2)
    async with running(shared_store.url) as limiter:
        first = await taken(limiter, key)
        await taken(limiter, key)
        refusal = await refused(limiter, key)
        assert (refusal.kind, refusal.limit, refusal.used) == ("concurrency", 2, 2)
        assert refusal.fits_after is None
        first.settle(tokens=1, now=0.0)
        await taken(limiter, key)


async def test_credit_is_held_where_it_is_counted_and_nowhere_else(
    shared_store: ValkeyServer,
) -> None:
    account, key = demand(unused("account"), credit=10**15), demand(unused("key"))
    async with running(shared_store.url) as limiter:
        held = await taken(limiter, account, key, credit=6 * 10**14)
        refusal = await refused(limiter, account, key, credit=6 * 10**14)
        assert (refusal.subject, refusal.kind) == (account.subject, "credit")
        assert (refusal.limit, refusal.used, refusal.asked) == (10**15, 6 * 10**14, 6 * 10**14)
        assert (await limiter.standing(key.subject)).held_credit == 0
        held.release(now=0.0)
        assert (await limiter.standing(account.subject)).held_credit == 0
        await taken(limiter, account, key, credit=10**15)


async def test_more_credit_for_a_running_call_is_no_other_call(shared_store: ValkeyServer) -> None:
    async with running(shared_store.url) as limiter:
        key = demand(unused("key"), requests=1, concurrency=1, credit=100)
        call = await taken(limiter, key, credit=60)
        more = await limiter.reserve([key], tokens=0, credit=30, calls=0, now=0.0)
        assert not isinstance(more, Refusal)
        refusal = await limiter.reserve([key], tokens=0, credit=11, calls=0, now=0.0)
        assert isinstance(refusal, Refusal)
        assert (refusal.kind, refusal.used) == ("credit", 90)
        standing = await limiter.standing(key.subject)
        assert (standing.used_requests, standing.in_flight, standing.held_credit) == (1, 1, 90)
        more.release(now=0.0)
        call.settle(tokens=1, now=0.0)
        standing = await limiter.standing(key.subject)
        assert (standing.used_requests, standing.in_flight, standing.held_credit) == (1, 0, 0)


async def test_a_refused_reservation_takes_from_nobody(shared_store: ValkeyServer) -> None:
    key, account = demand(unused("key")), demand(unused("account"), tokens=10)
    async with running(shared_store.url) as limiter:
        refusal = await refused(limiter, key, account, tokens=11)
        assert refusal.subject == account.subject
        assert await limiter.standing(key.subject) == Standing()
        assert await limiter.standing(account.subject) == Standing()


async def test_of_several_limits_the_one_that_takes_longest_is_named(
    shared_store: ValkeyServer, clock: Clock
) -> None:
    early, late = demand(unused("key"), requests=1), demand(unused("key"), requests=1)
    busy = demand(unused("key"), concurrency=1)
    async with running(shared_store.url, clock=clock) as limiter:
        await taken(limiter, early)
        clock.advance(5)
        await taken(limiter, late)
        refusal = await refused(limiter, early, late)
        assert (refusal.subject, refusal.fits_after) == (late.subject, 61)
        await taken(limiter, busy)
        refusal = await refused(limiter, early, busy, late)
        assert (refusal.subject, refusal.fits_after) == (busy.subject, None)


# Ends


async def test_what_was_reserved_and_not_used_goes_back_to_its_bucket(
    shared_store: ValkeyServer, clock: Clock
) -> None:
    key = demand(unused("key"), tokens=100)
    async with running(shared_store.url, clock=clock) as limiter:
        reservation = await taken(limiter, key, tokens=100)
        clock.advance(30)
        reservation.settle(tokens=40, now=0.0)
        standing = await limiter.standing(key.subject)
        assert (standing.used_requests, standing.used_tokens) == (1, 40)
        assert standing.tokens_reset == 31
        await taken(limiter, key, tokens=60)
        clock.advance(31)
        assert (await limiter.standing(key.subject)).used_tokens == 60


async def test_what_was_used_beyond_the_reservation_is_a_debt_from_now_on(
    shared_store: ValkeyServer, clock: Clock
) -> None:
    key = demand(unused("key"), tokens=100)
    async with running(shared_store.url, clock=clock) as limiter:
        reservation = await taken(limiter, key, tokens=50)
        clock.advance(30)
        reservation.settle(tokens=170, now=0.0)
        assert (await limiter.standing(key.subject)).used_tokens == 170
        refusal = await refused(limiter, key, tokens=1)
        assert (refusal.used, refusal.fits_after) == (170, 61)
        clock.advance(31)
        assert (await limiter.standing(key.subject)).used_tokens == 120


async def test_a_release_leaves_no_trace(shared_store: ValkeyServer, clock: Clock) -> None:
    key = demand(unused("key"), credit=10)
    async with running(shared_store.url, clock=clock) as limiter:
        reservation = await taken(limiter, key, tokens=50, credit=10)
        reservation.release(now=0.0)
        assert await limiter.standing(key.subject) == Standing()


@pytest.mark.parametrize("gap", [61, 62, 1000])
async def test_what_ends_after_its_bucket_has_expired_gives_nothing_back(
    shared_store: ValkeyServer, clock: Clock, gap: int
) -> None:
    key = demand(unused("key"))
    async with running(shared_store.url, clock=clock) as limiter:
        old = await taken(limiter, key, tokens=50)
        clock.advance(gap)
        await taken(limiter, key, tokens=7)  # into the place of the old bucket, when gap is 61
        old.release(now=0.0)
        standing = await limiter.standing(key.subject)
        assert (standing.used_requests, standing.used_tokens, standing.in_flight) == (1, 7, 1)


# The server's clock


async def test_a_clock_that_steps_back_forgets_nothing(
    shared_store: ValkeyServer, clock: Clock
) -> None:
    key = demand(unused("key"), tokens=100)
    async with running(shared_store.url, clock=clock) as limiter:
        await taken(limiter, key, tokens=60)
        clock.advance(-30)
        refusal = await refused(limiter, key, tokens=50)
        assert (refusal.used, refusal.fits_after) == (60, 91)
        await taken(limiter, key, tokens=40)
        clock.advance(90)
        assert (await limiter.standing(key.subject)).used_tokens == 100
        clock.advance(1)
        assert (await limiter.standing(key.subject)).used_tokens == 0


async def test_a_clock_that_was_far_ahead_blocks_a_key_for_one_window_only(
    shared_store: ValkeyServer, clock: Clock
) -> None:
    key = demand(unused("key"), tokens=100)
    async with running(shared_store.url, clock=clock) as limiter:
        await taken(limiter, key, tokens=60)
        clock.advance(-3600)
        assert (await refused(limiter, key, tokens=50)).fits_after == 61
        clock.advance(61)
        await taken(limiter, key, tokens=100)


async def test_a_reservation_of_a_clock_that_was_far_ahead_takes_nothing_from_others(
    shared_store: ValkeyServer, clock: Clock
) -> None:
    key = demand(unused("key"))
    async with running(shared_store.url, clock=clock) as limiter:
        ahead = await taken(limiter, key, tokens=60)
        clock.advance(-61 * 60)  # a bucket that lies at the same place of the ring
        await taken(limiter, key, tokens=7)
        ahead.release(now=0.0)
        assert (await limiter.standing(key.subject)).used_tokens == 67


# Several gateways


async def test_gateways_share_windows_and_gauges(shared_store: ValkeyServer) -> None:
    key = demand(unused("key"), tokens=100, concurrency=2)
    async with running(shared_store.url) as one, running(shared_store.url) as other:
        await taken(one, key, tokens=60)
        assert (await refused(other, key, tokens=41)).used == 60
        await taken(other, key, tokens=40)
        standing = await one.standing(key.subject)
        assert (standing.used_requests, standing.used_tokens, standing.in_flight) == (2, 100, 2)


async def test_the_calls_of_a_dead_gateway_fall_out(
    shared_store: ValkeyServer, clock: Clock
) -> None:
    key = demand(unused("key"), concurrency=1, credit=10)
    async with running(shared_store.url, clock=clock) as survivor:
        async with trio.open_nursery() as nursery:
            dead = ValkeyLimiter(shared_store.url, instance="dead", settings=PATIENT, clock=clock)
            await nursery.start(dead.run)
            await taken(dead, key, credit=10)
            nursery.cancel_scope.cancel()
        assert (await refused(survivor, key, credit=1)).kind == "concurrency"
        clock.advance(PATIENT.alive)
        await refused(survivor, key)
        clock.advance(0.001)
        assert (await survivor.standing(key.subject)).in_flight == 0
        await taken(survivor, key, credit=10)


async def test_the_calls_of_a_living_gateway_stay_counted_however_long_they_take(
    shared_store: ValkeyServer,
) -> None:
    key = demand(unused("key"), concurrency=1)
    brief = Settings(patience=5.0, give_up=10.0, probe=0.05, alive=0.6)
    async with (
        running(shared_store.url, settings=brief) as one,
        running(shared_store.url, settings=brief) as other,
    ):
        reservation = await taken(one, key)
        for _ in range(6):
            await trio.sleep(0.2)
            await refused(other, key)
        reservation.settle(tokens=1, now=0.0)
        assert (await one.standing(key.subject)).in_flight == 0


# Scripts and clusters


async def test_a_server_that_forgot_the_scripts_is_taught_again(store: ValkeyServer) -> None:
    key = demand(unused("key"), requests=2)
    async with running(store.url) as limiter:
        await taken(limiter, key)
        store.command("SCRIPT", "FLUSH")
        reservation = await taken(limiter, key)
        await refused(limiter, key)
        store.command("SCRIPT", "FLUSH")
        reservation.release(now=0.0)
        assert (await limiter.standing(key.subject)).used_requests == 1


async def test_a_cluster_decides_each_tag_by_itself_and_gives_back_what_another_refused(
    tmp_path: Path, clock: Clock
) -> None:
    options = ("--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1")
    with running_server(tmp_path, *options) as server:
        server.command("CLUSTER", "ADDSLOTS", *map(str, range(16384)))
        wait_until("the cluster is ready", lambda: b"state:ok" in server.command("CLUSTER", "INFO"))
        url = server.url.replace("redis:", "redis+cluster:")
        key, account, tier = demand("key:a"), demand("account:a", tokens=10), demand("tier:t")
        tags = {key.subject: "acc_a", account.subject: "acc_a"}
        async with running(url, clock=clock) as limiter:
            reserve = partial(limiter.reserve, [tier, key, account], now=0.0, tags=tags)
            assert isinstance(await reserve(tokens=10), ValkeyReservation)
            assert isinstance(await reserve(tokens=1), Refusal)
            for subject, tag in (("tier:t", None), ("key:a", "acc_a"), ("account:a", "acc_a")):
                standing = await limiter.standing(subject, tag=tag)
                assert (standing.used_requests, standing.used_tokens) == (1, 10), subject
                assert standing.in_flight == 1, subject


# Against an oracle that remembers everything

SUBJECTS = ("key", "account")
step = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.4, 1.0, 7.5, 30.0, 60.0, 61.0, 200.0])),
    st.tuples(st.just("reserve"), st.integers(0, 1), st.integers(1, 3), st.integers(0, 12)),
    st.tuples(st.just("end"), st.integers(0, 1), st.integers(0, 20), st.integers(0, 15)),
)


class Oracle:
    """One subject by brute force: every amount that was ever written, with its bucket."""

    def __init__(self, demand: Demand) -> None:
        self.demand = demand
        self.written: list[list[int]] = []  # bucket, requests, tokens
        self.in_flight = 0

    def used(self, microseconds: int, column: int) -> int:
        bucket = microseconds // 1_000_000
        return sum(row[column] for row in self.written if row[0] + 61 > bucket)

    def fits(self, microseconds: int, tokens: int) -> bool:
        limits = self.demand.limits
        return (
            (limits.requests is None or self.used(microseconds, 1) + 1 <= limits.requests)
            and (limits.tokens is None or self.used(microseconds, 2) + tokens <= limits.tokens)
            and (limits.concurrency is None or self.in_flight + 1 <= limits.concurrency)
        )


class Play:
    """Two gateways and the oracle through the same steps."""

    def __init__(self, limiters: list[ValkeyLimiter], clock: Clock) -> None:
        self.limiters = limiters
        self.clock = clock
        self.oracles = [
            Oracle(demand(unused("key"), requests=4, tokens=20)),
            Oracle(demand(unused("account"), tokens=30, concurrency=3)),
        ]
        self.open: list[tuple[ValkeyReservation, list[tuple[Oracle, list[int]]], int]] = []

    async def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def reserve(self, gateway: int, mask: int, tokens: int) -> None:
        asked = [oracle for i, oracle in enumerate(self.oracles) if mask >> i & 1]
        outcome = await self.limiters[gateway].reserve(
            [oracle.demand for oracle in asked], tokens=tokens, now=0.0
        )
        now = self.clock()
        if isinstance(outcome, Refusal):
            assert not all(oracle.fits(now, tokens) for oracle in asked)
            self._check_wait(outcome, asked, tokens)
            return
        assert all(oracle.fits(now, tokens) for oracle in asked)
        rows = []
        for oracle in asked:
            row = [now // 1_000_000, 1, tokens]
            oracle.written.append(row)
            oracle.in_flight += 1
            rows.append((oracle, row))
        self.open.append((outcome, rows, tokens))

    def _check_wait(self, refusal: Refusal, asked: list[Oracle], tokens: int) -> None:
        now = self.clock()
        if refusal.fits_after is None:
            assert not all(oracle.fits(now + 10**10, tokens) for oracle in asked)
            return
        then = now + round(refusal.fits_after * 1_000_000)
        assert all(oracle.fits(then, tokens) for oracle in asked)
        assert not all(oracle.fits(then - 1, tokens) for oracle in asked)

    async def end(self, index: int, used: int, choice: int) -> None:
        if not self.open:
            return
        reservation, rows, tokens = self.open.pop(choice % len(self.open))
        release = index == 0
        if release:
            reservation.release(now=0.0)
        else:
            reservation.settle(tokens=used, now=0.0)
        for oracle, row in rows:
            oracle.in_flight -= 1
            if release:
                row[1:] = [0, 0]
            elif used > tokens:
                oracle.written.append([self.clock() // 1_000_000, 0, used - tokens])
            else:
                row[2] = used
        await self.agree()

    async def agree(self) -> None:
        # Both gateways are asked, which also makes sure that their notes have arrived.
        for oracle in self.oracles:
            for limiter in self.limiters:
                await limiter.standing("nobody")
            standing = await self.limiters[0].standing(oracle.demand.subject)
            now = self.clock()
            assert standing.used_requests == oracle.used(now, 1)
            assert standing.used_tokens == oracle.used(now, 2)
            assert standing.in_flight == oracle.in_flight


@settings(max_examples=settings().max_examples // 2)
@given(steps=st.lists(step, max_size=30))
def test_two_gateways_decide_as_one_that_remembers_everything(
    shared_store: ValkeyServer, steps: list[tuple[Any, ...]]
) -> None:
    async def play() -> None:
        clock = Clock()
        long_lived = Settings(patience=5.0, give_up=10.0, alive=10_000.0)
        async with (
            running(shared_store.url, clock=clock, settings=long_lived) as one,
            running(shared_store.url, clock=clock, settings=long_lived) as other,
        ):
            game = Play([one, other], clock)
            for name, *figures in steps:
                await getattr(game, name)(*figures)
            await game.agree()

    trio.run(play)
