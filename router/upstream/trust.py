"""Whose certificates we believe: those of the system's authorities, read when they are first needed.

To read them takes a good part of a start, and memory for as long as the process lives. A gateway whose
providers are all near, in plain text, needs none of it, and neither does one whose clients send no URLs. It
is done in a thread, since OpenSSL lets others run meanwhile.
"""

import ssl

import trio


class Trust:
    """The settings of TLS to others; those given, or the system's. Raises what `ssl` raises for bad ones.

    They offer HTTP/1.1 (ALPN), which is all we speak, and refuse renegotiation, which HTTP has no use for.
    """

    def __init__(self, given: ssl.SSLContext | None = None) -> None:
        self._context = None if given is None else _prepared(given)
        self._reading = trio.Lock()

    async def context(self) -> ssl.SSLContext:
        """Return them. Whoever asks first waits until they are read, also when cancelled."""
        async with self._reading:
            if self._context is None:
                self._context = await trio.to_thread.run_sync(_of_system)
            return self._context


def _of_system() -> ssl.SSLContext:
    return _prepared(ssl.create_default_context())


def _prepared(context: ssl.SSLContext) -> ssl.SSLContext:
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context
