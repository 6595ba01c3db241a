"""The pool's assignment core against a model that is too simple to be wrong.

The model knows each request by what it holds: a place it is connecting in, a connection, a ticket,
or a ticket that was served and not yet picked up. Any order of events must leave pool and model
with the same counts, the queue in order, and nothing lost.
"""

from collections import deque
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from router.upstream.origin import Origin
from router.upstream.pool import (
    OpenNew,
    Pool,
    PoolLimits,
    PoolSnapshot,
    Return,
    Ticket,
    UseIdle,
)

ORIGINS = [Origin("http", "a.test", 80), Origin("https", "a.test", 443)]
LIMITS = PoolLimits(max_connections_per_origin=3, max_idle_per_origin=2, idle_seconds=10.0)

Connection = int  # a number of its own for each connection ever opened


class Place:
    """What the model believes one origin to hold."""

    def __init__(self) -> None:
        self.connecting = 0
        self.leased: list[Connection] = []
        self.idle: list[tuple[Connection, float]] = []  # oldest first
        self.queue: deque[Ticket[Connection]] = deque()
        self.served: list[Ticket[Connection]] = []  # assigned, not yet picked up

    def assigned(self, kind: type) -> int:
        return sum(isinstance(ticket.assignment, kind) for ticket in self.served)


class PoolAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.pool: Pool[Connection] = Pool(LIMITS)
        self.places = {origin: Place() for origin in ORIGINS}
        self.now = 0.0
        self.opened = 0

    # What requests do

    @rule(origin=st.sampled_from(ORIGINS))
    def acquire(self, origin: Origin) -> None:
        place = self.places[origin]
        expired = self.pool.expire_origin(origin, self.now)
        assert expired == self.take_expired(place)
        full = place.connecting + len(place.leased) + len(place.served) == 3
        answer = self.pool.acquire(origin)
        if place.idle:
            assert answer == UseIdle(place.idle[-1][0])
            place.leased.append(place.idle.pop()[0])
        elif full:
            assert isinstance(answer, Ticket)
            assert answer.assignment is None
            place.queue.append(answer)
        else:
            assert answer == OpenNew()
            place.connecting += 1

    @rule(origin=st.sampled_from(ORIGINS))
    def take_idle(self, origin: Origin) -> None:
        place = self.places[origin]
        taken = self.pool.take_idle(origin, self.now)
        if place.idle and self.now - place.idle[-1][1] < LIMITS.idle_seconds:
            assert taken == place.idle[-1][0]
            place.leased.append(place.idle.pop()[0])
        else:
            assert taken is None

    @precondition(lambda self: self.some(lambda place: place.connecting))
    @rule(data=st.data(), succeeds=st.booleans())
    def finish_connecting(self, data: st.DataObject, succeeds: bool) -> None:
        origin, place = self.draw(data, lambda place: place.connecting)
        place.connecting -= 1
        if succeeds:
            self.pool.connected(origin)
            place.leased.append(self.opened)
            self.opened += 1
        else:
            self.expect_next_served(place, self.pool.connect_failed(origin), OpenNew())

    @precondition(lambda self: self.some(lambda place: place.leased))
    @rule(data=st.data(), what=st.sampled_from(["release", "close", "replace", "reopen"]))
    def end_lease(self, data: st.DataObject, what: str) -> None:
        origin, place = self.draw(data, lambda place: place.leased)
        index = data.draw(st.integers(0, len(place.leased) - 1))
        connection = place.leased.pop(index)
        if what == "release":
            self.expect_returned(place, connection, self.pool.release(origin, connection, self.now))
        elif what == "close":
            self.expect_next_served(place, self.pool.closed(origin), OpenNew())
        elif what == "replace" and place.idle:
            assert self.pool.replace(origin) == UseIdle(place.idle[-1][0])
            place.leased.append(place.idle.pop()[0])
        else:
            swap = self.pool.replace if what == "replace" else self.pool.reopen
            assert swap(origin) == OpenNew()
            place.connecting += 1

    @precondition(lambda self: self.some(lambda place: place.served))
    @rule(data=st.data())
    def pick_up(self, data: st.DataObject) -> None:
        _, place = self.draw(data, lambda place: place.served)
        ticket = place.served.pop(data.draw(st.integers(0, len(place.served) - 1)))
        if isinstance(ticket.assignment, UseIdle):
            place.leased.append(ticket.assignment.connection)
        else:
            place.connecting += 1

    @precondition(lambda self: self.some(lambda place: place.queue or place.served))
    @rule(data=st.data())
    def leave_the_queue(self, data: st.DataObject) -> None:
        _, place = self.draw(data, lambda place: place.queue or place.served)
        ticket = data.draw(st.sampled_from([*place.queue, *place.served]))
        if ticket in place.queue:
            place.queue.remove(ticket)
            assert self.pool.cancel(ticket, self.now) == Return()
            return
        place.served.remove(ticket)
        returned = self.pool.cancel(ticket, self.now)
        if isinstance(ticket.assignment, UseIdle):
            self.expect_returned(place, ticket.assignment.connection, returned)
        else:
            assert returned.evicted is None
            self.expect_next_served(place, returned.woken, OpenNew())

    # What time does

    @rule(seconds=st.floats(0, 15))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def expire(self) -> None:
        expected = [gone for place in self.places.values() for gone in self.take_expired(place)]
        assert sorted(self.pool.expire(self.now)) == sorted(expected)

    @rule()
    def drain(self) -> None:
        expected = [gone for place in self.places.values() for gone, _ in place.idle]
        for place in self.places.values():
            place.idle.clear()
        assert sorted(self.pool.drain_idle()) == sorted(expected)

    # What must hold

    @invariant()
    def counts_agree(self) -> None:
        places = self.places.values()
        assert self.pool.snapshot() == PoolSnapshot(
            leased=sum(len(place.leased) + place.assigned(UseIdle) for place in places),
            idle=sum(len(place.idle) for place in places),
            connecting=sum(place.connecting + place.assigned(OpenNew) for place in places),
            waiting=sum(len(place.queue) for place in places),
        )

    @invariant()
    def limits_hold_and_nobody_waits_beside_a_free_place(self) -> None:
        for place in self.places.values():
            taken = place.connecting + len(place.leased) + len(place.served)
            assert taken + len(place.idle) <= LIMITS.max_connections_per_origin
            assert len(place.idle) <= LIMITS.max_idle_per_origin
            if place.queue:
                assert taken == LIMITS.max_connections_per_origin

    def teardown(self) -> None:
        for origin, place in self.places.items():
            while place.queue or place.served:
                ticket = place.queue.popleft() if place.queue else place.served.pop()
                self.pool.cancel(ticket, self.now)
                if isinstance(ticket.assignment, UseIdle):
                    place.idle.append((ticket.assignment.connection, self.now))
            for _ in place.leased:
                assert self.pool.closed(origin) is None
            for _ in range(place.connecting):
                assert self.pool.connect_failed(origin) is None
        self.pool.drain_idle()
        assert self.pool.snapshot() == PoolSnapshot()
        assert not self.pool._lines, "an origin with nothing left was remembered"

    # How the model answers

    def expect_returned(
        self, place: Place, connection: Connection, returned: Return[Connection]
    ) -> None:
        if place.queue:
            assert returned.evicted is None
            self.expect_next_served(place, returned.woken, UseIdle(connection))
            return
        assert returned.woken is None
        place.idle.append((connection, self.now))
        if len(place.idle) > LIMITS.max_idle_per_origin:
            assert returned.evicted == place.idle.pop(0)[0]
        else:
            assert returned.evicted is None

    @staticmethod
    def expect_next_served(
        place: Place, woken: Ticket[Connection] | None, assignment: UseIdle[Connection] | OpenNew
    ) -> None:
        if not place.queue:
            assert woken is None
            return
        assert woken is place.queue.popleft()
        assert woken.assignment == assignment
        place.served.append(woken)

    def take_expired(self, place: Place) -> list[Connection]:
        expired = [gone for gone, since in place.idle if self.now - since >= LIMITS.idle_seconds]
        place.idle = [entry for entry in place.idle if entry[0] not in expired]
        return expired

    def some(self, has: Callable[[Place], object]) -> bool:
        return any(has(place) for place in self.places.values())

    def draw(self, data: st.DataObject, has: Callable[[Place], object]) -> tuple[Origin, Place]:
        origin = data.draw(st.sampled_from([o for o, place in self.places.items() if has(place)]))
        return origin, self.places[origin]


PoolAgainstModel.TestCase.settings = settings(max_examples=200, stateful_step_count=60)
TestPoolAgainstModel = PoolAgainstModel.TestCase
