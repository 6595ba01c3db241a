"""One HTTP/1.1 connection of the simulated provider: h11 over any trio stream.

Two tasks share it. One listens all the time, so that a client's departure is noticed while the
other sleeps between tokens, and at that moment ends both. The other converses: it reads a request,
plays its performance, and starts over.

h11 reads requests and writes heads. Chunked bodies are framed by hand, in one write an event: h11
would walk through its states for every chunk, and this upstream has to cost well below what is
measured against it.

A client that shuts down only its sending side counts as gone, as it does for most servers.
"""

import http.client
import socket
import struct
from collections.abc import Callable
from typing import Final

import h11
import trio

from router.simulator.counts import Counts, SeenRequest
from router.simulator.performance import Ending, Head, Performance

READ_BYTES: Final = 65_536
MAX_BODY_BYTES: Final = 256 * 1024 * 1024
READ_AHEAD: Final = 2
"""Reads held for a client that sends on while it is being answered; then it has to wait."""

Answer = Callable[[SeenRequest], Performance]


class Connection:
    """Serves one stream until either side closes it. The stream itself is closed by the caller."""

    def __init__(self, stream: trio.abc.Stream, *, answer: Answer, counts: Counts) -> None:
        self._stream = stream
        self._answer = answer
        self._counts = counts
        self._http = h11.Connection(h11.SERVER)
        self._heard, self._incoming = trio.open_memory_channel[bytes](READ_AHEAD)
        self._client_left = False
        self._framed_by_hand = False
        self._bodiless = False

    async def run(self) -> None:
        """Answer requests until the client leaves or a performance ends the connection.

        Cancellation stops at once, in the middle of an answer too.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, nursery.cancel_scope)
            await self._converse()
            nursery.cancel_scope.cancel()

    async def _listen(self, both: trio.CancelScope) -> None:
        try:
            while data := await self._stream.receive_some(READ_BYTES):
                await self._heard.send(bytes(data))
        except trio.BrokenResourceError:
            # A reset is a departure too; it needs no other treatment.
            pass
        self._client_left = True
        both.cancel()

    async def _converse(self) -> None:
        try:
            while await self._exchange(await self._request()):
                self._http.start_next_cycle()
        except h11.RemoteProtocolError as error:
            await self._complain(error.error_status_hint)
        except trio.BrokenResourceError:
            self._client_left = True

    async def _request(self) -> SeenRequest:
        request = await self._event()
        if not isinstance(request, h11.Request):
            raise h11.RemoteProtocolError("expected a request")
        pieces: list[bytes] = []
        size = 0
        while isinstance(event := await self._event(), h11.Data):
            pieces.append(bytes(event.data))
            size += len(event.data)
            if size > MAX_BODY_BYTES:
                raise h11.RemoteProtocolError("body too large", error_status_hint=413)
        return SeenRequest(request.method, request.target, list(request.headers), b"".join(pieces))

    async def _event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                await self._stream.send_all(
                    self._head_bytes(h11.InformationalResponse(status_code=100, headers=[]))
                )
            self._http.receive_data(await self._incoming.receive())
        return event

    async def _exchange(self, request: SeenRequest) -> bool:
        """Answer one request; whether the connection can take another."""
        self._counts.begin()
        ending: Ending | None = None
        try:
            self._bodiless = request.method == b"HEAD"
            start = trio.current_time()
            ending = await self._play(self._answer(request), start)
        except trio.BrokenResourceError:
            self._client_left = True
        finally:
            self._counts.end(ending, client_left=self._client_left)
        return ending is Ending.COMPLETE and self._http.our_state is h11.DONE

    async def _play(self, performance: Performance, start: float) -> Ending:
        """Write every step at its moment, at once if it is late already."""
        if performance.head_at:
            await trio.sleep_until(start + performance.head_at)
        unsent = b"" if performance.head is None else self._open(performance.head)
        for at, data, ending in performance.steps:
            due = start + at
            if due > trio.current_time():
                if unsent:
                    await self._stream.send_all(unsent)
                    unsent = b""
                await trio.sleep_until(due)
            unsent += self._framed(data) + self._closed(ending)
            if unsent:
                await self._stream.send_all(unsent)
                unsent = b""
            if ending is not None:
                return await self._finished(ending)
        raise AssertionError("a performance has to say how it ends")

    def _open(self, head: Head) -> bytes:
        chunked = head.length is None
        size = (b"transfer-encoding", b"chunked")
        if head.length is not None:
            size = (b"content-length", b"%d" % head.length)
        # HTTP/1.0 knows no chunks; h11 then ends the body by closing.
        self._framed_by_hand = chunked and self._http.their_http_version == b"1.1"
        return self._head_bytes(
            h11.Response(
                status_code=head.status, reason=_reason(head.status), headers=[*head.headers, size]
            )
        )

    def _head_bytes(self, head: h11.Response | h11.InformationalResponse) -> bytes:
        return self._http.send(head) or b""

    def _framed(self, data: bytes) -> bytes:
        # An empty chunk would end the body.
        if not data or self._bodiless:
            return b""
        if self._framed_by_hand:
            return b"%x\r\n%b\r\n" % (len(data), data)
        return self._http.send(h11.Data(data=data)) or b""

    def _closed(self, ending: Ending | None) -> bytes:
        if ending is Ending.COMPLETE or ending is Ending.HANG_UP:
            return self._http.send(h11.EndOfMessage()) or b""
        return b""

    async def _finished(self, ending: Ending) -> Ending:
        if ending is Ending.STALL:
            await trio.sleep_forever()
        if ending is Ending.RESET and isinstance(self._stream, trio.SocketStream):
            # Closing without lingering sends a reset; other streams know only one way to break.
            self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return ending

    async def _complain(self, status: int) -> None:
        """Tell a client that its HTTP is wrong, if an answer is still possible."""
        if self._http.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return
        self._framed_by_hand = False
        headers = [(b"connection", b"close"), (b"content-length", b"0")]
        head = self._head_bytes(
            h11.Response(status_code=status, reason=_reason(status), headers=headers)
        )
        try:
            await self._stream.send_all(head)
        except trio.BrokenResourceError:
            self._client_left = True


def _reason(status: int) -> bytes:
    return http.client.responses.get(status, "").encode()
