"""The relay: committed upstream streams go to the client as they arrive.

Mostly it is one stream; a second one goes on where the first broke, if the answer could be rescued.

Events are forwarded in their own bytes; all that one read returned goes out in one write. A client that
reads slowly makes the relay wait in `send`, which makes it stop reading from the upstream: memory stays
bounded by the sockets' buffers.

A stream is complete when `[DONE]` came, or when it ended after every choice gave its finish reason. A cut
stream is never presented as complete: the relay raises `StreamBroken`, and its caller tells the client.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import trio

from adapters.dialect import EventKind, StreamDecoder, StreamEvent, ToldError
from adapters.sse import Signal
from router.errors import GatewayError, StreamBroken
from router.exchange.attempt import MAX_MALFORMED_EVENTS, CommittedStream
from router.exchange.endpoint import Endpoint
from router.exchange.reply import Headers, Reply
from router.upstream.errors import UpstreamTransportError

# How long an upstream may take for usage and [DONE] once every choice has come to its end.
COMPLETE_SECONDS: Final = 2.0
KEEP_ALIVE_COMMENT: Final = b": keep-alive\n\n"
_STREAM_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # proxies in front (nginx) must not hold events back
)


class Watch(Protocol):
    """Watches one stream for who pays for it."""

    def is_paid_for(self) -> bool:
        """Whether what is held pays for what has been read of it so far. Asked with every event."""

    async def may_go_on(self) -> bool:
        """Whether there is credit for more of it; holds more if need be."""

    def cut(self) -> bytes:
        """Return the bytes that end it here, as if it had reached its cap."""

    def before_end(self) -> None:
        """Hear that its last bytes are about to go out. Raises `GatewayError` if they must not."""


class StreamRelay:
    """Relays the streams of one answer.

    `headers` go out as the first stream begins. `comment_every`: after so many seconds of silence the client
    gets a comment, so that proxies between do not give the connection up.
    """

    def __init__(self, reply: Reply, *, request_id: str, comment_every: float) -> None:
        self.headers: Headers = ()
        self.reply = reply
        self._request_id = request_id
        self._decoder: StreamDecoder | None = None
        self._comment_every = comment_every
        self._last_sent = 0.0
        self.events = 0

    async def run(self, stream: CommittedStream, endpoint: Endpoint, watch: Watch) -> None:
        """Relay a stream to its end, and end the reply. Its limit for silence is its endpoint's.

        Raises `GatewayError` where the stream breaks: what it had handed out is with the client then, and
        another stream may go on. When cancelled, the reply is left unfinished.
        """
        source = _Source(stream, endpoint, watch)
        self._decoder = stream.decoder
        if not self.reply.started:
            await self.reply.start(200, [*_STREAM_HEADERS, *self.headers])
        await self._pass_on(source, watch, source.begin())
        while not stream.done:
            await self._pass_on(source, watch, source.decode(await self._receive(source)))
        await self.reply.finish()

    async def _pass_on(self, source: "_Source", watch: Watch, frames: list[bytes]) -> None:
        """Send frames, and what else has been read already. Raises what has broken the stream behind them."""
        while source.must_ask:
            await self._send_frames(frames)
            frames = source.go_on() if await watch.may_go_on() else source.cut()
        if source.stream.done:
            watch.before_end()
        await self._send_frames(frames)
        if source.broken is not None:
            raise source.broken

    async def comment_while(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work`, which must not raise, and keep the client's connection from looking dead meanwhile.

        Whatever the client's side raises ends the work.
        """
        over = trio.Event()
        failures: list[Exception] = []
        async with trio.open_nursery() as nursery:

            async def comment() -> None:
                try:
                    await self._comment_until(over)
                except Exception as error:  # noqa: BLE001 - it leaves below, outside of the nursery's group
                    failures.append(error)
                    nursery.cancel_scope.cancel()

            nursery.start_soon(comment)
            await work()
            over.set()
        for failure in failures:
            raise failure

    async def tell(self, error: GatewayError) -> None:
        """Tell the client of a stream that has begun what became of it, in the words of its face."""
        if self._decoder is None or not self.reply.started:
            return
        body = error.to_body()
        told = ToldError(
            status=error.status,
            message=body.message,
            type=body.type,
            param=body.param,
            code=body.code,
            request_id=self._request_id,
        )
        await self.reply.send(self._decoder.error_frames(told))

    async def _comment_until(self, over: trio.Event) -> None:
        """Send comments until `over`; never interrupts one that is on its way, for that would be an abort."""
        while True:
            with trio.CancelScope(deadline=self._last_sent + self._comment_every):
                await over.wait()
                return
            await self._send(KEEP_ALIVE_COMMENT)

    async def _send_frames(self, frames: list[bytes]) -> None:
        if frames:
            self.events += len(frames)
            await self._send(b"".join(frames))

    async def _send(self, data: bytes) -> None:
        await self.reply.send(data)
        self._last_sent = trio.current_time()

    async def _receive(self, source: "_Source") -> bytes:
        """Return the next bytes of the upstream's body, `b""` at its end however it came.

        The client's silence is its own: an upstream's pings end at the decoder and do not break it.
        """
        complete = source.stream.decoder.complete
        idle = COMPLETE_SECONDS if complete else source.endpoint.timeouts.idle
        stalled = trio.current_time() + idle
        while True:
            comment = self._last_sent + self._comment_every
            with trio.CancelScope(deadline=min(stalled, comment)):
                try:
                    return await source.stream.response.receive_body()
                except UpstreamTransportError:
                    return b""  # whether it is a cut is for the decoder to say
            if trio.current_time() >= stalled:
                if complete:
                    return b""  # nothing is missing but the upstream's own goodbye
                raise StreamBroken(
                    f"The provider {source.endpoint.provider} sent nothing for {idle:g} seconds."
                )
            await self._send(KEEP_ALIVE_COMMENT)


class _Source:
    """One stream being relayed; `broken` says why it cannot be any more.

    `must_ask`: it has come to where what is held pays for no more, and whether it may go on is to be found
    out. It stops there even in the middle of what one read brought, which may be much.
    """

    def __init__(self, stream: CommittedStream, endpoint: Endpoint, watch: Watch) -> None:
        self.stream = stream
        self.endpoint = endpoint
        self.broken: GatewayError | None = None
        self.must_ask = False
        self._watch = watch

    def begin(self) -> list[bytes]:
        """Return the frames that were held back, and those of what came with them."""
        frames = self.stream.held[:]
        self.stream.held.clear()
        return frames if self.stream.done else frames + self.go_on()

    def decode(self, data: bytes) -> list[bytes]:
        """Return the frames that these bytes complete; notes the end, any break, and when to ask."""
        self.stream.decoder.receive_data(data)
        return self.go_on()

    def cut(self) -> list[bytes]:
        """End it here; return the frames that do so."""
        self.must_ask = False
        self.stream.done = True
        return [self._watch.cut()]

    def go_on(self) -> list[bytes]:
        """Return the frames of what has been read already."""
        self.must_ask = False
        stream = self.stream
        frames: list[bytes] = []
        while not isinstance(event := stream.decoder.next_event(), Signal):
            self._take(event, frames)
            if stream.done or self.broken is not None:
                return frames
            if not self._watch.is_paid_for():
                self.must_ask = True
                return frames
        if event is Signal.END:
            if stream.decoder.complete:
                frames.append(stream.decoder.closing_frames())
                stream.done = True
            else:
                self.broken = StreamBroken(
                    f"The provider {self.endpoint.provider} cut the stream before its end."
                )
        return frames

    def _take(self, event: StreamEvent, frames: list[bytes]) -> None:
        if event.frame:
            frames.append(event.frame)
        if event.kind is EventKind.DONE:
            self.stream.done = True
        elif event.kind is EventKind.ERROR and event.failure is not None:
            self.broken = self.endpoint.fault(event.failure, self.stream.token)
        elif event.kind is EventKind.MALFORMED:
            self.stream.malformed += 1
            if self.stream.malformed > MAX_MALFORMED_EVENTS:
                self.broken = StreamBroken(
                    f"The provider {self.endpoint.provider} sent a stream that cannot be read."
                )
