"""Dialling real sockets on the loopback: what comes back, and how each failure is called."""

import errno
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from router.upstream.closing import close_now
from router.upstream.dial import TcpDialer
from router.upstream.errors import ConnectFailed
from router.upstream.origin import Origin
from router.upstream.tls import TlsStream

TLS = Path(__file__).parent.parent / "fixtures" / "tls"

Handler = Callable[[trio.SocketStream], Awaitable[None]]
Serve = Callable[[Handler], Awaitable[int]]


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=TLS / "ca.pem")


def server_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "server.pem", TLS / "server-key.pem")
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@pytest.fixture
async def serve(nursery: trio.Nursery) -> AsyncIterator[Serve]:
    """Serve connections to a free port of the loopback; returns the port."""

    async def start(handler: Handler) -> int:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, handler, listeners)
        port: int = listeners[0].socket.getsockname()[1]
        return port

    yield start
    nursery.cancel_scope.cancel()


async def greet(stream: trio.abc.Stream) -> None:
    await stream.send_all(b"hello")
    await stream.receive_some()


async def greet_over_tls(stream: trio.SocketStream) -> None:
    async with trio.SSLStream(
        stream, server_context(), server_side=True, https_compatible=True
    ) as tls:
        await greet(tls)


async def test_plain_http_yields_a_socket_that_does_not_delay_small_writes(serve: Serve) -> None:
    port = await serve(greet)
    stream = await TcpDialer(trusting())(Origin("http", "127.0.0.1", port))
    assert isinstance(stream, trio.SocketStream)
    assert stream.getsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY)
    assert await stream.receive_some() == b"hello"
    close_now(stream)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_https_is_verified_and_negotiated_before_it_is_handed_over(
    serve: Serve, host: str
) -> None:
    port = await serve(greet_over_tls)
    stream = await TcpDialer(trusting())(Origin("https", host, port))
    assert isinstance(stream, TlsStream)
    assert stream.selected_alpn_protocol() == "http/1.1"
    assert stream.getpeercert()
    assert await stream.receive_some() == b"hello"
    close_now(stream)


async def fail(dialer: TcpDialer, origin: Origin) -> ConnectFailed:
    with pytest.raises(ConnectFailed) as failed:
        await dialer(origin)
    assert failed.value.origin == origin
    assert str(failed.value).startswith(f"{origin}: no connection ({failed.value.kind}): ")
    return failed.value


async def refuse_tls(stream: trio.SocketStream) -> None:
    tls = trio.SSLStream(stream, server_context(), server_side=True)
    with pytest.raises(trio.BrokenResourceError):
        await tls.do_handshake()
    await stream.aclose()


async def test_an_untrusted_certificate_is_a_tls_failure_that_says_why(serve: Serve) -> None:
    port = await serve(refuse_tls)
    failed = await fail(TcpDialer(), Origin("https", "localhost", port))
    assert failed.kind == "tls"
    assert "unable to get local issuer" in str(failed)


async def test_a_certificate_for_another_name_is_a_tls_failure(serve: Serve) -> None:
    port = await serve(refuse_tls)
    failed = await fail(TcpDialer(trusting()), Origin("https", "127.0.0.2", port))
    assert failed.kind in {"tls", "refused"}


async def test_a_server_without_tls_is_a_tls_failure(serve: Serve) -> None:
    async def speak_plainly(stream: trio.SocketStream) -> None:
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await stream.receive_some()

    port = await serve(speak_plainly)
    failed = await fail(TcpDialer(trusting()), Origin("https", "localhost", port))
    assert failed.kind == "tls"


async def test_a_server_that_hangs_up_in_the_handshake_is_a_reset(serve: Serve) -> None:
    async def hang_up(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.aclose()

    port = await serve(hang_up)
    failed = await fail(TcpDialer(trusting()), Origin("https", "localhost", port))
    assert failed.kind == "reset"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_closed_port_refuses(host: str) -> None:
    failed = await fail(TcpDialer(trusting()), Origin("http", host, free_port()))
    assert failed.kind == "refused"


@pytest.mark.parametrize("host", ["nonexistent.invalid", "a" * 64 + ".invalid"])
async def test_a_name_that_does_not_exist_is_a_dns_failure(host: str) -> None:
    failed = await fail(TcpDialer(trusting()), Origin("http", host, 80))
    assert failed.kind == "dns"


class ScriptedSockets(trio.abc.SocketFactory):
    """Makes sockets that fail to connect, each with the next error of a list."""

    def __init__(self, *errors: OSError) -> None:
        self._errors = list(errors)

    def socket(self, family: int = 0, type: int = 0, proto: int = 0) -> "FailingSocket":  # noqa: A002 - trio's name
        return FailingSocket(self._errors.pop(0))


class FailingSocket(trio.socket.SocketType):
    def __init__(self, error: OSError) -> None:
        self._error = error

    async def connect(self, address: object) -> None:
        await trio.lowlevel.checkpoint()
        raise self._error

    def close(self) -> None: ...


class TwoAddresses(trio.abc.HostnameResolver):
    async def getaddrinfo(self, *_: object, **__: object) -> list[tuple[object, ...]]:  # type: ignore[override]
        stream = socket.SOCK_STREAM
        return [
            (socket.AF_INET6, stream, 0, "", ("::1", 80, 0, 0)),
            (socket.AF_INET, stream, 0, "", ("127.0.0.1", 80)),
        ]

    async def getnameinfo(self, *_: object, **__: object) -> tuple[str, str]:
        raise NotImplementedError


UNREACHABLE = OSError(errno.ENETUNREACH, "Network is unreachable")
REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
ODD = OSError(errno.EACCES, "Permission denied")


@pytest.mark.parametrize(
    ("errors", "kind"),
    [
        ([UNREACHABLE, REFUSED], "refused"),
        ([UNREACHABLE, UNREACHABLE], "unreachable"),
        ([UNREACHABLE, TimeoutError(errno.ETIMEDOUT, "timed out")], "unreachable"),
        ([ODD, UNREACHABLE], "unreachable"),
        ([ODD, ODD], "other"),
        ([UNREACHABLE, ConnectionResetError(errno.ECONNRESET, "reset")], "reset"),
    ],
)
async def test_several_addresses_fail_as_what_says_most(errors: list[OSError], kind: str) -> None:
    trio.socket.set_custom_hostname_resolver(TwoAddresses())
    trio.socket.set_custom_socket_factory(ScriptedSockets(*errors))
    failed = await fail(TcpDialer(trusting()), Origin("http", "a.test", 80))
    assert failed.kind == kind


async def test_a_dial_cancelled_in_the_handshake_closes_its_socket(serve: Serve) -> None:
    scope = trio.CancelScope()
    ended = trio.Event()

    async def never_answer(stream: trio.SocketStream) -> None:
        assert await stream.receive_some()
        scope.cancel()
        while await stream.receive_some():
            pass
        ended.set()

    port = await serve(never_answer)
    with scope:
        await TcpDialer(trusting())(Origin("https", "127.0.0.1", port))
    assert scope.cancelled_caught
    await ended.wait()
