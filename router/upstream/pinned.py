"""Connecting to an address that was checked, under the name that was asked for.

A name may lead elsewhere a moment later. So it is looked up once, by `Resolve`, and what connects is given
the address: it looks up nothing. TLS is verified for the name all the same.
"""

import ssl
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address

import trio

from router.upstream.closing import close_now
from router.upstream.dial import Dial, TcpDialer
from router.upstream.errors import ConnectFailed
from router.upstream.origin import Origin
from router.upstream.public_address import Address
from router.upstream.trust import Trust

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
Connect = Callable[[Origin, Address], Awaitable[trio.abc.Stream]]


async def resolve_by_system(host: str, port: int) -> list[Address]:
    """Return the addresses of a name, in the system's order. Raises OSError or UnicodeError."""
    found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
    addresses = [ip_address(str(address[0])) for *_, address in found]
    return list(dict.fromkeys(addresses))


class PinnedDialer:
    """The `Connect` for real networks. What it reads for TLS is kept (see `trust`): make one and keep it."""

    def __init__(self, ssl_context: ssl.SSLContext | None = None) -> None:
        self._trust = Trust(ssl_context)
        self._dial: Dial = TcpDialer()

    async def __call__(self, origin: Origin, address: Address) -> trio.abc.Stream:
        """Connect to the address; raises ConnectFailed. When cancelled, nothing stays open."""
        transport = await self._dial(Origin("http", str(address), origin.port))
        if origin.scheme == "http":
            return transport
        try:
            context = await self._trust.context()
            stream = trio.SSLStream(
                transport, context, server_hostname=origin.host, https_compatible=True
            )
            await stream.do_handshake()
        except (trio.BrokenResourceError, OSError, UnicodeError) as error:
            close_now(transport)
            raise ConnectFailed(origin, kind="tls") from error
        except BaseException:
            close_now(transport)
            raise
        return stream
