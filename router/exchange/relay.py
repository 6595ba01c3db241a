"""The relay: a committed upstream stream goes to the client as it arrives.

Events are forwarded in their own bytes; all that one read returned goes out in one write. A client that
reads slowly makes the relay wait in `send`, which makes it stop reading from the upstream: memory stays
bounded by the sockets' buffers.

A stream is complete when `[DONE]` came, or when it ended after every choice gave its finish reason. A cut
stream is never presented as complete: the relay raises `StreamBroken`, and its caller tells the client.
"""

from typing import Final

import trio

from adapters.dialect import EventKind, StreamEvent
from adapters.sse import Signal
from router.errors import GatewayError, StreamBroken
from router.exchange.attempt import MAX_MALFORMED_EVENTS, CommittedStream
from router.exchange.endpoint import Endpoint
from router.exchange.reply import Headers, Reply
from router.upstream.errors import UpstreamTransportError

KEEP_ALIVE_COMMENT: Final = b": keep-alive\n\n"
_STREAM_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # proxies in front (nginx) must not hold events back
)


class StreamRelay:
    """Relays one stream of one endpoint, whose idle limit is the longest silence of the upstream.

    `comment_every`: after so many seconds of silence the client gets a comment, so that proxies between do
    not give the connection up.
    """

    def __init__(
        self,
        stream: CommittedStream,
        reply: Reply,
        *,
        headers: Headers,
        endpoint: Endpoint,
        comment_every: float,
    ) -> None:
        self._stream = stream
        self._reply = reply
        self._headers = headers
        self._endpoint = endpoint
        self._idle = endpoint.timeouts.idle
        self._comment_every = comment_every
        self._broken: GatewayError | None = None
        self._last_sent = 0.0
        self.events = 0

    async def run(self) -> None:
        """Relay to the end. Raises `StreamBroken`; when cancelled, the reply is left unfinished."""
        stream = self._stream
        self.events += len(stream.held)
        await self._reply.start(200, [*_STREAM_HEADERS, *self._headers])
        await self._send(b"".join(stream.held))
        stream.held.clear()
        while not stream.done:
            frames = self._decode(await self._receive())
            if frames:
                self.events += len(frames)
                await self._send(b"".join(frames))
            if self._broken is not None:
                raise self._broken
        await self._reply.finish()

    async def _send(self, data: bytes) -> None:
        await self._reply.send(data)
        self._last_sent = trio.current_time()

    async def _receive(self) -> bytes:
        """Return the next bytes of the upstream's body, `b""` at its end however it came.

        The client's silence is its own: an upstream's pings end at the decoder and do not break it.
        """
        stalled = trio.current_time() + self._idle
        while True:
            comment = self._last_sent + self._comment_every
            with trio.CancelScope(deadline=min(stalled, comment)):
                try:
                    return await self._stream.response.receive_body()
                except UpstreamTransportError:
                    return b""  # whether it is a cut is for the decoder to say
            if trio.current_time() >= stalled:
                raise StreamBroken(
                    f"The provider {self._endpoint.provider} sent nothing for {self._idle:g} seconds."
                )
            await self._send(KEEP_ALIVE_COMMENT)

    def _decode(self, data: bytes) -> list[bytes]:
        """Return the frames that these bytes complete; notes the end and any break."""
        stream = self._stream
        frames: list[bytes] = []
        stream.decoder.receive_data(data)
        while not isinstance(event := stream.decoder.next_event(), Signal):
            self._take(event, frames)
            if stream.done or self._broken is not None:
                return frames
        if event is Signal.END:
            if stream.decoder.complete:
                frames.append(stream.decoder.closing_frames())
                stream.done = True
            else:
                self._broken = StreamBroken(
                    f"The provider {self._endpoint.provider} cut the stream before its end."
                )
        return frames

    def _take(self, event: StreamEvent, frames: list[bytes]) -> None:
        if event.frame:
            frames.append(event.frame)
        if event.kind is EventKind.DONE:
            self._stream.done = True
        elif event.kind is EventKind.ERROR and event.failure is not None:
            self._broken = self._endpoint.fault(event.failure)
        elif event.kind is EventKind.MALFORMED:
            self._stream.malformed += 1
            if self._stream.malformed > MAX_MALFORMED_EVENTS:
                self._broken = StreamBroken(
                    f"The provider {self._endpoint.provider} sent a stream that cannot be read."
                )
