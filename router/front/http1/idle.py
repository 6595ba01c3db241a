"""Connections that wait for a request, and how long they may.

All of them may wait equally long, so those that began first are due first, and one task that sleeps until
the oldest is due serves any number. A connection pays two entries in a dictionary per request, where a
deadline of its own would be set and taken back each time.
"""

import trio


class IdleConnections:
    """The sockets on which a request is waited for; each is closed after `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due_at: dict[trio.socket.SocketType, float] = {}
        self._some = trio.Event()
        self._closing = False

    def add(self, connection: trio.socket.SocketType) -> None:
        """Let the time of a connection begin; after `close_all` it is closed at once."""
        if self._closing:
            connection.close()
            return
        self._due_at[connection] = trio.current_time() + self._seconds
        self._some.set()

    def discard(self, connection: trio.socket.SocketType) -> None:
        """A request has come on this connection, or it has ended."""
        self._due_at.pop(connection, None)

    def close_all(self) -> None:
        """Close every connection that waits, and from now on all that begin to."""
        self._closing = True
        for connection in list(self._due_at):
            connection.close()
        self._due_at.clear()

    async def run(self) -> None:
        """Close what is due, until cancelled. Whoever waits on a socket closed here is told by trio."""
        while True:
            while not self._due_at:
                self._some = trio.Event()
                await self._some.wait()
            await trio.sleep_until(next(iter(self._due_at.values())))
            self._close_due(trio.current_time())

    def _close_due(self, now: float) -> None:
        for connection, due_at in list(self._due_at.items()):
            if due_at > now:
                return
            self.discard(connection)
            connection.close()
