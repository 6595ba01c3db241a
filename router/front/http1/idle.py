"""Connections that wait for a request, and how long they may.

All of them may wait equally long, so those that began first are due first, and one task that sleeps until
the oldest is due serves any number. A connection pays two entries in a dictionary per request, where a
deadline of its own would be set and taken back each time.

When the server ends, nobody asks anything more on a connection that waits, and it is closed. But on one that
has only just been made the first request is on its way, and its client could not know: it gets a moment.
"""

from typing import Final

import trio

from router.front.http1.wire import Connected

FIRST_SECONDS: Final = 1.0


class IdleConnections:
    """The connections on which a request is waited for; each is closed after `seconds`.

    To be made in the run of trio that uses it.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._now = trio.lowlevel.current_clock().current_time  # two steps shorter than trio's own
        self._due_at: dict[Connected, float] = {}
        self._fresh: set[Connected] = set()
        self._some = trio.Event()
        self._ending = trio.Event()

    def add(self, connection: Connected, *, is_fresh: bool = False) -> None:
        """Let the time of a connection begin; after `close_all` it is over at once.

        `is_fresh`: nothing has been asked on it yet. Its time is `FIRST_SECONDS` after `close_all`.
        """
        seconds = self._seconds
        if self._ending.is_set():
            if not is_fresh:
                connection.close()
                return
            seconds = min(seconds, FIRST_SECONDS)
        if not self._due_at:
            self._some.set()
        self._due_at[connection] = self._now() + seconds
        if is_fresh:
            self._fresh.add(connection)

    def discard(self, connection: Connected) -> None:
        """A request has come on this connection, or it has ended."""
        self._due_at.pop(connection, None)
        if self._fresh:
            self._fresh.discard(connection)

    def close_all(self) -> None:
        """Close every connection that waits, and from now on all that begin to, but for those just made."""
        soon = FIRST_SECONDS - self._seconds
        now = self._now()
        for connection, due_at in list(self._due_at.items()):
            if connection in self._fresh and due_at + soon > now:
                self._due_at[connection] = min(due_at, due_at + soon)
            else:
                self.discard(connection)
                connection.close()
        self._ending.set()

    async def run(self) -> None:
        """Close what is due, until cancelled."""
        while True:
            while not self._due_at:
                self._some = trio.Event()
                await self._some.wait()
            due_at = next(iter(self._due_at.values()))
            if self._ending.is_set():
                await trio.sleep_until(due_at)
            else:
                with trio.move_on_at(due_at):
                    await self._ending.wait()
            self._close_due(self._now())

    def _close_due(self, now: float) -> None:
        while self._due_at:
            connection, due_at = next(iter(self._due_at.items()))
            if due_at > now:
                return
            self.discard(connection)
            connection.close()
