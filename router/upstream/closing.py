"""Closing a trio stream at once, from synchronous code.

Clean-up must not wait: a task that is being cancelled would be interrupted in the middle of it.
trio's own `aclose` waits (for a checkpoint, or to say goodbye over TLS), so the close is done where
it is synchronous anyway, at the bottom of the stack. TLS is ended without a goodbye, as HTTP
permits: the length of every answer is known from HTTP itself.
"""

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
