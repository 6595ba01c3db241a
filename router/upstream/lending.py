"""Lending connections: the part of the pool that waits.

The core (`pool`) says who gets what; here its answers are carried out: dial, close, wake the next
in the queue. Whoever is lent a connection gives it back once, by `take_back`. That is synchronous, so
cancellation can strike anywhere and the place still comes back.
"""

import trio

from router.netpoll import Netpoll
from router.upstream.connection import HttpConnection
from router.upstream.dial import Dial
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

_Assignment = UseIdle[HttpConnection] | OpenNew


class Lender:
    """Owns all connections: those lent out and those lying idle. Made in a run of trio."""

    def __init__(self, dial: Dial, limits: PoolLimits, netpoll: Netpoll | None) -> None:
        self._dial = dial
        self._netpoll = netpoll
        self._pool: Pool[HttpConnection] = Pool(limits)
        self._bells: dict[Ticket[HttpConnection], trio.Event] = {}
        self._is_closed = False
        self._now = trio.lowlevel.current_clock().current_time  # two steps shorter than trio's own

    def lend_now(self, origin: Origin) -> HttpConnection | None:
        """Return a connection that lies idle and may serve, `None` where there is none.

        Raises trio.ClosedResourceError after `close`.
        """
        if self._is_closed:
            raise trio.ClosedResourceError("this client has been closed")
        now = self._now()
        while (connection := self._pool.take_idle(origin, now)) is not None:
            if not connection.has_gone_stale():
                return connection
            connection.close()
            self._wake(self._pool.closed(origin))
        return None

    async def borrow(self, origin: Origin) -> HttpConnection:
        """Get a connection where `lend_now` had none, waiting in line or dialling as need be.

        Raises ConnectFailed. When cancelled, the place goes to the next in line.
        """
        _close_all(self._pool.expire_origin(origin, self._now()))
        assignment = self._pool.acquire(origin)
        if isinstance(assignment, Ticket):
            assignment = await self._wait_in_line(assignment)
        while isinstance(assignment, UseIdle):
            connection = assignment.connection
            if not connection.has_gone_stale():
                return connection
            connection.close()
            assignment = self._pool.replace(origin)
        return await self._open(origin)

    async def exchange_for_new(self, connection: HttpConnection) -> HttpConnection:
        """Close a lent connection and open another in its place. Raises like `borrow`.

        When it fails or is cancelled, the place has gone to the next in line.
        """
        connection.close()
        self._pool.reopen(connection.origin)
        return await self._open(connection.origin)

    def take_back(self, connection: HttpConnection) -> None:
        """Keep a lent connection if it may serve again, else close it; wake who waits for it."""
        if self._is_closed or not connection.start_next_cycle():
            connection.close()
            self._wake(self._pool.closed(connection.origin))
            return
        back = self._pool.release(connection.origin, connection, self._now())
        if back.woken is not None or back.evicted is not None:
            self._settle(back)

    def close_idle(self, now: float) -> None:
        """Close what has been idle for too long."""
        _close_all(self._pool.expire(now))

    def close(self) -> None:
        """Close what is idle and keep nothing from now on; what is lent serves to its end."""
        self._is_closed = True
        _close_all(self._pool.drain_idle())

    def snapshot(self) -> PoolSnapshot:
        """Count what is held now."""
        return self._pool.snapshot()

    async def _open(self, origin: Origin) -> HttpConnection:
        try:
            stream = await self._dial(origin)
        except BaseException:
            self._wake(self._pool.connect_failed(origin))
            raise
        self._pool.connected(origin)
        return HttpConnection(stream, origin, self._netpoll)

    async def _wait_in_line(self, ticket: Ticket[HttpConnection]) -> _Assignment:
        bell = self._bells[ticket] = trio.Event()
        try:
            await bell.wait()
        except BaseException:
            self._bells.pop(ticket, None)
            back = self._pool.cancel(ticket, self._now())
            self._settle(back)
            raise
        assert ticket.assignment is not None  # noqa: S101 - the bell rings only for an assignment
        return ticket.assignment

    def _settle(self, back: Return[HttpConnection]) -> None:
        if back.evicted is not None:
            back.evicted.close()
        self._wake(back.woken)

    def _wake(self, ticket: Ticket[HttpConnection] | None) -> None:
        if ticket is not None:
            self._bells.pop(ticket).set()


def _close_all(connections: list[HttpConnection]) -> None:
    for connection in connections:
        connection.close()
