"""The heads of HTTP/2: what the application is told of a request, and what a client is of an answer."""

import pytest

from router.errors import MalformedRequest
from router.front.http1.asgi_calls import Ends
from router.front.http2.head import Header, answer_head, scope_of

ENDS = Ends("https", ("127.0.0.1", 1), ("127.0.0.1", 2))
DATE = (b"date", b"today")


def request(*headers: Header, method: bytes = b"POST", path: bytes = b"/a") -> list[Header]:
    pseudo = [(b":method", method), (b":path", path), (b":scheme", b"http")]
    return [*pseudo, (b":authority", b"x"), *headers]


def test_a_request_is_told_as_one_of_http1_is() -> None:
    fields = request((b"a", b"1"), (b"b", b""), (b"a", b"2"), path=b"/v1/%61?b=%20")
    scope = scope_of(fields, ENDS)
    assert scope["method"] == "POST"
    assert (scope["path"], scope["raw_path"]) == ("/v1/a", b"/v1/%61")
    assert scope["query_string"] == b"b=%20"
    assert scope["headers"] == [(b"host", b"x"), (b"a", b"1"), (b"b", b""), (b"a", b"2")]
    assert (scope["scheme"], scope["client"], scope["server"]) == (
        "https",
        ("127.0.0.1", 1),
        ("127.0.0.1", 2),
    )


def test_the_host_is_told_once_wherever_it_came_from() -> None:
    both = scope_of(request((b"host", b"x")), ENDS)
    assert both["headers"] == [(b"host", b"x")]
    without = [field for field in request((b"host", b"y")) if field[0] != b":authority"]
    assert scope_of(without, ENDS)["headers"] == [(b"host", b"y")]


@pytest.mark.parametrize(
    "fields",
    [
        request(method=b"CONNECT"),
        request(method=b"\xff"),
        request(path=b"*"),
        request(path=b"/\x7f"),
        request((b"transfer-encoding", b"chunked")),
        request((b"content-length", b"1"), (b"content-length", b"1")),
        request((b"a", b"\x7f")),
        request((b"a b", b"c")),
        request((b"", b"c")),
        [(b":method", b"GET"), (b":path", b"/"), (b":authority", b"a b")],
    ],
)
def test_what_http1_would_refuse_is_refused(fields: list[Header]) -> None:
    with pytest.raises(MalformedRequest):
        scope_of(fields, ENDS)


def test_an_answer_is_told_without_what_belongs_to_a_connection() -> None:
    headers = [
        (b"Content-Type", b" text/plain\t"),
        (b"Connection", b"close"),
        (b"Keep-Alive", b"1"),
        (b"Transfer-Encoding", b"chunked"),
        (b"content-length", b"3"),
        (b"x", b"\x01"),
    ]
    assert answer_head(200, headers, DATE) == [
        (b":status", b"200"),
        (b"content-type", b"text/plain"),
        (b"content-length", b"3"),
        (b"x", b"\x01"),
        DATE,
    ]


@pytest.mark.parametrize(
    "header", [(b"", b"a"), (b":status", b"200"), (b"a b", b"c"), (b"a", b"b\nc"), (b"a", b"\0")]
)
def test_a_header_that_is_none_is_not_sent(header: Header) -> None:
    with pytest.raises(ValueError, match="not valid HTTP"):
        answer_head(200, [header], DATE)
