"""A connection reads the same answer from its bytes, however they happen to arrive."""

import gzip
import zlib
from collections.abc import Callable, Sequence
from itertools import pairwise

import msgspec
import trio
import trio.testing
from hypothesis import example, given, settings
from hypothesis import strategies as st

from router.upstream.client import UpstreamClient
from router.upstream.errors import UpstreamTransportError
from router.upstream.message import OutgoingRequest
from router.upstream.origin import Origin

ORIGIN = Origin("http", "a.test", 80)
REQUEST = OutgoingRequest(b"POST", b"/", [], b"{}")
CRLF = b"\r\n"

bodies = st.lists(st.binary(max_size=40), max_size=5)


def with_length(parts: Sequence[bytes]) -> bytes:
    body = b"".join(parts)
    return b"content-length: %d\r\n\r\n" % len(body) + body


def chunked(parts: Sequence[bytes]) -> bytes:
    chunks = b"".join(b"%x;x=y\r\n%s\r\n" % (len(part), part) for part in parts if part)
    return b"transfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\nsome: trailer\r\n\r\n"


def until_close(parts: Sequence[bytes]) -> bytes:
    return CRLF + b"".join(parts)


Framing = Callable[[Sequence[bytes]], bytes]
framings = st.sampled_from([with_length, chunked, until_close])
interims = st.sampled_from(
    [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 E\r\na: b\r\n\r\n"]
)


def split(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[i:j] for i, j in pairwise(edges) if i < j]


class Outcome(msgspec.Struct):
    """What the caller saw of one answer: head, body, and how it ended."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = []
    body: bytes = b""
    error: type[Exception] | None = None
    idle: int = 0


def receive(pieces: Sequence[bytes], *, then_close: bool) -> Outcome:
    """Have an origin answer with these pieces, each one read by itself."""
    outcome = Outcome()

    async def main() -> None:
        ours, theirs = trio.testing.memory_stream_pair()

        async def dial(_: Origin) -> trio.abc.Stream:
            await trio.lowlevel.checkpoint()
            return ours

        async def answer() -> None:
            await theirs.receive_some()
            for piece in pieces:
                await theirs.send_all(piece)
                await trio.testing.wait_all_tasks_blocked()
            if then_close:
                await theirs.aclose()

        client = UpstreamClient(dial=dial)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer)
            try:
                response = await client.send(ORIGIN, REQUEST)
                outcome.status, outcome.headers = response.status, response.headers
                while piece := await response.receive_body():
                    outcome.body += piece
                response.discard()
            except UpstreamTransportError as error:
                outcome.error = type(error)
            outcome.idle = client.snapshot().idle
            nursery.cancel_scope.cancel()
        await client.aclose()

    trio.run(main)
    return outcome


@settings(max_examples=150, deadline=None)
@given(
    parts=bodies,
    framing=framings,
    interim=interims,
    cuts=st.lists(st.integers(0, 400), max_size=12),
    random=st.random_module(),
)
def test_an_answer_is_the_same_however_it_is_split(
    parts: list[bytes], framing: Framing, interim: bytes, cuts: list[int], random: object
) -> None:
    answer = interim + b"HTTP/1.1 200 OK\r\nx: y\r\n" + framing(parts)
    closes = framing is until_close
    whole = receive([answer], then_close=closes)
    assert whole.body == b"".join(parts)
    assert (whole.status, whole.error) == (200, None)
    assert whole.headers[0] == (b"x", b"y")
    assert whole.idle == (0 if closes else 1)
    assert receive(split(answer, cuts), then_close=closes) == whole


@settings(max_examples=60, deadline=None)
@given(
    parts=bodies,
    framing=framings,
    coding=st.sampled_from(["gzip", "gzip members", "deflate"]),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
@example(parts=[b"every byte by itself"], framing=chunked, coding="gzip", cuts=list(range(400)))
@example(parts=[b"every byte", b"again"], framing=chunked, coding="deflate", cuts=list(range(400)))
def test_a_compressed_answer_is_the_same_however_it_is_split(
    parts: list[bytes], framing: Framing, coding: str, cuts: list[int]
) -> None:
    body = b"".join(parts)
    if coding == "deflate":
        packed = [zlib.compress(body)]
    else:
        packed = [gzip.compress(part) for part in (parts if "members" in coding else [body])]
    name = b"deflate" if coding == "deflate" else b"gzip"
    answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: " + name + CRLF + framing(packed)
    outcome = receive(split(answer, cuts), then_close=framing is until_close)
    assert (outcome.body, outcome.error) == (body, None)
    assert not {b"content-encoding", b"content-length"} & {name for name, _ in outcome.headers}


@settings(max_examples=100, deadline=None)
@given(parts=bodies, framing=st.sampled_from([with_length, chunked]), data=st.data())
def test_an_answer_cut_anywhere_is_never_presented_as_complete(
    parts: list[bytes], framing: Framing, data: st.DataObject
) -> None:
    answer = b"HTTP/1.1 200 OK\r\n" + framing(parts)
    kept = data.draw(st.integers(0, len(answer) - 1))
    outcome = receive([answer[:kept]] if kept else [], then_close=True)
    assert outcome.error is not None
    assert b"".join(parts).startswith(outcome.body)
    assert outcome.idle == 0


@settings(max_examples=200, deadline=None)
@given(
    start=st.sampled_from(
        [
            b"",
            b"HTTP/1.1 ",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n",
        ]
    ),
    rubbish=st.binary(max_size=200),
)
def test_rubbish_is_an_answer_or_an_error_of_ours_and_nothing_else(
    start: bytes, rubbish: bytes
) -> None:
    outcome = receive([start + rubbish] if start + rubbish else [], then_close=True)
    assert outcome.error is not None or outcome.status == 200
    assert outcome.idle == 0
