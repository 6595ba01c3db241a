"""The upstream's end of a relayed stream: bytes in, frames for the client out, and what they meant.

Everything here is synchronous, so that the relay and the pump, which move the bytes in different ways, agree
on every event: what is passed on, when a stream is whole, what breaks it, and when its cost must be looked
at.
"""

from typing import Final, Protocol

from adapters.dialect import EventKind, StreamEvent
from adapters.sse import Signal
from router.errors import GatewayError, StreamBroken
from router.exchange.endpoint import Endpoint
from router.exchange.stream_attempt import MAX_MALFORMED_EVENTS, CommittedStream

# How long an upstream may take for usage and [DONE] once every choice has come to its end.
COMPLETE_SECONDS: Final = 2.0


class Watch(Protocol):
    """Watches one stream for who pays for it."""

    def paid_up_to(self) -> float:
        """Return to how many bytes of its output what is held pays for it, as far as that can be said now.

        Asked when its output comes to that; less than it is where it must not go on unasked.
        """

    async def may_go_on(self) -> bool:
        """Whether there is credit for more of it; holds more if need be."""

    def cut(self) -> bytes:
        """Return the bytes that end it here, as if it had reached its cap."""

    def before_end(self) -> None:
        """Hear that its last bytes are about to go out. Raises `GatewayError` if they must not."""


class Source:
    """One stream being relayed; `broken` says why it cannot be any more.

    `must_ask`: it has come to where what is held pays for no more, and whether it may go on is to be found
    out. It stops there even in the middle of what one read brought, which may be much. `stops_here`: for this
    or another reason more is to be done now than to send the frames and read on. `paid_bytes`: to how many
    bytes of output what is held pays for it, as far as has been asked.
    """

    __slots__ = (
        "_decoder",
        "broken",
        "endpoint",
        "must_ask",
        "paid_bytes",
        "stops_here",
        "stream",
        "watch",
    )

    def __init__(self, stream: CommittedStream, endpoint: Endpoint, watch: Watch) -> None:
        self.stream = stream
        self.endpoint = endpoint
        self.watch = watch
        self.broken: GatewayError | None = None
        self.must_ask = False
        self.stops_here = stream.done
        self._decoder = stream.decoder
        self.paid_bytes: float = -1

    @property
    def idle_seconds(self) -> float:
        """How long it may be silent as far as it has come."""
        return COMPLETE_SECONDS if self.stream.decoder.complete else self.endpoint.timeouts.idle

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
        self.stops_here = self.stream.done = True
        return [self.watch.cut()]

    def go_on(self) -> list[bytes]:
        """Return the frames of what has been read already."""
        self.must_ask = False
        decoder = self._decoder
        frames: list[bytes] = []
        while not isinstance(event := decoder.next_event(), Signal):
            self._take(event, frames)
            is_over = self.stream.done or self.broken is not None
            if is_over or (decoder.output_bytes > self.paid_bytes and self.has_come_to_ask()):
                self.stops_here = True
                return frames
        self.stops_here = event is Signal.END
        if event is Signal.END:
            self._end(frames)
        return frames

    def has_come_to_ask(self) -> bool:
        """Find out whether what is held pays for no more; notes that it must be asked for.

        To be called, after what was taken past `decode`, when its output exceeds `paid_bytes`.
        """
        self.paid_bytes = self.watch.paid_up_to()
        self.must_ask = self._decoder.output_bytes > self.paid_bytes
        if self.must_ask:
            self.stops_here = True
        return self.must_ask

    def _end(self, frames: list[bytes]) -> None:
        """Take note of the body's end, which may be a cut."""
        if self._decoder.complete:
            frames.append(self._decoder.closing_frames())
            self.stream.done = True
        else:
            self.broken = StreamBroken(
                f"The provider {self.endpoint.provider} cut the stream before its end."
            )

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
