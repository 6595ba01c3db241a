"""The assignment core by example; `tests/properties/test_pool.py` tries everything else."""

import msgspec
import pytest

from router.upstream.origin import Origin
from router.upstream.pool import OpenNew, Pool, PoolLimits, PoolSnapshot, Return, Ticket, UseIdle

LIMITS = PoolLimits()
A, B = Origin("http", "a.test", 80), Origin("http", "b.test", 80)


def pool_with_idle(*names: str, limits: PoolLimits = LIMITS, at: float = 0.0) -> Pool[str]:
    pool: Pool[str] = Pool(limits)
    for _ in names:
        assert pool.acquire(A) == OpenNew()
        pool.connected(A)
    for step, name in enumerate(names):
        pool.release(A, name, at + step)
    return pool


def queue_up(pool: Pool[str]) -> Ticket[str]:
    ticket = pool.acquire(A)
    assert isinstance(ticket, Ticket)
    return ticket


def test_the_connection_used_last_is_used_first() -> None:
    pool = pool_with_idle("old", "young")
    assert [pool.acquire(A) for _ in range(3)] == [UseIdle("young"), UseIdle("old"), OpenNew()]


def test_origins_do_not_share_connections_or_limits() -> None:
    pool = pool_with_idle("x", limits=PoolLimits(max_connections_per_origin=1))
    assert pool.acquire(B) == OpenNew()
    assert pool.acquire(A) == UseIdle("x")


def test_too_many_idle_ones_evict_the_oldest() -> None:
    pool = pool_with_idle("x", "y", limits=PoolLimits(max_idle_per_origin=2))
    pool.acquire(B)
    pool.connected(B)
    assert pool.release(B, "other origin", 9.0) == Return()
    assert [pool.acquire(A) for _ in range(3)] == [UseIdle("y"), UseIdle("x"), OpenNew()]
    pool.connected(A)
    assert pool.release(A, "x", 3.0) == Return()
    assert pool.release(A, "y", 4.0) == Return()
    assert pool.release(A, "z", 5.0) == Return(evicted="x")


def test_without_idle_places_a_returned_connection_is_evicted_itself() -> None:
    pool: Pool[str] = Pool(PoolLimits(max_idle_per_origin=0))
    pool.acquire(A)
    pool.connected(A)
    assert pool.release(A, "x", 0.0) == Return(evicted="x")
    assert pool.snapshot() == PoolSnapshot()


def test_idle_connections_expire_by_their_own_time() -> None:
    pool = pool_with_idle("x", "y", limits=PoolLimits(idle_seconds=10), at=100.0)
    assert pool.expire_origin(A, 109.9) == []
    assert pool.expire_origin(B, 200.0) == []
    assert pool.expire(110.0) == ["x"]
    assert pool.expire_origin(A, 111.0) == ["y"]
    assert pool.snapshot() == PoolSnapshot()


def test_a_returned_connection_goes_to_who_waited_longest() -> None:
    pool = pool_with_idle("x", limits=PoolLimits(max_connections_per_origin=1))
    assert pool.acquire(A) == UseIdle("x")
    first, second = queue_up(pool), queue_up(pool)
    assert pool.release(A, "x", 1.0) == Return(woken=first)
    assert (first.assignment, second.assignment) == (UseIdle("x"), None)
    assert pool.closed(A) is second
    assert second.assignment == OpenNew()


def test_what_a_leaving_waiter_was_given_goes_to_the_next() -> None:
    pool = pool_with_idle("x", limits=PoolLimits(max_connections_per_origin=1))
    pool.acquire(A)
    first, second, third = queue_up(pool), queue_up(pool), queue_up(pool)
    pool.release(A, "x", 1.0)
    assert pool.cancel(first, 2.0) == Return(woken=second)
    assert second.assignment == UseIdle("x")
    assert pool.closed(A) is third
    assert pool.cancel(third, 3.0) == Return()
    assert pool.snapshot() == PoolSnapshot()


def test_a_stale_connection_is_replaced_by_the_next_idle_one_in_the_same_place() -> None:
    pool = pool_with_idle("x", "y", limits=PoolLimits(max_connections_per_origin=2))
    assert pool.acquire(A) == UseIdle("y")
    assert pool.replace(A) == UseIdle("x")
    assert pool.replace(A) == OpenNew()
    assert pool.snapshot() == PoolSnapshot(connecting=1)


def test_draining_takes_every_idle_connection() -> None:
    pool = pool_with_idle("x", "y")
    assert sorted(pool.drain_idle()) == ["x", "y"]
    assert pool.snapshot() == PoolSnapshot()


@pytest.mark.parametrize(
    "limits",
    [
        {"max_connections_per_origin": 0},
        {"max_idle_per_origin": -1},
        {"idle_seconds": -1.0},
        {"idle_seconds": float("nan")},
    ],
)
def test_limits_that_could_never_serve_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(msgspec.ValidationError, match="must"):
        msgspec.convert(limits, PoolLimits)


def test_an_origin_of_its_own_limit_keeps_it_whatever_the_others_have() -> None:
    pool: Pool[str] = Pool(PoolLimits(max_connections_per_origin=2, by_origin={A: 1}))
    assert pool.acquire(A) == OpenNew()
    assert isinstance(pool.acquire(A), Ticket)
    assert [pool.acquire(B), pool.acquire(B)] == [OpenNew(), OpenNew()]
    assert isinstance(pool.acquire(B), Ticket)
