"""Connecting to a checked address on the loopback, with TLS verified for the name."""

import ssl
from ipaddress import ip_address
from pathlib import Path

import pytest
import trio

from router.upstream.closing import close_now
from router.upstream.errors import ConnectFailed
from router.upstream.origin import Origin
from router.upstream.pinned import PinnedDialer, resolve_by_system

TLS = Path(__file__).parent.parent / "fixtures" / "tls"
HERE = ip_address("127.0.0.1")


class TlsServer:
    """Greets over TLS; `asked` has the names that its clients wanted."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(TLS / "server.pem", TLS / "server-key.pem")
        self._context.sni_callback = lambda _, name, __: self.asked.append(name)

    async def start(self, nursery: trio.Nursery) -> int:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, self._serve, listeners)
        port: int = listeners[0].socket.getsockname()[1]
        return port

    async def _serve(self, stream: trio.SocketStream) -> None:
        tls = trio.SSLStream(stream, self._context, server_side=True, https_compatible=True)
        try:
            await tls.send_all(b"hello")
            await tls.receive_some()
        except trio.BrokenResourceError:
            pass  # a client that does not trust the certificate says so and goes
        finally:
            close_now(stream)


def dialer() -> PinnedDialer:
    return PinnedDialer(ssl.create_default_context(cafile=TLS / "ca.pem"))


async def test_tls_is_for_the_name_and_the_connection_to_the_address() -> None:
    server = TlsServer()
    async with trio.open_nursery() as nursery:
        port = await server.start(nursery)
        stream = await dialer()(Origin("https", "localhost", port), HERE)
        assert await stream.receive_some() == b"hello"
        close_now(stream)
        nursery.cancel_scope.cancel()
    assert server.asked == ["localhost"]


async def test_a_certificate_for_the_address_alone_does_not_do() -> None:
    server = TlsServer()
    async with trio.open_nursery() as nursery:
        port = await server.start(nursery)
        with pytest.raises(ConnectFailed) as failed:
            await dialer()(Origin("https", "a.test", port), HERE)
        nursery.cancel_scope.cancel()
    assert (failed.value.kind, failed.value.origin.host) == ("tls", "a.test")


async def test_a_dial_cancelled_in_the_handshake_closes_its_socket() -> None:
    greeted, closed = trio.Event(), trio.Event()

    async def never_answer(stream: trio.SocketStream) -> None:
        while await stream.receive_some():
            greeted.set()
        closed.set()

    async def dial(port: int) -> None:
        await dialer()(Origin("https", "localhost", port), HERE)

    with trio.fail_after(10):
        async with trio.open_nursery() as server:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            server.start_soon(trio.serve_listeners, never_answer, listeners)
            async with trio.open_nursery() as client:
                client.start_soon(dial, listeners[0].socket.getsockname()[1])
                await greeted.wait()
                client.cancel_scope.cancel()
            await closed.wait()
            server.cancel_scope.cancel()


async def test_the_system_is_asked_for_all_addresses_of_a_name() -> None:
    found = await resolve_by_system("localhost", 80)
    assert found
    assert len(set(found)) == len(found)
    assert all(address.is_loopback for address in found)
