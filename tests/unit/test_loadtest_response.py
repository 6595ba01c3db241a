"""The response reader of the load: whole answers, however cut, and nothing else."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.loadtest.response import MAX_HEAD_BYTES, BadResponse, ResponseReader

SIZED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: 11\r\n\r\nhello\r\nwrld"
)
CHUNKED = (
    b"HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n" + b"B\r\n\r\n, world\r\n\r\n" + b"0\r\n\r\n"
)
CHUNKED_BODY = b"hello\r\n, world\r\n"


def read(pieces: list[bytes]) -> tuple[ResponseReader, bytes]:
    reader = ResponseReader()
    body = b"".join([reader.receive_data(piece) for piece in pieces])
    return reader, body


def test_a_sized_response_is_read_whole() -> None:
    reader, body = read([SIZED])
    assert (reader.status, body, reader.complete) == (200, b"hello\r\nwrld", True)
    assert reader.headers[b"content-type"] == b"application/json"


def test_an_empty_body_is_complete_with_its_head() -> None:
    reader, body = read([b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"])
    assert (reader.status, body, reader.complete) == (404, b"", True)


@pytest.mark.parametrize(("wire", "expected"), [(SIZED, b"hello\r\nwrld"), (CHUNKED, CHUNKED_BODY)])
def test_a_response_byte_by_byte_is_the_same(wire: bytes, expected: bytes) -> None:
    reader, body = read([wire[at : at + 1] for at in range(len(wire))])
    assert (body, reader.complete) == (expected, True)


@given(
    st.lists(st.binary(min_size=1, max_size=300), max_size=8),
    st.lists(st.integers(min_value=0, max_value=3000), max_size=8),
)
def test_any_chunks_cut_anywhere_give_the_body(chunks: list[bytes], cuts: list[int]) -> None:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    wire = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"
    edges = [0, *sorted(cut % len(wire) for cut in cuts), len(wire)]
    pieces = [wire[a:b] for a, b in itertools.pairwise(edges) if a < b]
    reader, body = read(pieces)
    assert (body, reader.complete) == (b"".join(chunks), True)


@pytest.mark.parametrize("wire", [SIZED, CHUNKED])
def test_every_cut_is_noticed(wire: bytes) -> None:
    for at in range(1, len(wire)):
        reader, _ = read([wire[:at]])
        assert not reader.complete
        with pytest.raises(BadResponse, match="closed in the middle"):
            reader.receive_eof()


def test_the_end_of_the_connection_after_a_whole_response_is_fine() -> None:
    reader, _ = read([CHUNKED])
    reader.receive_eof()


@pytest.mark.parametrize("wire", [SIZED, CHUNKED])
@pytest.mark.parametrize("together", [True, False])
def test_bytes_after_the_end_are_refused(wire: bytes, together: bool) -> None:
    pieces = [wire + b"x"] if together else [wire, b"x"]
    with pytest.raises(BadResponse, match="after the end"):
        read(pieces)


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 2000\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: ten\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nfolded: a\r\n b: c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-5\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1" * 40,
        b"x" * (MAX_HEAD_BYTES + 1),
    ],
)
def test_what_is_no_response_is_refused(wire: bytes) -> None:
    with pytest.raises(BadResponse):
        read([wire])


def test_interim_responses_are_passed_over() -> None:
    reader, body = read([b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + SIZED])
    assert (reader.status, body, reader.complete) == (200, b"hello\r\nwrld", True)
    assert b"link" not in reader.headers


def test_a_body_without_framing_ends_with_the_connection() -> None:
    reader, body = read([b"HTTP/1.0 200 OK\r\n\r\nsome", b" text"])
    assert (body, reader.complete) == (b"some text", False)
    reader.receive_eof()
    assert (reader.complete, reader.reusable) == (True, False)


def test_trailers_are_read_and_are_no_headers() -> None:
    reader, body = read([CHUNKED[:-2] + b"x-after: 1\r\n\r\n"])
    assert (body, reader.complete) == (CHUNKED_BODY, True)
    assert b"x-after" not in reader.headers


@pytest.mark.parametrize(
    ("wire", "reusable"),
    [
        (SIZED, True),
        (CHUNKED, True),
        (SIZED.replace(b"Content-Type", b"connection: close\r\ncontent-type"), False),
        (SIZED.replace(b"HTTP/1.1", b"HTTP/1.0"), False),
    ],
)
def test_a_response_says_whether_the_connection_can_be_used_again(
    wire: bytes, reusable: bool
) -> None:
    assert read([wire])[0].reusable is reusable
