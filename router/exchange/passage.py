"""What the pump does for one stream: read what has come, take its events in, write them to the client.

It is the plain way of a stream without the waiting. Wherever more is to be done than that, the step stops,
keeps what it has in hand, and leaves the rest to the stream's own task (`router.exchange.relay`).

Most of what a provider sends is one event, in one chunk, that says a little more text. Such a one goes
straight through: the bytes are seen to be just that, and nobody else handles them. What it leaves behind is
what the long way would leave.
"""

import trio

from router.exchange.outlet import Outlet
from router.exchange.pump import Carried
from router.exchange.source import Source
from router.upstream.errors import UpstreamTransportError


class Passage(Carried):
    """One stream's way through the pump.

    `frames` were decoded and not sent: the stream stopped behind them. `is_unsent`: the client did not take
    all at once. `heard_at` is the trio time at which the upstream last said anything.
    """

    __slots__ = (
        "_decoder",
        "_outlet",
        "_parser",
        "_readable",
        "_reply",
        "_source",
        "frames",
        "heard_at",
        "is_unsent",
    )

    def __init__(self, source: Source, outlet: Outlet, *, now: float) -> None:
        super().__init__()
        connection = source.stream.response.connection
        self._source = source
        self._decoder = source.stream.decoder
        self._readable = connection.source
        self._parser = connection.parser
        self._outlet = outlet
        self._reply = outlet.reply
        self.frames: list[bytes] = []
        self.is_unsent = False
        self.heard_at = now

    def begin(self, now: float) -> bool:
        """Pass on what has been read before, and what no poll would tell of; returns as `step` does."""
        return self._pass_on_at_hand(None, now) or self.step(now)

    def step(self, now: float) -> bool:
        """Read once and pass on what came; returns whether the stream needs its own task."""
        try:
            data = self._readable.read_now()
        except (OSError, trio.ClosedResourceError):
            return self._pass_on(self._source.decode(b""), now)  # is it a cut? the decoder says so
        if data is None:
            return False
        piece = self._parser.piece_in(data)
        decoder = self._decoder
        frame = decoder.text_frame(piece) if piece is not None else None
        if frame is None:
            if piece is None:
                self._parser.receive_data(data)
            return self._pass_on_at_hand(piece, now)
        self.heard_at = now
        source = self._source
        if decoder.output_bytes > source.paid_bytes and source.has_come_to_ask():
            self.frames = [frame]
            return True
        outlet = self._outlet
        outlet.events += 1
        outlet.sent_at = now
        self.is_unsent = not self._reply.send_now(frame)
        return self.is_unsent

    def end(self) -> None:
        """Take the stream for ended, as it is."""
        self.frames = self._source.decode(b"")

    def _pass_on_at_hand(self, piece: bytes | None, now: float) -> bool:
        """Pass on this piece of the body, if there is one, and what else of it has been read."""
        source = self._source
        frames: list[bytes] = []
        try:
            if piece is None and (piece := self._parser.next_body()) is None:
                return False
            frames += source.decode(piece)
            while not source.stops_here and (piece := self._parser.next_body()) is not None:
                frames += source.decode(piece)
        except UpstreamTransportError:
            frames += source.decode(b"")  # here too
        return self._pass_on(frames, now)

    def _pass_on(self, frames: list[bytes], now: float) -> bool:
        self.heard_at = now
        if self._source.stops_here:
            self.frames = frames
            return True
        if frames and not self._outlet.send_frames_now(frames, now):
            self.is_unsent = True
            return True
        # Once complete it may be silent for less long; text alone, as `step` passes it on, completes nothing.
        return self._decoder.complete
