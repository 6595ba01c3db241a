"""The listening sockets, which outlive every worker.

They are opened once, by the supervisor, and every worker accepts on the same ones. So a connection that waits
in the queue belongs to no worker in particular: when one dies or is replaced, another takes it
(`docs/decisions/0011`).
"""

from collections.abc import Collection, Sequence

import trio

from router.front.listeners import open_listeners


class Doors:
    """Open sockets by the address they were asked for, `host:port` as configured."""

    def __init__(self) -> None:
        self._open: dict[str, list[trio.SocketListener]] = {}

    async def open(self, bind: Sequence[str]) -> None:
        """Open the addresses that are not open yet; all of them or none. Raises `OSError`."""
        missing = [address for address in dict.fromkeys(bind) if address not in self._open]
        opened: dict[str, list[trio.SocketListener]] = {}
        try:
            for address in missing:
                opened[address] = await open_listeners([address])
        except BaseException:
            _close(opened.values())
            raise
        self._open |= opened

    def numbers(self, bind: Sequence[str]) -> list[int]:
        """Return the file descriptors of these addresses, which must be open."""
        return [door.socket.fileno() for address in bind for door in self._open[address]]

    def close_all_but(self, bind: Collection[str] = ()) -> None:
        """Close every other address, for this process; workers close theirs as they stop."""
        dropped = [address for address in self._open if address not in bind]
        _close([self._open.pop(address) for address in dropped])


def _close(doors: Collection[list[trio.SocketListener]]) -> None:
    for listeners in doors:
        for listener in listeners:
            listener.socket.close()
