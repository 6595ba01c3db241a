"""Requests that two readers could understand differently, and bytes that are no request at all.

What a proxy before the gateway and the gateway itself count differently can hide a second request in the
first. Every known way to do that is a row here, and every row is refused, after which nothing more is read.
h11 reads a few of them as the only sensible thing they can mean; `MILDER` lists these, and the parser that
serves is the stricter one.
"""

from collections.abc import Callable

import pytest

from router.front.http1.head import MAX_HEAD_BYTES, MAX_LINES
from router.front.http1.llhttp import LlhttpParser
from router.front.http1.message import Http1Parser
from tests.http1_reading import PARSERS, bytewise, read

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
ZERO = b"0\r\n\r\n"

# Name -> status, bytes up to what is wrong; a hidden request follows each.
REFUSED: dict[str, tuple[int, bytes]] = {
    # Two lengths, or a length and chunks
    "CL.TE": (400, POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n" + ZERO),
    "TE.CL": (400, POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + ZERO),
    "CL.0 with chunks": (400, POST + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "two lengths that differ": (400, POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    "two lengths alike": (400, POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na"),
    "a list of lengths": (400, POST + b"Content-Length: 1, 1\r\n\r\na"),
    "a list of lengths that differ": (400, POST + b"Content-Length: 1, 2\r\n\r\nab"),
    "a signed length": (400, POST + b"Content-Length: +1\r\n\r\na"),
    "a negative length": (400, POST + b"Content-Length: -1\r\n\r\na"),
    "a hexadecimal length": (400, POST + b"Content-Length: 0x1\r\n\r\na"),
    "an underscore in a length": (400, POST + b"Content-Length: 1_0\r\n\r\n0123456789"),
    "a fraction": (400, POST + b"Content-Length: 1.0\r\n\r\na"),
    "a length with a word": (400, POST + b"Content-Length: 1 bytes\r\n\r\na"),
    "an empty length": (400, POST + b"Content-Length:\r\n\r\n"),
    "a length in other digits": (400, POST + "Content-Length: ٣\r\n\r\nabc".encode()),
    "a length that overflows": (400, POST + b"Content-Length: 18446744073709551617\r\n\r\na"),
    "a length without end": (400, POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n"),
    # Codings
    "TE.TE, identity last": (400, POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + ZERO),
    "TE.TE, identity first": (400, POST + b"Transfer-Encoding: identity, chunked\r\n\r\n" + ZERO),
    "TE.TE, twice in a list": (400, POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + ZERO),
    "TE.TE, two headers": (
        400, POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + ZERO,
    ),
    "TE.TE, two headers alike": (
        400, POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + ZERO,
    ),
    "a coding that only begins so": (400, POST + b"Transfer-Encoding: xchunked\r\n\r\n" + ZERO),
    "a coding that only ends so": (400, POST + b"Transfer-Encoding: chunkedx\r\n\r\n" + ZERO),
    "a quoted coding": (400, POST + b'Transfer-Encoding: "chunked"\r\n\r\n' + ZERO),
    "an empty coding": (400, POST + b"Transfer-Encoding:\r\n\r\n" + ZERO),
    "a comma after the coding": (400, POST + b"Transfer-Encoding: chunked,\r\n\r\n" + ZERO),
    "a vertical tab before the coding": (400, POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + ZERO),
    "a form feed after the coding": (400, POST + b"Transfer-Encoding: chunked\x0c\r\n\r\n" + ZERO),
    "a NUL after the coding": (400, POST + b"Transfer-Encoding: chunked\0\r\n\r\n" + ZERO),
    "a coding for an old client": (
        400, b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + ZERO,
    ),
    "compressed chunks": (400, POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + ZERO),
    # Names
    "a space before the colon": (400, POST + b"Content-Length : 1\r\n\r\na"),
    "a tab before the colon": (400, POST + b"Transfer-Encoding\t: chunked\r\n\r\n" + ZERO),
    "a space before the first name": (400, b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    "a line without a colon": (400, GET + b"nonsense\r\n\r\n"),
    "a header without a name": (400, GET + b": x\r\n\r\n"),
    "a NUL in a name": (400, GET + b"x\0y: z\r\n\r\n"),
    "brackets in a name": (400, GET + b"x(y): z\r\n\r\n"),
    "a name beyond ASCII": (400, GET + b"x\xe4: z\r\n\r\n"),
    # Lines
    "a folded header": (400, POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + ZERO),
    "a header folded by a tab": (400, POST + b"X: y\r\n\tTransfer-Encoding: chunked\r\n\r\n"),
    "bare LF": (400, b"GET / HTTP/1.1\nHost: a\n\n"),
    "one bare LF": (400, GET + b"x: y\nContent-Length: 1\r\n\r\na"),
    "LF CR": (400, b"GET / HTTP/1.1\n\rHost: a\n\r\n\r"),
    "bare CR": (400, GET + b"x: y\rContent-Length: 1\r\n\r\na"),
    "CR CR LF": (400, GET + b"x: y\r\r\n\r\n"),
    "a head that ends in CR LF LF": (400, GET + b"x: y\r\n\n"),
    "a NUL in a value": (400, GET + b"x: y\0z\r\n\r\n"),
    "a control character in a value": (400, GET + b"x: y\x01z\r\n\r\n"),
    "DEL in a value": (400, GET + b"x: y\x7f\r\n\r\n"),
    # The first line
    "an empty line first": (400, b"\r\n" + GET + b"\r\n"),
    "a space first": (400, b" " + GET + b"\r\n"),
    "two spaces": (400, b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a tab for a space": (400, b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a space in the target": (400, b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a space after the version": (400, b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
    "bytes beyond ASCII in the target": (400, b"GET /\xe4 HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a fragment": (400, b"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a target that is no path": (400, b"GET x HTTP/1.1\r\nHost: a\r\n\r\n"),
    "the server itself by GET": (400, b"GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a URL with a user": (400, b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a URL of another kind": (400, b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "no version": (400, b"GET /\r\nHost: a\r\n\r\n"),
    "another protocol": (400, b"GET / HTCPCP/1.1\r\nHost: a\r\n\r\n"),
    "a protocol in small letters": (400, b"GET / http/1.1\r\nHost: a\r\n\r\n"),
    "a version of two digits": (400, b"GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
    "a version with a comma": (400, b"GET / HTTP/1,1\r\nHost: a\r\n\r\n"),
    "a version before all": (505, b"GET / HTTP/0.9\r\nHost: a\r\n\r\n"),
    "a version to come": (505, b"GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
    "HTTP/2 in plain text": (505, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    "a method that nobody knows": (501, b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a method in small letters": (501, b"get / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a tunnel": (501, b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a trace": (501, b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a method with a comma": (400, b"GE,T / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a TLS greeting": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "no host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two hosts": (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    "two hosts alike": (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    "a host with a path": (400, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    "a host with a user": (400, b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    "a list of hosts": (400, b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    "a host with a space": (400, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    "two hosts of an old client": (400, b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
    # Chunks
    "no size": (400, CHUNKED + b"\r\nabc\r\n" + ZERO),
    "a size that is none": (400, CHUNKED + b"x\r\nabc\r\n" + ZERO),
    "a hexadecimal size with 0x": (400, CHUNKED + b"0x3\r\nabc\r\n" + ZERO),
    "a signed size": (400, CHUNKED + b"+3\r\nabc\r\n" + ZERO),
    "a negative size": (400, CHUNKED + b"-3\r\nabc\r\n" + ZERO),
    "an underscore in a size": (400, CHUNKED + b"1_0\r\n" + b"a" * 16 + b"\r\n" + ZERO),
    "a space before a size": (400, CHUNKED + b" 3\r\nabc\r\n" + ZERO),
    "a space after a size": (400, CHUNKED + b"3 \r\nabc\r\n" + ZERO),
    "a size that overflows": (400, CHUNKED + b"10000000000000003\r\nabc\r\n" + ZERO),
    "a size without end": (400, CHUNKED + b"0" * 5000),
    "a size that ends in LF": (400, CHUNKED + b"3\nabc\r\n" + ZERO),
    "a size that ends in LF alone": (400, CHUNKED + b"3\nabc"),
    "a size that ends in CR": (400, CHUNKED + b"3\rabc\r\n" + ZERO),
    "LF in an extension": (400, CHUNKED + b"3;a\nb\r\nabc\r\n" + ZERO),
    "CR in an extension": (400, CHUNKED + b"3;a\rb\r\nabc\r\n" + ZERO),
    "NUL in an extension": (400, CHUNKED + b"3;a\0\r\nabc\r\n" + ZERO),
    "an extension without end": (400, CHUNKED + b"3;" + b"a" * 5000),
    "a space before an extension": (400, CHUNKED + b"3 ;a\r\nabc\r\n" + ZERO),
    "a comma for an extension": (400, CHUNKED + b"3,a\r\nabc\r\n" + ZERO),
    "a chunk that is longer": (400, CHUNKED + b"3\r\nabcd\r\n" + ZERO),
    "a chunk that is shorter": (400, CHUNKED + b"5\r\nabc\r\n" + ZERO),
    "a chunk that ends in other bytes": (400, CHUNKED + b"3\r\nabcXX0\r\n\r\n"),
    "a chunk that ends in LF": (400, CHUNKED + b"3\r\nabc\n" + ZERO),
    "a chunk that ends in CR": (400, CHUNKED + b"3\r\nabc\r" + ZERO),
    "a last chunk that ends in LF": (400, CHUNKED + b"3\r\nabc\r\n0\n\n"),
    "trailers that end in LF": (400, CHUNKED + b"0\r\n\n"),
    "a trailer that ends in LF": (400, CHUNKED + b"0\r\nx: y\n\r\n"),
    "a trailer that is none": (400, CHUNKED + b"0\r\nGET / HTTP/1.1\r\n\r\n"),
    "a folded trailer": (400, CHUNKED + b"0\r\nx: y\r\n z\r\n\r\n"),
    "trailers without end": (400, CHUNKED + b"0\r\n" + b"x: y\r\n" * 4000),
    # Sizes
    "a head without end": (431, GET + b"x: " + b"y" * MAX_HEAD_BYTES),
    "too many headers": (431, GET + b"x: y\r\n" * MAX_LINES + b"\r\n"),
}  # fmt: skip

# What h11 reads in its one sensible meaning: a length said twice, a trailer's line end, and the like.
MILDER = {
    "two lengths alike",
    "a list of lengths",
    "a space after a size",
    "a size that overflows",
    "CR in an extension",
    "NUL in an extension",
    "trailers that end in LF",
    "a trailer that ends in LF",
    "a folded trailer",
}


def targets(
    parser: Callable[[], Http1Parser], pieces: list[bytes]
) -> tuple[list[bytes], int | None]:
    reading = read(parser(), pieces)
    return [request.head.target for request in reading.requests], reading.refused


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_and_nothing_after_it_is_read(name: str) -> None:
    status, data = REFUSED[name]
    assert targets(LlhttpParser, [data + HIDDEN]) == ([], status)
    assert targets(LlhttpParser, bytewise(data + HIDDEN)) == ([], status)


@pytest.mark.parametrize("name", [name for name in REFUSED if name not in MILDER])
def test_the_reference_refuses_it_as_well(name: str) -> None:
    status, data = REFUSED[name]
    assert targets(PARSERS["h11"], [data + HIDDEN]) == ([], status)


@pytest.mark.parametrize("name", sorted(MILDER))
def test_where_the_reference_is_milder_it_refuses_nothing(name: str) -> None:
    """If h11 becomes stricter here, the row leaves the list."""
    _, data = REFUSED[name]
    assert targets(PARSERS["h11"], [data + HIDDEN])[1] is None


AT_ONCE = [
    "bare LF",
    "a TLS greeting",
    "no size",
    "a size that ends in LF alone",
    "a size without end",
    "an extension without end",
    "trailers without end",
    "a head without end",
]


@pytest.mark.parametrize("name", AT_ONCE)
def test_it_is_refused_before_a_head_or_a_chunk_is_whole(name: str) -> None:
    """Otherwise the connection would wait out its time for an end that cannot come."""
    status, data = REFUSED[name]
    assert targets(LlhttpParser, [data]) == ([], status)
