"""What a request may look like, and what it is then understood as, by both parsers.

Each row is read in one piece and byte by byte. The sections are those of RFC 9112, and of RFC 9110 where
it says so.
"""

from collections.abc import Callable
from typing import Any

import pytest

from router.front.http1.message import Http1Parser
from tests.http1_reading import PARSERS, Reading, bytewise, read

HOST = b"Host: a.test\r\n"


@pytest.fixture(params=PARSERS)
def parser(request: pytest.FixtureRequest) -> Callable[[], Http1Parser]:
    return PARSERS[request.param]


def both_ways(parser: Callable[[], Http1Parser], data: bytes) -> Reading:
    whole = read(parser(), [data])
    assert read(parser(), bytewise(data)).requests == whole.requests
    return whole


def the_one(parser: Callable[[], Http1Parser], data: bytes) -> tuple[Any, bytes]:
    reading = both_ways(parser, data)
    assert reading.refused is None
    [only] = reading.requests
    return only


# Section, bytes, what the head says.
HEADS: list[tuple[str, bytes, dict[str, Any]]] = [
    ("3 a request line", b"GET /a?b=c HTTP/1.1\r\n" + HOST, {"method": "GET", "target": b"/a?b=c"}),
    ("3.2.2 a whole URL", b"GET http://a.test/x?y HTTP/1.1\r\n" + HOST, {"target": b"/x?y"}),
    ("3.2.2 a URL without path", b"GET HTTP://a.test HTTP/1.1\r\n" + HOST, {"target": b"/"}),
    ("3.2.2 a URL with a query alone", b"GET http://a?y HTTP/1.1\r\n" + HOST, {"target": b"/?y"}),
    ("3.2.4 of the server itself", b"OPTIONS * HTTP/1.1\r\n" + HOST, {"target": b"*"}),
    ("3.2.4 percent signs", b"GET /%E4%2f HTTP/1.1\r\n" + HOST, {"target": b"/%E4%2f"}),
    ("5 names in any case", b"GET / HTTP/1.1\r\nhOsT: x\r\n", {"headers": [(b"host", b"x")]}),
    (
        "5.1 white space around a value",
        b"GET / HTTP/1.1\r\nhost: \t x y\t \r\nx-a:1\r\n".replace(b"x y", b"a.test"),
        {"headers": [(b"host", b"a.test"), (b"x-a", b"1")]},
    ),
    (
        "5.1 an empty value",
        b"GET / HTTP/1.1\r\nx-a:\r\nhost:\r\nx-b: \r\n",
        {"headers": [(b"x-a", b""), (b"host", b""), (b"x-b", b"")]},
    ),
    (
        "5.1 a colon in a value",
        b"GET / HTTP/1.1\r\nhost: a:1\r\nx: y: z\r\n",
        {"headers": [(b"host", b"a:1"), (b"x", b"y: z")]},
    ),
    (
        "9110 5.5 bytes beyond ASCII in a value",
        b"GET / HTTP/1.1\r\nhost: a\r\nx: \xc3\xa4\xff\r\n",
        {"headers": [(b"host", b"a"), (b"x", b"\xc3\xa4\xff")]},
    ),
    (
        "9110 5.3 a header twice, in order",
        b"GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\ny: 2\r\nx: 3\r\n",
        {"headers": [(b"host", b"a"), (b"x", b"1"), (b"y", b"2"), (b"x", b"3")]},
    ),
    ("9110 7.2 an address as host", b"GET / HTTP/1.1\r\nhost: [::1]:80\r\n", {"method": "GET"}),
    ("9.3 kept by itself", b"GET / HTTP/1.1\r\n" + HOST, {"keep_alive": True}),
    (
        "9.3 closed on wish",
        b"GET / HTTP/1.1\r\nconnection: a, Close\r\n" + HOST,
        {"keep_alive": False},
    ),
    ("9.3 an old client is not kept", b"GET / HTTP/1.0\r\n", {"keep_alive": False}),
    (
        "9.3 nor one that asks",
        b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n",
        {"keep_alive": False, "http_version": "1.0"},
    ),
    (
        "9110 10.1.1 an expectation",
        b"PUT / HTTP/1.1\r\nexpect: 100-Continue\r\n" + HOST,
        {"expects_continue": True},
    ),
    (
        "9110 10.1.1 not of an old client",
        b"PUT / HTTP/1.0\r\nexpect: 100-continue\r\n",
        {"expects_continue": False},
    ),
    (
        "9110 10.1.1 an unknown expectation",
        b"PUT / HTTP/1.1\r\nexpect: peace\r\n" + HOST,
        {"expects_continue": False},
    ),
    (
        "9110 7.8 an unknown upgrade is passed over",
        b"GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: tea\r\n" + HOST,
        {"switch_to": None},
    ),
    (
        "9110 7.8 an upgrade that the connection does not name",
        b"GET / HTTP/1.1\r\nupgrade: websocket\r\n" + HOST,
        {"switch_to": None},
    ),
    (
        "9113 3.1 an upgrade to HTTP/2 is passed over",
        b"GET / HTTP/1.1\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n"
        b"http2-settings: AAMAAABkAAQAAP__\r\n" + HOST,
        {"switch_to": None},
    ),
]


@pytest.mark.parametrize(
    ("data", "says"), [row[1:] for row in HEADS], ids=[row[0] for row in HEADS]
)
def test_a_head_is_understood(
    parser: Callable[[], Http1Parser], data: bytes, says: dict[str, Any]
) -> None:
    head, body = the_one(parser, data + b"\r\n")
    assert {name: getattr(head, name) for name in says} == says
    assert body == b""


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_the_usual_methods_are_known(parser: Callable[[], Http1Parser], method: str) -> None:
    head, _ = the_one(parser, f"{method} / HTTP/1.1\r\nhost: a\r\n\r\n".encode())
    assert head.method == method


POST = b"POST / HTTP/1.1\r\n" + HOST
UPGRADE = POST + b"connection: upgrade\r\nupgrade: websocket\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

BODIES: list[tuple[str, bytes, bytes]] = [
    ("6.3 none without a length", POST + b"\r\n", b""),
    ("6.2 a length", POST + b"content-length: 3\r\n\r\nabc", b"abc"),
    ("6.2 nothing", POST + b"content-length: 0\r\n\r\n", b""),
    ("6.2 leading zeros", POST + b"content-length: 0003\r\n\r\nabc", b"abc"),
    ("6.2 line ends and NUL", POST + b"content-length: 6\r\n\r\n\r\n\r\n\0\n", b"\r\n\r\n\0\n"),
    ("6.2 a body for GET", b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx", b"x"),
    ("7.1 chunks", CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
    ("7.1 no chunk", CHUNKED + b"0\r\n\r\n", b""),
    ("7.1 digits in any case", CHUNKED + b"a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n",
     b"01234567890123456789a"),
    ("7.1 leading zeros", CHUNKED + b"0003\r\nabc\r\n000\r\n\r\n", b"abc"),
    ("7.1 line ends in a chunk", CHUNKED + b"6\r\n\r\n0\r\n\r\r\n0\r\n\r\n", b"\r\n0\r\n\r"),
    ("7.1 coding in any case", POST + b"transfer-encoding: CHUNKED\r\n\r\n1\r\nx\r\n0\r\n\r\n", b"x"),
    ("7.1.1 extensions", CHUNKED + b'1;a;b=c;d="e f"\r\nx\r\n0;z\r\n\r\n', b"x"),
    ("7.1.2 trailers", CHUNKED + b"1\r\nx\r\n0\r\nx-sum: 1\r\nContent-Length: 9\r\n\r\n", b"x"),
    ("9110 7.8 an upgrade that is passed over", UPGRADE + b"content-length: 3\r\n\r\nabc", b"abc"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "body"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES]
)
def test_a_body_is_read_to_its_end_and_no_further(
    parser: Callable[[], Http1Parser], data: bytes, body: bytes
) -> None:
    assert the_one(parser, data)[1] == body
    following = b"GET /next HTTP/1.1\r\nhost: a\r\n\r\n"
    first, second = both_ways(parser, data + following).requests
    assert (first.body, second.head.target) == (body, b"/next")


def test_a_body_is_told_as_it_comes(parser: Callable[[], Http1Parser]) -> None:
    http = parser()
    http.receive_data(POST + b"content-length: 5\r\n\r\nab")
    assert http.next_head() is not None
    assert (http.next_body(), http.next_body(), http.request_ended) == (b"ab", None, False)
    http.receive_data(b"cdeGET")
    assert (http.next_body(), http.request_ended) == (b"cde", True)
    assert (http.next_body(), http.unread) == (b"", b"GET")


WEBSOCKET = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: x, Upgrade\r\nUpgrade: WebSocket\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "protocol"),
    [(WEBSOCKET, "websocket"), (b"PRI * HTTP/2.0\r\n\r\n", "h2")],
    ids=["websocket", "h2"],
)
def test_another_protocol_gets_all_that_was_read(
    parser: Callable[[], Http1Parser], data: bytes, protocol: str
) -> None:
    reading = read(parser(), [data + b"more"])
    assert reading.requests[-1].head.switch_to == protocol
    assert reading.unread == data + b"more"


def test_after_a_request_that_closes_nothing_is_read(parser: Callable[[], Http1Parser]) -> None:
    data = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    reading = read(parser(), [data + b"GET /second HTTP/1.1\r\nhost: a\r\n\r\n"])
    assert [one.head.target for one in reading.requests] == [b"/"]
    assert reading.unread.startswith(b"GET /second")


def test_many_requests_sent_ahead_are_read_one_by_one(parser: Callable[[], Http1Parser]) -> None:
    one = POST + b"content-length: 2\r\n\r\n%02d"
    reading = both_ways(parser, b"".join(one % number for number in range(20)))
    assert [int(request.body) for request in reading.requests] == list(range(20))
