"""The relay: committed upstream streams go to the client as they arrive.

Mostly it is one stream; a second one goes on where the first broke, if the answer could be rescued.

Events are forwarded in their own bytes; all that one read returned goes out in one write. A client that
reads slowly makes the relay wait in `send`, which makes it stop reading from the upstream: memory stays
bounded by the sockets' buffers.

A stream is complete when `[DONE]` came, or when it ended after every choice gave its finish reason. A cut
stream is never presented as complete: the relay raises `StreamBroken`, and its caller tells the client.

Where both ends are plain enough, the pump carries the stream for as long as there is nothing to do but to
pass it on (`router.exchange.pump`), and this task sleeps. What it does when it wakes is the same either way.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import trio

from adapters.dialect import StreamDecoder, ToldError
from router.errors import GatewayError, StreamBroken
from router.exchange.endpoint import Endpoint
from router.exchange.outlet import Outlet
from router.exchange.passage import Passage
from router.exchange.pump import Pump
from router.exchange.reply import Headers, Reply
from router.exchange.source import Source, Watch
from router.exchange.stream_attempt import CommittedStream
from router.upstream.errors import UpstreamTransportError

_STREAM_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # proxies in front (nginx) must not hold events back
)


class StreamRelay:
    """Relays the streams of one answer.

    `headers` go out as the first stream begins. `comment_every`: after so many seconds of silence the client
    gets a comment, so that proxies between do not give the connection up. `pump` carries what it can; without
    one, each stream is carried by its own task.
    """

    __slots__ = ("_decoder", "_outlet", "_pump", "_request_id", "headers", "reply")

    def __init__(
        self, reply: Reply, *, request_id: str, comment_every: float, pump: Pump | None = None
    ) -> None:
        self.headers: Headers = ()
        self.reply = reply
        self._outlet = Outlet(reply, comment_every=comment_every)
        self._request_id = request_id
        self._decoder: StreamDecoder | None = None
        self._pump = pump

    @property
    def events(self) -> int:
        """Frames that have gone out so far."""
        return self._outlet.events

    async def run(self, stream: CommittedStream, endpoint: Endpoint, watch: Watch) -> None:
        """Relay a stream to its end, and end the reply. Its limit for silence is its endpoint's.

        Raises `GatewayError` where the stream breaks: what it had handed out is with the client then, and
        another stream may go on. When cancelled, the reply is left unfinished.
        """
        source = Source(stream, endpoint, watch)
        self._decoder = stream.decoder
        if not self.reply.started:
            await self.reply.start(200, [*_STREAM_HEADERS, *self.headers])
            self.headers = ()
        await self._pass_on(source, source.begin())
        while not stream.done:
            pump, fd = self._pump, stream.response.fileno()
            if pump is not None and fd is not None and pump.is_running and self.reply.can_send_now:
                await self._carry(source, pump, fd)
            else:
                await self._pass_on(source, source.decode(await self._receive(source)))
        await self.reply.finish()

    async def _carry(self, source: Source, pump: Pump, fd: int) -> None:
        """Have the pump carry the stream until it needs this task, then do what it needs."""
        now = trio.current_time()
        passage = Passage(source, self._outlet, now=now)
        if not passage.begin(now):
            await self._sleep(source, passage, pump, fd)
        if passage.is_unsent:
            await self._outlet.flush()
        await self._pass_on(source, passage.frames)

    async def _sleep(self, source: Source, passage: Passage, pump: Pump, fd: int) -> None:
        """Sleep while the pump carries the stream, but for its silences.

        When it would be too long is not moved with every event: it is looked at when it has come.
        """
        while pump.is_running:
            silent_at = passage.heard_at + source.idle_seconds
            if await pump.carry(fd, passage, until=min(silent_at, self._outlet.comment_at)):
                return
            if await self._is_silent(source, passage.heard_at + source.idle_seconds):
                passage.end()
                return

    async def _pass_on(self, source: Source, frames: list[bytes]) -> None:
        """Send frames, and what else has been read already. Raises what has broken the stream behind them."""
        watch = source.watch
        while source.must_ask:
            await self._outlet.send_frames(frames)
            frames = source.go_on() if await watch.may_go_on() else source.cut()
        if source.stream.done:
            watch.before_end()
        await self._outlet.send_frames(frames)
        if source.broken is not None:
            raise source.broken

    async def _receive(self, source: Source) -> bytes:
        """Return the next bytes of the upstream's body, `b""` at its end however it came."""
        silent_at = trio.current_time() + source.idle_seconds
        while True:
            with trio.CancelScope(deadline=min(silent_at, self._outlet.comment_at)):
                try:
                    return await source.stream.response.receive_body()
                except UpstreamTransportError:
                    return b""  # whether it is a cut is for the decoder to say
            if await self._is_silent(source, silent_at):
                return b""

    async def _is_silent(self, source: Source, silent_at: float) -> bool:
        """Whether a stream has said all there is, as its silence shows from `silent_at` on.

        Till then the client gets a comment when one is due: its silence is its own, since an upstream's pings
        end at the decoder and do not break it. Raises `StreamBroken` where something is missing.
        """
        if trio.current_time() >= silent_at:
            if source.stream.decoder.complete:
                return True  # nothing is missing but the upstream's own goodbye
            raise StreamBroken(
                f"The provider {source.endpoint.provider} sent nothing for {source.idle_seconds:g} seconds."
            )
        if trio.current_time() >= self._outlet.comment_at:
            await self._outlet.comment()
        return False

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
        await self._outlet.send(self._decoder.error_frames(told))

    async def _comment_until(self, over: trio.Event) -> None:
        """Send comments until `over`; never interrupts one that is on its way, for that would be an abort."""
        while True:
            with trio.CancelScope(deadline=self._outlet.comment_at):
                await over.wait()
                return
            await self._outlet.comment()
