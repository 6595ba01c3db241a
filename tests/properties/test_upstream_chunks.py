"""A chunk that comes by itself is taken as it is: what it says is what reading it would say.


Providers write an event in a chunk, so most reads bring one whole chunk, and the pump asks `piece_in` first.
"""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.upstream.errors import UpstreamTransportError
from router.upstream.fast_http1 import FastHttp1Client
from router.upstream.message import OutgoingRequest
from router.upstream.origin import Origin
from tests.conftest import SIZE

ORIGIN = Origin("http", "a.test", 80)
REQUEST = OutgoingRequest(b"POST", b"/", [], b"{}")
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
Told = list[bytes | str | bool]


def begun(head: bytes = HEAD) -> FastHttp1Client:
    client = FastHttp1Client(ORIGIN)
    client.encode_head(REQUEST)
    client.receive_data(head)
    assert client.next_head() is not None
    return client


def read(reads: Sequence[bytes], *, pieces_first: bool) -> Told:
    """Return what the body is after each read, and how it ends."""
    client = begun()
    told: Told = []
    body = b""
    try:
        for data in reads:
            piece = client.piece_in(data) if pieces_first else None
            if piece is None:
                client.receive_data(data)
            body += piece or b""
            while more := client.next_body():
                body += more
            told += [body, client.whole_body() is not None, client.is_reusable]
    except UpstreamTransportError as error:
        told += [type(error).__name__, str(error)]
    return told


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


# What comes in one read: mostly one chunk, and all that may stand in its place.
DATA = st.one_of(
    st.binary(min_size=1, max_size=20), st.sampled_from([b"\r\n", b"0\r\n\r\n", b"5\r\nabcde\r\n"])
)
CHUNKS = st.one_of(
    DATA.map(chunk),
    DATA.map(chunk),
    DATA.map(lambda data: b"%X;x=y\r\n%b\r\n" % (len(data), data)),
    DATA.map(lambda data: b"00%x\r\n%b\r\n" % (len(data), data)),
    st.lists(DATA.map(chunk), max_size=3).map(b"".join),
    DATA,
    st.sampled_from(
        [b"0\r\n\r\n", b"0\r\n", b"0\r\nt: u\r\n\r\n", b"\r\n", b"-1\r\n\r\n", b"1", b""]
    ),
)


@settings(max_examples=300 * SIZE, deadline=None)
@given(
    parts=st.lists(CHUNKS, max_size=8),
    cuts=st.lists(st.integers(1, 30), max_size=3),
)
def test_what_is_asked_for_whole_chunks_first_is_the_body_that_is_read(
    parts: list[bytes], cuts: list[int]
) -> None:
    reads = list(parts)
    for cut in cuts:  # some of them come in two reads
        at = cut % (len(reads) or 1)
        reads[at : at + 1] = [reads[at][:cut], reads[at][cut:]] if reads else []
    reads = [data for data in reads if data]
    assert read(reads, pieces_first=True) == read(reads, pieces_first=False)


def test_one_whole_chunk_is_one_piece() -> None:
    client = begun()
    said = [b"data: one\n\n", b"x" * 300, b"\r\n"]
    assert [client.piece_in(chunk(data)) for data in said] == said
    assert client.next_body() is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"3\r\non",
        b"3\r\none\r",
        b"3\r\none\r\n3\r\ntwo\r\n",
        b"3;x\r\none\r\n",
        b"03\r\none\r\n",
        b"0\r\n\r\n",
        b"-1\r\n\r\n",
        b"3\none\r\n",
        b"ten\r\n",
    ],
    ids=repr,
)
def test_anything_else_is_left_to_be_read(data: bytes) -> None:
    client = begun()
    assert client.piece_in(data) is None
    client.receive_data(chunk(b"so far"))  # nothing was taken
    assert client.next_body() == b"so far"


@pytest.mark.parametrize(
    "begin", [b"5", b"5\r", b"a\r\n", b"e\r\n1\r\n", b"5;x", b"3\r\none"], ids=repr
)
def test_what_looks_like_a_chunk_in_the_middle_of_another_is_none(begin: bytes) -> None:
    client = begun()
    client.receive_data(begin)
    assert client.piece_in(chunk(b"abcde")) is None


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n",
        HEAD + b"0\r\n\r\n",
    ],
    ids=["until close", "counted", "ended"],
)
def test_only_a_body_in_chunks_has_such_pieces(head: bytes) -> None:
    assert begun(head).piece_in(chunk(b"abcde")) is None
