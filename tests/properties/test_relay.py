"""One stream, however cut and paused, relayed by its own task and by the pump: the client cannot tell which.

The same goes for whoever watches what it costs, and for how it ends. The upstream's connection is a real
socket, plain or under TLS; time is virtual.
"""

import ssl
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal, cast

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.dialect import Call, Target
from adapters.openai.stream import ChunkDecoder
from router.config import TimeoutConfig
from router.errors import GatewayError
from router.exchange.alarms import Alarms
from router.exchange.endpoint import Endpoint
from router.exchange.pump import Pump
from router.exchange.relay import StreamRelay
from router.exchange.reply import Headers
from router.exchange.stream_attempt import CommittedStream
from router.upstream.connection import HttpConnection
from router.upstream.lending import Lender
from router.upstream.message import OutgoingRequest, ResponseHead
from router.upstream.origin import Origin
from router.upstream.response import UpstreamResponse
from router.upstream.tls import TlsStream
from tests.conftest import SIZE
from tests.simulated.scripted_stream import DONE, END, FINISH, ROLE, STREAM_HEAD, framed, word

TLS = Path(__file__).parent.parent / "fixtures" / "tls"
ORIGIN: Final = Origin("http", "localhost", 80)
IDLE: Final = 40.0
TARGET = Target(upstream_model="gpt-4o-mini", served_model="served", paths={}, headers=[])
CALL = Call(endpoint="chat", model="served", fields={}, stream=True, include_usage=True)
ENDPOINT = Endpoint(
    provider="openai",
    origin=ORIGIN,
    dialect="openai",
    target=TARGET,
    secrets=(),
    timeouts=TimeoutConfig(idle=IDLE),
)

Carrier = Literal["task", "pump", "pump over TLS"]
Parts = Sequence[tuple[float, bytes]]


def _server_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "server.pem", TLS / "server-key.pem")
    return context


SERVER = _server_context()
CLIENT = ssl.create_default_context(cafile=TLS / "ca.pem")


class Seen(msgspec.Struct):
    """What arrived when, how the stream ended, and what was asked of whoever watches its cost."""

    moments: list[tuple[float, bytes]] = []
    finished: bool = False
    error: str | None = None
    events: int = 0
    asked_at: list[int] = []
    ended: int = 0


class Ours:
    """A client that takes nothing at certain times: from a second on, for so many seconds."""

    limit_headers: Headers = ()
    drops_who_stops_reading = True

    def __init__(
        self, seen: Seen, *, deaf: Sequence[tuple[float, float]], can_send_now: bool
    ) -> None:
        self._seen = seen
        self._deaf = deaf
        self._kept = b""
        self.can_send_now = can_send_now
        self.started = True
        self.sent_bytes = 0
        self.sent_now = 0

    async def start(self, status: int, headers: Headers) -> None:
        raise AssertionError("it has begun")

    async def send(self, data: bytes) -> None:
        assert not self._kept
        if not self._take(data):
            await self.flush()

    def send_now(self, data: bytes) -> bool:
        assert not self._kept
        self.sent_now += 1
        return self._take(data)

    async def flush(self) -> None:
        await trio.sleep_until(self._deaf_until())
        self._arrive(self._kept)
        self._kept = b""

    async def finish(self) -> None:
        await trio.lowlevel.checkpoint()
        self._seen.finished = True

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        raise AssertionError("it is a stream")

    def _take(self, data: bytes) -> bool:
        if self._deaf_until() > trio.current_time():
            self._kept = data
            return False
        self._arrive(data)
        return True

    def _deaf_until(self) -> float:
        now = trio.current_time()
        return max((start + rest for start, rest in self._deaf if start <= now), default=now)

    def _arrive(self, data: bytes) -> None:
        """Take bytes in; those of one moment count as one piece."""
        now = trio.current_time()
        moments = self._seen.moments
        if moments and moments[-1][0] == now:
            data = moments.pop()[1] + data
        moments.append((now, data))


class Purse:
    """Pays for so many bytes, and then for so many more each time it is asked, until it is empty."""

    def __init__(self, decoder: ChunkDecoder, seen: Seen, portions: Sequence[int]) -> None:
        self._decoder = decoder
        self._seen = seen
        self._portions = list(portions)
        self._paid = self._portions.pop(0) if portions else 1 << 40

    def paid_up_to(self) -> float:
        return self._paid

    async def may_go_on(self) -> bool:
        await trio.lowlevel.checkpoint()
        self._seen.asked_at.append(self._decoder.output_bytes)
        while self._portions and self._decoder.output_bytes > self._paid:
            self._paid += self._portions.pop(0)
        return self._decoder.output_bytes <= self._paid

    def cut(self) -> bytes:
        return b"data: cut\n\n"

    def before_end(self) -> None:
        self._seen.ended += 1


class Uncaring:
    """A lender that wants no connection back."""

    def take_back(self, connection: HttpConnection) -> None:
        connection.close()


async def connect(carrier: Carrier) -> tuple[HttpConnection, ResponseHead, trio.abc.Stream]:
    """Both ends of a connection on which the head of an answer has been read."""
    near, theirs = (trio.SocketStream(end) for end in trio.socket.socketpair())
    ours: trio.abc.Stream = near
    far: trio.abc.Stream = theirs
    if carrier == "pump over TLS":
        ours = tls = TlsStream(near, CLIENT, server_hostname="localhost")
        far = trio.SSLStream(theirs, SERVER, server_side=True, https_compatible=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(far.do_handshake)
            await tls.do_handshake()
    connection = HttpConnection(ours, ORIGIN)
    await far.send_all(STREAM_HEAD)
    head = await connection.send(OutgoingRequest(b"GET", b"/", []))
    return connection, head, far


async def say(parts: Parts, stream: trio.abc.Stream) -> None:
    try:
        for pause, piece in parts:
            await trio.sleep(pause)
            await stream.send_all(piece)
    except trio.BrokenResourceError:
        return  # nobody wants to hear more
    await stream.aclose()


def relayed(
    carrier: Carrier,
    parts: Parts,
    deaf: Sequence[tuple[float, float]] = (),
    portions: Sequence[int] = (),
) -> tuple[Seen, int]:
    """What is seen of a stream, and how often something was sent without waiting."""
    seen = Seen()
    sent_now: list[int] = []

    async def scenario() -> None:
        connection, head, far = await connect(carrier)
        reply = Ours(seen, deaf=deaf, can_send_now=carrier != "task")
        response = UpstreamResponse(cast("Lender", Uncaring()), connection)
        response.begin(head)
        decoder = ChunkDecoder(CALL, TARGET)
        stream = CommittedStream(response, decoder, [], done=False, malformed=0)
        alarms = Alarms()
        pump = Pump(alarms, gather_seconds=0)
        relay = StreamRelay(reply, request_id="req", comment_every=15.0, pump=pump)
        async with trio.open_nursery() as nursery:
            await nursery.start(alarms.run)
            await nursery.start(pump.run)
            nursery.start_soon(say, parts, far)
            try:
                await relay.run(stream, ENDPOINT, Purse(decoder, seen, portions))
            except GatewayError as error:
                seen.error = error.message
            assert (pump.carrying, alarms.pending) == (0, 0)
            response.discard()
            nursery.cancel_scope.cancel()
        seen.events = relay.events
        sent_now.append(reply.sent_now)
        await trio.aclose_forcefully(far)

    trio.run(scenario, clock=trio.testing.MockClock(autojump_threshold=0))
    return seen, sent_now[0]


WORDS = [word(text) for text in ("Hello", ", ", "w\u00f6rld", "!", '"quoted" \\', "\u2028" * 9)]
ENDINGS: dict[str, bytes] = {
    "done": FINISH + DONE + END,
    "finish only": FINISH + END,
    "finish, then cut": FINISH,
    "cut": b"",
    "ended without a finish": END,
    "error event": framed(b'data: {"error":{"message":"overloaded","code":503}}\n\n'),
    "not HTTP": b"no chunk at all\r\n",
    "much that is malformed": framed(b"data: {no\n\n") * 9 + FINISH + DONE + END,
    "unknown events": framed(b'event: note\ndata: {"object":"x"}\n\n') + FINISH + DONE + END,
    "usage": framed(b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n') + FINISH + DONE + END,
}


def cut_up(data: bytes, cuts: Sequence[int], pauses: Sequence[float]) -> Parts:
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    pieces = [data[start:end] for start, end in pairwise(edges)]
    return [(pauses[place % len(pauses)], piece) for place, piece in enumerate(pieces)]


SECONDS = st.sampled_from([0.0, 0.01, 1.0, 14.9, 20.0, 41.0])


@settings(max_examples=40 * SIZE)
@given(
    words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=8),
    ending=st.sampled_from(sorted(ENDINGS)),
    cuts=st.lists(st.integers(0, 3_000), max_size=12),
    pauses=st.lists(SECONDS, min_size=1, max_size=5),
    deaf=st.lists(st.tuples(SECONDS, SECONDS), max_size=3),
    portions=st.lists(st.integers(0, 60), max_size=4),
    carrier=st.sampled_from(["pump", "pump over TLS"]),
    one_by_one=st.booleans(),
    random=st.random_module(),
)
def test_who_carries_a_stream_cannot_be_told_from_what_arrives(
    words: list[bytes],
    ending: str,
    cuts: list[int],
    pauses: list[float],
    deaf: list[tuple[float, float]],
    portions: list[int],
    carrier: Carrier,
    one_by_one: bool,
    random: object,
) -> None:
    pieces = [ROLE, *words, ENDINGS[ending]]
    if one_by_one:  # as most streams come, and most events go through the fewest hands
        parts: Parts = [(pauses[at % len(pauses)], piece) for at, piece in enumerate(pieces)]
    else:
        parts = cut_up(b"".join(pieces), cuts, pauses)
    plain, none = relayed("task", parts, deaf, portions)
    pumped, _ = relayed(carrier, parts, deaf, portions)
    assert none == 0
    assert pumped == plain


@pytest.mark.parametrize("carrier", ["pump", "pump over TLS"])
def test_words_that_come_one_by_one_stop_at_the_one_that_is_not_paid_for(carrier: Carrier) -> None:
    pieces = [ROLE, *[word("Hello")] * 6, FINISH + DONE + END]
    parts = [(1.0, piece) for piece in pieces]
    plain, _ = relayed("task", parts, portions=[12, 3, 5])
    pumped, sent_now = relayed(carrier, parts, portions=[12, 3, 5])
    assert pumped == plain
    assert sent_now > 0
    assert pumped.asked_at == [15, 20, 25]
    assert pumped.moments[-1][1].endswith(b"data: cut\n\n")
