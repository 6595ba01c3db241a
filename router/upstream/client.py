"""Sending requests to origins over pooled connections.

The origin may close an idle connection at any moment, also while the next request is on its way to
it. Such a request failed through nobody's fault and was most likely never looked at; so, on a
connection that served before, and only when not one byte of an answer came back, it is sent once
more on a fresh connection. Everything else is reported: about further attempts the caller decides.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import trio

from router.netpoll import Netpoll
from router.upstream.dial import Dial
from router.upstream.errors import UpstreamCut
from router.upstream.lending import Lender
from router.upstream.message import OutgoingRequest
from router.upstream.origin import Origin
from router.upstream.pool import PoolLimits, PoolSnapshot
from router.upstream.response import UpstreamResponse

__all__ = [
    "OutgoingRequest",
    "PoolLimits",
    "PoolSnapshot",
    "UpstreamClient",
    "UpstreamResponse",
]

T = TypeVar("T")


class Connecting(Protocol):
    """What waiting for a connection is done within."""

    async def __call__(self, waiting: Awaitable[T]) -> T:
        """Return what comes of it; an exception ends the sending."""


async def _unbounded(waiting: Awaitable[T]) -> T:
    return await waiting


class UpstreamClient:
    """One pool of connections for all origins. No call sets a deadline; that is the caller's.

    `netpoll`: what waits for its sockets while it runs. To be made in the run of trio that uses it.
    """

    def __init__(
        self,
        *,
        dial: Dial,
        limits: PoolLimits = PoolLimits(),  # noqa: B008 - frozen
        netpoll: Netpoll | None = None,
    ) -> None:
        self._lender = Lender(dial, limits, netpoll)

    async def send(
        self,
        origin: Origin,
        request: OutgoingRequest,
        *,
        connecting: Connecting = _unbounded,
        on_connected: Callable[[UpstreamResponse], None] = lambda _response: None,
    ) -> UpstreamResponse:
        """Send the request; returns once the head of the response is there, 1xx passed over.

        Where there is no connection to be had at once, one is waited for within `connecting`. With each
        on which the request is about to go out `on_connected` is called, so that a caller can turn its
        patience for connecting into that for an answer, and can end its waiting for one: by `interrupt` of
        the response to come, whereupon this, or the reading of it, raises trio.ClosedResourceError.

        Raises ConnectFailed, UpstreamCut, UpstreamProtocolError; ValueError when the request's own
        head is not valid HTTP; trio.ClosedResourceError after `aclose`. After an exception, or when
        cancelled, nothing is held. The caller must `discard` the response in the end.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        connection = self._lender.lend_now(origin)
        if connection is None:
            connection = await connecting(self._lender.borrow(origin))
        response = UpstreamResponse(self._lender, connection)
        try:
            on_connected(response)
            try:
                head = await connection.send(request)
            except UpstreamCut as cut:
                if cut.response_started or not response.reused:
                    raise
                await connecting(response.renew())
                on_connected(response)
                head = await response.connection.send(request)
        except BaseException:
            response.discard()
            raise
        response.begin(head)
        return response

    def snapshot(self) -> PoolSnapshot:
        """Count connections and waiting requests over all origins."""
        return self._lender.snapshot()

    def close_idle(self, now: float) -> None:
        """Close connections idle for too long; `now` is trio time. To be called now and then."""
        self._lender.close_idle(now)

    async def aclose(self) -> None:
        """Close all idle connections and accept no more requests.

        Responses still being read are not disturbed; their connections close when discarded.
        """
        self._lender.close()
        await trio.lowlevel.checkpoint()
