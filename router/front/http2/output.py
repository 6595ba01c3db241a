"""What goes out on a connection: frames of many streams on one wire, and who waits for what.

A stream may send when its own window is open, the connection's is, and the wire is not full. The first it
awaits by itself; for the others, which it shares, it stands in line, so that all streams get their turn, one
frame at a time. Nothing is kept for a stream but the piece it is sending. A client that keeps a
stream's window shut for the write limit loses that stream (`trio.TooSlowError`), and one that keeps the
connection's shut all that wait for it. Waiting for a turn, or for a slow wire, counts against nobody.

Frames are written by a task of their own where the socket does not take them at once: were it done by the
stream's task, its cancellation could tear a frame, and with it the connection. One whose client takes
nothing at all breaks by the wire's own limit.
"""

from typing import Final, Protocol

import trio
from h2.connection import H2Connection

from router.front.http1.wire import Wire

# So much waits for the wire before streams have to.
FULL_BYTES: Final = 64 * 1024
# So much, with what the client's frames ask for, before it is read on.
CHOKED_BYTES: Final = 256 * 1024

_SENDS_WITHOUT_A_WAIT: Final = 16  # then the others have their turn


class Sender(Protocol):
    """A stream, as far as its sending goes.

    `moved` wakes the stream: its window has changed, or it is `gone`, and nothing more can be sent.
    `answered`: its end has been sent.
    """

    number: int
    gone: bool
    answered: bool
    moved: trio.lowlevel.ParkingLot


class Output:
    """The sending side of one connection. `broken`: nothing can be sent any more."""

    def __init__(self, http: H2Connection, wire: Wire, *, write_seconds: float) -> None:
        self._http = http
        self._wire = wire
        self._write_seconds = write_seconds
        self._line = trio.Lock()
        self._moved = trio.lowlevel.ParkingLot()
        self._to_flush = trio.Event()
        self._waiting_bytes = 0  # at most so many wait for the wire
        self._sends = 0
        self._times_given_up = 0  # on the connection's window
        self.broken = False

    async def run(self) -> None:
        """Write out what the wire did not take at once, until cancelled or broken."""
        while True:
            await self._to_flush.wait()
            self._to_flush = trio.Event()
            try:
                await self._wire.flush()
            except trio.BrokenResourceError:
                self.broken = True
                self.stir()
                return
            if not self._to_flush.is_set():
                self._waiting_bytes = 0
                self.stir()

    def go(self, more: bytes = b"") -> None:
        """Send the frames that have been made, and these."""
        data = self._http.data_to_send() + more
        if data and not self.broken and not self._wire.write_now(data):
            self._waiting_bytes += len(data)
            self._to_flush.set()

    def stir(self) -> None:
        """Something has changed that all streams wait for: let the first in line look."""
        self._moved.unpark_all()

    async def until_heard(self) -> None:
        """Wait, while the client asks for more than it takes; always a checkpoint."""
        await trio.lowlevel.checkpoint()
        while self._waiting_bytes > CHOKED_BYTES and not self.broken:
            await self._moved.park()

    async def until_written(self) -> None:
        """Wait until all is written, or nothing can be."""
        while self._waiting_bytes and not self.broken:
            await self._moved.park()

    async def send_body(self, stream: Sender, data: bytes, *, end: bool) -> None:
        """Send a piece of a stream's body; to one that is gone, nothing. Raises `trio.TooSlowError`.

        Cancelled, it has sent an unknown part of it.
        """
        rest = memoryview(data)
        if not data or not self._line.locked():
            rest = rest[self._push(stream, rest, end=end) :]
        if not rest:
            await self._let_others()
            return
        while rest and not stream.gone:
            await self._own_window(stream)
            before = self._times_given_up
            async with self._line:
                if before != self._times_given_up:
                    raise trio.TooSlowError
                await self._turn(stream)
                rest = rest[self._push(stream, rest, end=end) :]

    def _push(self, stream: Sender, data: memoryview, *, end: bool) -> int:
        """Send what may go now, and return how many bytes that was; an end needs no window."""
        sent = 0
        while not stream.gone:
            size = min(len(data) - sent, self._room(stream))
            is_last = sent + size == len(data)
            if not size and not (is_last and end):
                break
            stream.answered = is_last and end
            piece = data[sent : sent + size]
            self._http.send_data(stream.number, piece, end_stream=stream.answered)
            self.go()
            sent += size
            if is_last or self._line.locked():  # by this stream, and others are waiting for theirs
                break
        self.go()  # the head, where no body could follow it yet
        return sent

    def _room(self, stream: Sender) -> int:
        if self._waiting_bytes >= FULL_BYTES:
            return 0
        window = self._http.local_flow_control_window(stream.number)
        return max(0, min(window, self._http.max_outbound_frame_size, FULL_BYTES))

    async def _own_window(self, stream: Sender) -> None:
        """Wait until the stream's window is open, or it is gone."""
        with trio.fail_after(self._write_seconds):
            while (
                not stream.gone
                and self._http.streams[stream.number].outbound_flow_control_window <= 0
            ):
                await stream.moved.park()

    async def _turn(self, stream: Sender) -> None:
        """Wait, as the first in line, until wire and connection are open, or the stream is gone."""
        while self._waiting_bytes >= FULL_BYTES and not stream.gone:
            await self._moved.park()
        try:
            with trio.fail_after(self._write_seconds):
                while self._http.outbound_flow_control_window <= 0 and not stream.gone:
                    await self._moved.park()
        except trio.TooSlowError:
            self._times_given_up += 1
            raise

    async def _let_others(self) -> None:
        self._sends += 1
        if self._sends % _SENDS_WITHOUT_A_WAIT == 0:
            await trio.lowlevel.checkpoint()
        else:
            await trio.lowlevel.checkpoint_if_cancelled()
