"""Any stream of trio can be closed at once, down to its socket."""

import ssl

import pytest
import trio
import trio.testing

from router.upstream.closing import close_now


async def test_a_socket_stream_is_closed_to_both_sides() -> None:
    ours, theirs = trio.testing.lockstep_stream_pair()
    close_now(ours)
    with pytest.raises(trio.ClosedResourceError):
        await ours.send_all(b"x")
    with pytest.raises(trio.ClosedResourceError):
        await ours.receive_some()
    assert await theirs.receive_some() == b""


async def test_a_tls_stream_closes_its_transport_without_a_goodbye() -> None:
    transport, peer = trio.testing.memory_stream_pair()
    close_now(
        trio.SSLStream(transport, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), server_hostname="a.test")
    )
    assert await peer.receive_some() == b""


async def test_closing_again_is_harmless() -> None:
    for stream in (*trio.testing.memory_stream_pair(), *socket_pair()):
        close_now(stream)
        close_now(stream)


async def test_a_stream_without_a_synchronous_close_is_refused() -> None:
    class Peculiar(trio.abc.AsyncResource):
        async def aclose(self) -> None: ...

    with pytest.raises(TypeError, match="Peculiar has no synchronous close"):
        close_now(Peculiar())


def socket_pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    ours, theirs = trio.socket.socketpair()
    return trio.SocketStream(ours), trio.SocketStream(theirs)
