"""One client's HTTP/1.1 connection: one task, one request after another, each run in that task.

Between requests it lies among the idle ones, and closes when its time is over or the server ends. During
a request nobody reads it: what the client sends ahead stays with the kernel, and `LeaveWatch` tells when
the client leaves. It closes after what cannot be followed by anything: a refusal, an answer that was not
finished, a request that was not read to its end.
"""

import contextlib
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

import trio
from hypercorn.typing import ASGIFramework

from router.errors import GatewayBug, GatewayError, MalformedRequest
from router.front.failure import log_failure
from router.front.headers import new_request_id
from router.front.http1.asgi_calls import Address, AsgiCalls, Ends, asgi_scope
from router.front.http1.idle import IdleConnections
from router.front.http1.leaving import LeaveWatch
from router.front.http1.message import Http1Parser, RequestHead
from router.front.http1.refusal import refusal
from router.front.http1.turn import Turn
from router.front.http1.usual import UsualHeads
from router.front.http1.wire import GONE, Connected, Wire
from router.netpoll import UnwrittenError


class Plane(Protocol):
    """Who serves requests without ASGI between."""

    def serve_turn(
        self, request: RequestHead, turn: Turn, *, client: Address
    ) -> Awaitable[None] | None:
        """Return what serves this request to its end; `None` leaves it to the application."""


class Shared(NamedTuple):
    """What all connections of a server have in common. What `plane` does not serve, `app` does."""

    app: ASGIFramework
    plane: Plane | None
    parser: Callable[[], Http1Parser]
    idle: IdleConnections
    watch: LeaveWatch
    heads: UsualHeads


class Http1Connection:
    """A connection on `wire`, whose socket is `connected`."""

    __slots__ = (
        "_cancel",
        "_client_left",
        "_ends",
        "_http",
        "_life",
        "_shared",
        "_socket",
        "_turn",
        "_was_asked",
        "_wire",
    )

    def __init__(self, shared: Shared, wire: Wire, connected: Connected, ends: Ends) -> None:
        self._shared = shared
        self._wire = wire
        self._socket = connected
        self._ends = ends
        self._http = shared.parser()
        # One scope for all requests: after the first that is cancelled there is no other.
        self._life = trio.CancelScope()
        self._cancel = self._life.cancel
        self._turn: Turn | None = None
        self._client_left = False
        self._was_asked = False

    async def run(self) -> bytes:
        """Serve until the connection is closed, or return what another protocol has to read again.

        Cancelled, it resets the connection, so that no answer looks whole that is not.
        """
        plane = self._shared.plane
        number = self._shared.watch.add(self._socket, self._on_leave)
        try:
            with self._life:
                while (request := await self._next_request()) is not None:
                    if request.switch_to is not None:
                        await self._wire.flush()
                        return self._http.taken_back()
                    turn = self._begin(request)
                    try:
                        serving = None
                        if plane is not None:
                            serving = plane.serve_turn(request, turn, client=self._ends.client)
                        await (serving or self._serve_asgi(request, turn))
                    except BaseException as error:
                        if not log_failure(error):
                            raise
                    self._turn = None
                    if turn.owes_flush and turn.answered:
                        await turn.flush()  # what a cancelled application left
                    if turn.gone or not turn.answered or not self._http.start_next_cycle():
                        await self._end(request, turn)
                        break
                return b""
            self._wire.abort()
        except BaseException:
            self._wire.abort()
            raise
        finally:
            self._shared.watch.remove(number, self._on_leave)
        return b""

    async def _next_request(self) -> RequestHead | None:
        """Wait for a request's head; `None` when the connection has ended instead."""
        http = self._http
        try:
            if http.unread and (request := http.next_head()) is not None:
                await trio.lowlevel.checkpoint()
                return request
            self._shared.idle.add(self._socket, is_fresh=not self._was_asked)
            try:
                while data := await self._wire.read():
                    http.receive_data(data)
                    if (request := http.next_head()) is not None:
                        return request
            except UnwrittenError:  # of the answer before, which did not go out as it should have
                self._shared.idle.discard(self._socket)
                await self._wire.flush()
                return await self._next_request()
            finally:
                self._shared.idle.discard(self._socket)
        except MalformedRequest as error:
            await self._refuse(error, new_request_id())
            return None
        except GONE:
            pass
        self._socket.close()
        return None

    def _begin(self, request: RequestHead) -> Turn:
        turn = Turn(self._http, self._wire, request, self._shared.heads, self._cancel)
        self._was_asked = True
        if self._client_left:
            turn.leave()
        self._turn = turn
        return turn

    def _serve_asgi(self, request: RequestHead, turn: Turn) -> Awaitable[None]:
        scope = asgi_scope(request, self._ends)
        calls = AsgiCalls(turn)
        return self._shared.app(scope, calls.receive, calls.send)

    async def _end(self, request: RequestHead, turn: Turn) -> None:
        """Close after a turn that nothing can follow."""
        linger = not self._http.request_ended
        if turn.answered:
            await self._wire.close(linger=linger)
        elif not turn.begun and turn.refusal is not None:
            await self._refuse(turn.refusal, new_request_id(), request)
        elif not turn.begun and not turn.gone:
            request_id = new_request_id()
            await self._refuse(GatewayBug(request_id), request_id, request)
        elif turn.gone or self._http.answer.ends_by_closing:
            self._wire.abort()
        else:
            await self._wire.close(linger=False)

    async def _refuse(
        self, error: GatewayError, request_id: str, request: RequestHead | None = None
    ) -> None:
        """Answer what is no request, or was not answered by the application, and close."""
        self._wire.write_now(refusal(error, request_id, request, self._shared.heads.date()))
        with contextlib.suppress(trio.BrokenResourceError):
            await self._wire.flush()
        await self._wire.close(linger=True)

    def _on_leave(self) -> None:
        self._client_left = True
        if self._turn is not None:
            self._turn.leave()
