"""What the pump does for one stream: read what has come, take its events in, write them to the client.

It is the plain way of a stream without the waiting. Wherever more is to be done than that, the step stops,
keeps what it has in hand, and leaves the rest to the stream's own task (`router.exchange.relay`).
"""

from collections.abc import Callable

from router.exchange.outlet import Outlet
from router.exchange.source import Source
from router.upstream.errors import UpstreamTransportError


class Passage:
    """One stream's way through the pump.

    `frames` were decoded and not sent: the stream stopped behind them. `is_unsent`: the client did not take
    all at once. `heard_at` is the trio time at which the upstream last said anything.
    """

    __slots__ = ("_body", "_outlet", "_source", "frames", "heard_at", "is_unsent")

    def __init__(self, source: Source, outlet: Outlet, *, now: float) -> None:
        self._source = source
        self._outlet = outlet
        self._body = source.stream.response.connection
        self.frames: list[bytes] = []
        self.is_unsent = False
        self.heard_at = now

    def begin(self, now: float) -> bool:
        """Pass on what has been read before, and what no poll would tell of; returns as `step` does."""
        return self._pass(self._body.at_hand, now) or self._pass(self._body.receive_now, now)

    def step(self, now: float) -> bool:
        """Read once and pass on what came; returns whether the stream needs its own task."""
        return self._pass(self._body.receive_now, now)

    def end(self) -> None:
        """Take the stream for ended, as it is."""
        self.frames = self._source.decode(b"")

    def _pass(self, receive: Callable[[], bytes | None], now: float) -> bool:
        source = self._source
        frames: list[bytes] = []
        frame: bytes | None = None
        try:
            data = receive()
            if data is None:
                return False
            frame = source.pass_on(data)
            frames = source.decode(data) if frame is None else [frame]
            while not source.stops_here and (data := self._body.at_hand()) is not None:
                frames += source.decode(data)
                frame = None
        except UpstreamTransportError:
            frames += source.decode(b"")  # whether it is a cut is for the decoder to say
        self.heard_at = now
        if source.stops_here:
            self.frames = frames
            return True
        if frames and not self._outlet.send_frames_now(frames, now):
            self.is_unsent = True
            return True
        # Once complete it may be silent for less long; text alone completes nothing.
        return frame is None and source.stream.decoder.complete
