"""Who has left: one epoll object for all connections, and one task that waits on it.

While a request is served nobody reads its connection, so that what a client sends ahead waits in the
kernel, and yet the end of the input must be heard at once: the client has left, and its upstream attempts
are to be cancelled. The kernel tells that by itself (`EPOLLRDHUP`), to whoever asked once per connection.
No task waits per request, and no system call is made per request.
"""

import select
from collections.abc import Callable
from typing import Final

import trio

from router.front.http1.wire import Connected

_MOST_AT_ONCE: Final = 256


class LeaveWatch:
    """Calls a function, once, when the client of a connection has ended its side or is gone."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, Callable[[], None]] = {}

    def add(self, connection: Connected, on_leave: Callable[[], None]) -> int:
        """Watch a connection, and return what `remove` takes. `on_leave` must only tell others."""
        number = connection.fileno()
        # That the connection broke is told as well, unasked.
        self._epoll.register(number, select.EPOLLRDHUP | select.EPOLLONESHOT)
        self._watched[number] = on_leave
        return number

    def remove(self, number: int, on_leave: Callable[[], None]) -> None:
        """Watch no longer. Harmless when the socket is closed and its number another's by now."""
        if self._watched.get(number) == on_leave:
            del self._watched[number]

    async def run(self) -> None:
        """Wait and tell, until cancelled; then nothing can be watched any more."""
        with self._epoll:
            while True:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                for number, _ in self._epoll.poll(0, _MOST_AT_ONCE):
                    on_leave = self._watched.pop(number, None)
                    if on_leave is not None:
                        on_leave()
