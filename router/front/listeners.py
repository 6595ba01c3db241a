"""Listening sockets, as the configuration names their addresses.

They are apart from the server, because the supervisor of several workers opens them and serves nobody.
"""

from collections.abc import Sequence

import trio


async def open_listeners(bind: Sequence[str]) -> list[trio.SocketListener]:
    """Open one or more listeners for each `host:port`. Raises `OSError` with the address in its text."""
    listeners: list[trio.SocketListener] = []
    for address in bind:
        host, _, port = address.rpartition(":")
        try:
            listeners += await trio.open_tcp_listeners(
                int(port), host=host.strip("[]") or None, backlog=4096
            )
        except OSError as error:
            for listener in listeners:
                await listener.aclose()
            raise OSError(error.errno, f"cannot listen on {address}: {error.strerror}") from error
    return listeners
