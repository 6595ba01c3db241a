"""Opening a connection to an origin: name lookup, TCP, TLS.

trio tries several addresses in a staggered race (happy eyeballs) and switches TCP_NODELAY on. The
TLS handshake is finished before the stream is handed over, so every way in which connecting can
fail ends here as one `ConnectFailed`, whose kind tells an operator where to look. How long it may
take is up to the caller's cancel scope.
"""

import errno
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator

import trio

from router.upstream.closing import close_now
from router.upstream.errors import ConnectFailed, ConnectFailureKind
from router.upstream.origin import Origin
from router.upstream.tls import TlsStream
from router.upstream.trust import Trust

Dial = Callable[[Origin], Awaitable[trio.abc.Stream]]

_UNREACHABLE = frozenset(
    (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.ETIMEDOUT)
)


class TcpDialer:
    """The `Dial` for real networks. What it reads for TLS is kept (see `trust`): make one and keep it."""

    def __init__(self, ssl_context: ssl.SSLContext | None = None) -> None:
        self._trust = Trust(ssl_context)

    async def __call__(self, origin: Origin) -> trio.abc.Stream:
        """Connect; raises ConnectFailed. When cancelled, nothing stays open."""
        try:
            stream = await trio.open_tcp_stream(origin.host, origin.port)
        except (OSError, UnicodeError) as error:
            raise _connect_failed(origin, error) from error
        if origin.scheme == "http":
            return stream
        return await self._shake_hands(origin, stream)

    async def _shake_hands(self, origin: Origin, transport: trio.SocketStream) -> TlsStream:
        try:
            context = await self._trust.context()
            stream = TlsStream(transport, context, server_hostname=origin.host)
            await stream.do_handshake()
        except (trio.BrokenResourceError, OSError, UnicodeError) as error:
            close_now(transport)
            # trio wraps what really happened to the socket, as the cause.
            raise _connect_failed(origin, error.__cause__ or error) from error
        except BaseException:
            close_now(transport)
            raise
        return stream


def _connect_failed(origin: Origin, error: BaseException) -> ConnectFailed:
    # One address that answered, even with a refusal, says more than others that did not.
    leaves = list(_leaves(error))
    kind, told = next(
        ((kind, leaf) for kind in _KINDS for leaf in leaves if _KINDS[kind](leaf)),
        ("other", leaves[0]),
    )
    return ConnectFailed(origin, kind=kind, detail=_detail(told))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors of the single addresses, where trio collected several as the cause of one."""
    group = error if isinstance(error, BaseExceptionGroup) else error.__cause__
    if isinstance(group, BaseExceptionGroup):
        for member in group.exceptions:
            yield from _leaves(member)
    else:
        yield error


def _is_end_in_handshake(error: BaseException) -> bool:
    return isinstance(
        error, ConnectionResetError | BrokenPipeError | ssl.SSLEOFError | ssl.SSLSyscallError
    )


_KINDS: dict[ConnectFailureKind, Callable[[BaseException], bool]] = {
    "dns": lambda error: isinstance(error, socket.gaierror | UnicodeError),
    "refused": lambda error: isinstance(error, ConnectionRefusedError),
    "reset": _is_end_in_handshake,
    "tls": lambda error: isinstance(error, ssl.SSLError | ssl.CertificateError),
    "unreachable": lambda error: isinstance(error, OSError) and error.errno in _UNREACHABLE,
}


def _detail(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return error.reason or "handshake failed"
    return (error.strerror if isinstance(error, OSError) else None) or "connecting failed"
