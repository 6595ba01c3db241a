"""A streamed answer: the winner is relayed, and if it breaks, whoever can go on with it.

While a stream runs, its cost is watched: before its last bytes go out it is settled, and where the caller's
credit ends before the answer does, it is ended there.
"""

from functools import partial
from math import inf
from typing import Final

import trio

from router.billing.meter import Meter
from router.errors import GatewayError
from router.exchange.attempt import Attempts
from router.exchange.closing import Closing
from router.exchange.hedge import Won
from router.exchange.live import Fate
from router.exchange.racing import Racing, Request
from router.exchange.relay import StreamRelay
from router.exchange.rescue import Rescue
from router.exchange.stream_attempt import CommittedStream, open_stream
from router.observe.record import RequestRecord
from router.upstream.errors import UpstreamTransportError

TAIL_SECONDS: Final = 0.1  # how long the end of a finished body may take, to keep its connection


class StreamedAnswer:
    """One request's answer as a stream."""

    __slots__ = ("_attempts", "_closing", "_meter", "_racing", "_relay", "_request")

    def __init__(
        self,
        request: Request,
        racing: Racing,
        attempts: Attempts,
        closing: Closing,
        relay: StreamRelay,
    ) -> None:
        self._request = request
        self._racing = racing
        self._attempts = attempts
        self._closing = closing
        self._relay = relay
        self._meter = closing.admitted.meter()

    async def relay(self, won: Won[CommittedStream], record: RequestRecord) -> None:
        """Relay the winner, and if that breaks, whoever can go on. Raises what broke it if nobody can."""
        broken = await self._run(won, record)
        if broken is None:
            return
        rescue = Rescue(
            self._request,
            racing=self._racing,
            opener_of=lambda rest: partial(open_stream, self._attempts.for_rest(rest)),
        )
        rescuer = await rescue.win(won, broken, self._relay)
        if rescuer is None:
            raise broken
        record.rescuer = rescuer.run.live.endpoint.provider
        broken = await self._run(rescuer, record)
        if broken is not None:
            raise broken

    async def _run(self, won: Won[CommittedStream], record: RequestRecord) -> GatewayError | None:
        """Relay one stream to its end and let go of it; return what broke it, if it broke."""
        stream, run = won.value, won.run
        watch = _Watch(won, self._closing, self._meter)
        try:
            await self._relay.run(stream, run.live.endpoint, watch)
            if not watch.has_cut:
                await _read_tail(stream)
        except GatewayError as error:
            self._racing.failed(run, error)
            return error
        finally:
            run.abandoned(trio.current_time())
            record.events = self._relay.events
            watch.note(whole=stream.done and not watch.has_cut)
            if run.fate is Fate.ABANDONED:
                self._racing.drains.read_on(stream, run, self._closing.books)
            else:
                stream.response.discard()
        return None


class _Watch:
    """Watches one stream for the books (`router.exchange.relay.Watch`).

    `meter` watches the whole answer, of which this stream may be the second half.
    """

    __slots__ = ("_closing", "_meter", "_won", "_written_before", "has_cut")

    def __init__(self, won: Won[CommittedStream], closing: Closing, meter: Meter | None) -> None:
        self._won = won
        self._closing = closing
        self._meter = meter
        self._written_before = closing.books.output_bytes()  # by who wrote on this answer before
        self.has_cut = False

    def paid_up_to(self) -> float:
        """Return to how many bytes it may write before this is asked again; less than it has: no further."""
        if self._meter is None:
            return inf
        return self._meter.covers_up_to(self._output_bytes()) - self._written_before

    async def may_go_on(self) -> bool:
        """Whether there is credit for more than has been written of the answer."""
        if self._meter is None:
            return True
        return await self._meter.allows(self._output_bytes())

    def cut(self) -> bytes:
        """Return the bytes that end it here, with the usage that is paid for."""
        self.has_cut = True
        self.note(whole=False)
        return self._won.value.decoder.cut_frames(self._closing.books.so_far)

    def before_end(self) -> None:
        """Settle what it cost, before its client hears of the end."""
        self.note(whole=not self.has_cut)
        self._won.run.completed(trio.current_time())
        self._closing.close("whole")

    def _output_bytes(self) -> int:
        return self._written_before + self._won.value.decoder.output_bytes

    def note(self, *, whole: bool) -> None:
        """Enter what it has used so far."""
        decoder = self._won.value.decoder
        self._closing.books.note(self._won.run, decoder.usage, decoder.output_bytes, whole=whole)


async def _read_tail(stream: CommittedStream) -> None:
    """Read the little that may follow `[DONE]`, so that the connection can serve again.

    Shielded, because the client has its whole answer: the call's limit must not speak any more.
    """
    with trio.CancelScope(deadline=trio.current_time() + TAIL_SECONDS, shield=True):
        try:
            while await stream.response.receive_body():
                pass
        except (UpstreamTransportError, trio.ClosedResourceError):
            return  # the answer is complete; only the connection is lost, or was already
