"""Who gets which connection: the assignment core of the pool, without waiting or I/O.

Each origin has its own line: a stack of idle connections, the number of places taken by requests
(connecting or leased), and the tickets of those who wait for a place, first come first served. One
request touches one line and looks at one end of it, so its cost does not grow with the number of
connections. The stack hands out the connection used last, which lets the others grow old and be
closed when load falls.

The methods say what to do and the shell (`lending`) does it: it dials, closes and wakes. Between an
answer and the report of what became of it a place counts as taken, so no limit can be exceeded
however the shell's tasks are interleaved.

Three facts hold after every call. Whoever waits finds no idle connection and no free place.
Idle, leased and connecting together never exceed the limit of the origin. An origin with nothing
left is forgotten.
"""

from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar

import msgspec

from router.upstream.origin import Origin

C = TypeVar("C")


class PoolLimits(msgspec.Struct, frozen=True):
    """How much one origin may hold. Raises ValueError on limits that could never serve.

    `by_origin` has the origins that may hold another number of connections than the rest.
    """

    max_connections_per_origin: int = 1000
    max_idle_per_origin: int = 1000
    idle_seconds: float = 60.0
    by_origin: Mapping[Origin, int] = {}

    def __post_init__(self) -> None:
        if min(self.max_connections_per_origin, *self.by_origin.values(), 1) < 1:
            raise ValueError("every origin must be allowed at least 1 connection")
        if self.max_idle_per_origin < 0 or not self.idle_seconds >= 0:
            raise ValueError("max_idle_per_origin and idle_seconds must not be negative")

    def max_connections(self, origin: Origin) -> int:
        """Return how many connections an origin may hold at a time."""
        return self.by_origin.get(origin, self.max_connections_per_origin)


class PoolSnapshot(msgspec.Struct, frozen=True):
    """Counts over all origins at one moment; all zero when nothing is held."""

    leased: int = 0
    idle: int = 0
    connecting: int = 0
    waiting: int = 0


class UseIdle(msgspec.Struct, Generic[C], frozen=True):
    """Send on this connection; it counts as leased from now on."""

    connection: C


class OpenNew(msgspec.Struct, frozen=True):
    """Open a connection; the place counts as connecting until its outcome is reported."""


class Ticket(Generic[C]):
    """A place in the queue. `assignment` is set once, by the pool, when it has been served."""

    __slots__ = ("assignment", "origin")

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.assignment: UseIdle[C] | OpenNew | None = None


class Return(msgspec.Struct, Generic[C], frozen=True):
    """What follows from a connection given back: wake this one, close that one."""

    woken: Ticket[C] | None = None
    evicted: C | None = None


_NOTHING: Final[Return[Any]] = Return()


class _Line(Generic[C]):
    """One origin's connections and queue."""

    __slots__ = ("connecting", "idle", "leased", "waiting")

    def __init__(self) -> None:
        self.idle: deque[tuple[C, float]] = deque()  # with the time it became idle, oldest first
        self.leased = 0
        self.connecting = 0
        # Ordered and keyed, so that leaving from the middle costs no search.
        self.waiting: OrderedDict[Ticket[C], None] = OrderedDict()

    def is_empty(self) -> bool:
        return not (self.idle or self.leased or self.connecting or self.waiting)


class Pool(Generic[C]):
    """Assigns connections of any type C; times are seconds of one monotonic clock."""

    def __init__(self, limits: PoolLimits) -> None:
        self._limits = limits
        self._lines: dict[Origin, _Line[C]] = {}

    def take_idle(self, origin: Origin, now: float) -> C | None:
        """Return an idle connection, leased from now on; `None` where there is none.

        Nobody waits where there is one, so nobody is overtaken. It is the one that is idle for the shortest
        time: if that is too long, none will do, and `expire_origin` has them all.
        """
        line = self._lines.get(origin)
        if line is None or not line.idle or now - line.idle[-1][1] >= self._limits.idle_seconds:
            return None
        line.leased += 1
        return line.idle.pop()[0]

    def acquire(self, origin: Origin) -> UseIdle[C] | OpenNew | Ticket[C]:
        """Ask for a connection; a Ticket means: wait until it carries an assignment.

        Call `expire_origin` first, or a connection past its idle time may be handed out.
        """
        line = self._lines.get(origin)
        if line is None:
            line = self._lines[origin] = _Line()
        if line.idle:
            line.leased += 1
            return UseIdle(line.idle.pop()[0])
        if line.leased + line.connecting < self._limits.max_connections(origin):
            line.connecting += 1
            return OpenNew()
        ticket = Ticket[C](origin)
        line.waiting[ticket] = None
        return ticket

    def connected(self, origin: Origin) -> None:
        """The connection being opened is there, and leased to whoever opened it."""
        line = self._lines[origin]
        line.connecting -= 1
        line.leased += 1

    def connect_failed(self, origin: Origin) -> Ticket[C] | None:
        """Opening failed or was cancelled; returns whom to wake."""
        self._lines[origin].connecting -= 1
        return self._pass_on_place(origin)

    def release(self, origin: Origin, connection: C, now: float) -> Return[C]:
        """A leased connection comes back fit for another request."""
        line = self._lines[origin]
        if line.waiting:
            ticket, _ = line.waiting.popitem(last=False)
            ticket.assignment = UseIdle(connection)
            return Return(woken=ticket)
        line.leased -= 1
        line.idle.append((connection, now))
        if len(line.idle) <= self._limits.max_idle_per_origin:
            return _NOTHING
        evicted, _ = line.idle.popleft()
        self._forget_if_empty(origin)
        return Return(evicted=evicted)

    def closed(self, origin: Origin) -> Ticket[C] | None:
        """A leased connection is gone; returns whom to wake."""
        self._lines[origin].leased -= 1
        return self._pass_on_place(origin)

    def replace(self, origin: Origin) -> UseIdle[C] | OpenNew:
        """A leased connection turned out closed before use; its holder keeps the place."""
        line = self._lines[origin]
        if line.idle:
            return UseIdle(line.idle.pop()[0])
        return self.reopen(origin)

    def reopen(self, origin: Origin) -> OpenNew:
        """Like `replace`, but only a new connection will do."""
        line = self._lines[origin]
        line.leased -= 1
        line.connecting += 1
        return OpenNew()

    def cancel(self, ticket: Ticket[C], now: float) -> Return[C]:
        """The holder of the ticket leaves; what it had just been assigned goes back."""
        match ticket.assignment:
            case UseIdle(connection):
                return self.release(ticket.origin, connection, now)
            case OpenNew():
                return Return(woken=self.connect_failed(ticket.origin))
            case None:
                del self._lines[ticket.origin].waiting[ticket]
                return Return()

    def expire_origin(self, origin: Origin, now: float) -> list[C]:
        """Take out the connections of one origin that were idle for too long, to be closed."""
        line = self._lines.get(origin)
        expired: list[C] = []
        if line is None:
            return expired
        while line.idle and now - line.idle[0][1] >= self._limits.idle_seconds:
            expired.append(line.idle.popleft()[0])
        if expired:
            self._forget_if_empty(origin)
        return expired

    def expire(self, now: float) -> list[C]:
        """Take out what was idle for too long at any origin, to be closed."""
        return [
            connection
            for origin in list(self._lines)
            for connection in self.expire_origin(origin, now)
        ]

    def drain_idle(self) -> list[C]:
        """Take out every idle connection, to be closed."""
        drained: list[C] = []
        for origin, line in list(self._lines.items()):
            drained += [connection for connection, _ in line.idle]
            line.idle.clear()
            self._forget_if_empty(origin)
        return drained

    def snapshot(self) -> PoolSnapshot:
        """Count what is held now; costs one step per known origin."""
        lines = self._lines.values()
        return PoolSnapshot(
            leased=sum(line.leased for line in lines),
            idle=sum(len(line.idle) for line in lines),
            connecting=sum(line.connecting for line in lines),
            waiting=sum(len(line.waiting) for line in lines),
        )

    def _pass_on_place(self, origin: Origin) -> Ticket[C] | None:
        line = self._lines[origin]
        if not line.waiting:
            self._forget_if_empty(origin)
            return None
        ticket, _ = line.waiting.popitem(last=False)
        ticket.assignment = OpenNew()
        line.connecting += 1
        return ticket

    def _forget_if_empty(self, origin: Origin) -> None:
        if self._lines[origin].is_empty():
            del self._lines[origin]
