"""Compressed bodies: decoded as they arrive, whole or byte by byte, bounded and checked."""

import gzip
import random
import zlib
from collections.abc import Iterable

import pytest

from router.upstream.decoding import Encoding, Inflater, choose_decoder
from router.upstream.message import ResponseHead, by_name

TEXT = random.Random(1).randbytes(3000) + b"data: {}\n\n" * 20_000


def bare(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


ENCODED: list[tuple[Encoding, bytes]] = [
    ("gzip", gzip.compress(TEXT)),
    ("gzip", gzip.compress(TEXT[:70_000]) + gzip.compress(b"") + gzip.compress(TEXT[70_000:])),
    ("gzip", gzip.compress(TEXT) + b"\0" * 700),
    ("deflate", zlib.compress(TEXT)),
    ("deflate", bare(TEXT)),
]


def decode(encoding: Encoding, pieces: Iterable[bytes]) -> tuple[bytes, int]:
    """The decoded whole, and the size of the largest piece."""
    inflater, decoded = Inflater(encoding), []
    for piece in pieces:
        inflater.receive_data(piece)
        while out := inflater.next_piece():
            decoded.append(out)
    inflater.finish()
    return b"".join(decoded), max(map(len, decoded), default=0)


@pytest.mark.parametrize(("encoding", "data"), ENCODED)
def test_a_body_decodes_the_same_whole_and_byte_by_byte(encoding: Encoding, data: bytes) -> None:
    assert decode(encoding, [data])[0] == TEXT
    assert decode(encoding, (data[i : i + 1] for i in range(len(data))))[0] == TEXT


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_an_empty_body_is_a_complete_one(encoding: Encoding) -> None:
    assert decode(encoding, []) == (b"", 0)


def test_what_was_flushed_by_the_sender_is_decoded_at_once() -> None:
    compressor, inflater = zlib.compressobj(wbits=31), Inflater("gzip")
    for event in (b"data: 1\n\n", b"data: 2\n\n"):
        inflater.receive_data(compressor.compress(event) + compressor.flush(zlib.Z_SYNC_FLUSH))
        assert inflater.next_piece() == event
        assert inflater.next_piece() == b""


def test_a_bomb_is_unfolded_in_small_pieces() -> None:
    bomb = gzip.compress(bytes(20_000_000))
    assert len(bomb) < 64 * 1024
    decoded, largest = decode("gzip", [bomb])
    assert len(decoded) == 20_000_000
    assert largest <= 64 * 1024


@pytest.mark.parametrize(("encoding", "data"), [ENCODED[0], ENCODED[3], ENCODED[4]])
@pytest.mark.parametrize("missing", [1, 4, 9, 500])
def test_a_truncated_body_is_noticed(encoding: Encoding, data: bytes, missing: int) -> None:
    with pytest.raises(EOFError):
        decode(encoding, [data[:-missing]])


def test_a_body_of_one_byte_is_truncated() -> None:
    for encoding in ("gzip", "deflate"):
        with pytest.raises(EOFError):
            decode(encoding, [b"\x78"[:1] if encoding == "deflate" else b"\x1f"])


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", b"plain text after all"),
        ("gzip", gzip.compress(TEXT) + b"rubbish behind"),
        ("gzip", gzip.compress(TEXT)[:-8] + bytes(8)),
        ("deflate", b"\xff\xff\xff"),
    ],
)
def test_data_that_is_not_what_it_says_is_an_error(encoding: Encoding, data: bytes) -> None:
    with pytest.raises(zlib.error):
        decode(encoding, [data])


KEPT = [(b"content-type", b"text/event-stream"), (b"vary", b"accept-encoding")]


@pytest.mark.parametrize("coding", [b"gzip", b"x-gzip", b"GZIP ", b"deflate"])
def test_a_decoded_response_loses_the_headers_of_its_encoding(coding: bytes) -> None:
    headers = [KEPT[0], (b"content-encoding", coding), (b"content-length", b"9"), KEPT[1]]
    decoder, remaining = choose_decoder(ResponseHead(200, headers, by_name(headers)))
    assert decoder is not None
    assert remaining == KEPT


@pytest.mark.parametrize("coding", [b"br", b"zstd", b"identity", b"gzip, br", b"", b"gzip, gzip"])
def test_an_encoding_not_decoded_here_keeps_its_headers(coding: bytes) -> None:
    headers = [*KEPT, (b"content-encoding", coding), (b"content-length", b"9")]
    assert choose_decoder(ResponseHead(200, headers, by_name(headers))) == (None, headers)


def test_two_encoding_headers_are_several_encodings() -> None:
    headers = [(b"content-encoding", b"gzip"), (b"content-encoding", b"br")]
    assert choose_decoder(ResponseHead(200, headers, by_name(headers))) == (None, headers)
