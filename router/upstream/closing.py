"""Closing a trio stream at once, from synchronous code.

Clean-up must not wait: a task that is being cancelled would be interrupted in the middle of it.
trio's own `aclose` waits (for a checkpoint, or to say goodbye over TLS), so the close is done where
it is synchronous anyway, at the bottom of the stack. TLS is ended without a goodbye, as HTTP
permits: the length of every answer is known from HTTP itself.
"""

import os

import trio


def close_now(stream: trio.abc.AsyncResource) -> None:
    """Close a stream and whatever it stands on; again is harmless. Raises TypeError if it cannot.

    A task waiting in the stream meanwhile gets trio.ClosedResourceError.
    """
    match stream:
        case trio.SSLStream():
            close_now(stream.transport_stream)
        case trio.SocketStream():
            stream.socket.close()
        case trio.StapledStream():
            try:
                close_now(stream.send_stream)
            finally:
                close_now(stream.receive_stream)
        case _:
            close = getattr(stream, "close", None)
            if close is None:
                raise TypeError(f"{type(stream).__name__} has no synchronous close")
            close()


def has_unread_input(stream: trio.abc.AsyncResource) -> bool:
    """Tell, without waiting, whether the stream has bytes or its end ready to be read; if so, it is spent.

    Streams that are no sockets cannot be asked and count as quiet.
    """
    match stream:
        case trio.SSLStream():
            return has_unread_input(stream.transport_stream)
        case trio.SocketStream():
            return _has_input(stream.socket)
        case _:
            return False


def _has_input(socket: trio.socket.SocketType) -> bool:
    """Whether a read finds anything; unlike a poll, it needs no object made for it."""
    try:
        os.read(socket.fileno(), 1)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
