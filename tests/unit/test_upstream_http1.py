"""The HTTP/1.1 client without I/O: what it sends, and how it takes what comes back.

Everything holds for both parsers: the one on h11, which is the reference, and the fast one, which serves.
"""

from collections.abc import Callable

import pytest

from router.upstream.errors import UpstreamCut, UpstreamProtocolError
from router.upstream.fast_http1 import FastHttp1Client
from router.upstream.http1 import Http1Client
from router.upstream.message import Headers, OutgoingRequest
from router.upstream.origin import Origin

ORIGIN = Origin("http", "a.test", 8080)


def post(headers: Headers = ()) -> OutgoingRequest:
    return OutgoingRequest(b"POST", b"/v1/x", headers, b"{}")


Client = Http1Client | FastHttp1Client
Asked = Callable[..., Client]
Encoded = Callable[[OutgoingRequest], bytes]


@pytest.fixture(params=[Http1Client, FastHttp1Client], ids=["h11", "fast"])
def parser(request: pytest.FixtureRequest) -> type[Client]:
    kind: type[Client] = request.param
    return kind


@pytest.fixture
def asked(parser: type[Client]) -> Asked:
    def ask(request: OutgoingRequest | None = None) -> Client:
        client = parser(ORIGIN)
        client.encode_head(request or post())
        return client

    return ask


@pytest.fixture
def encoded(parser: type[Client]) -> Encoded:
    return lambda request: parser(ORIGIN).encode_head(request)


def test_a_request_starts_with_host_and_ends_with_its_length(encoded: Encoded) -> None:
    assert encoded(post([(b"authorization", b"Bearer k"), (b"x-a", b"1")])) == (
        b"POST /v1/x HTTP/1.1\r\nhost: a.test:8080\r\nauthorization: Bearer k\r\nx-a: 1\r\n"
        b"accept-encoding: identity\r\ncontent-length: 2\r\n\r\n"
    )


def test_framing_headers_of_the_caller_are_replaced_by_our_own(encoded: Encoded) -> None:
    theirs = [(b"host", b"evil"), (b"content-length", b"9"), (b"transfer-encoding", b"chunked")]
    assert encoded(post(theirs)) == encoded(post())


def test_the_callers_accept_encoding_is_kept(encoded: Encoded) -> None:
    sent = encoded(post([(b"accept-encoding", b"gzip")]))
    assert b"accept-encoding: gzip\r\n" in sent
    assert b"identity" not in sent


@pytest.mark.parametrize(
    ("method", "has_length"), [(b"GET", False), (b"DELETE", False), (b"POST", True), (b"PUT", True)]
)
def test_an_empty_body_has_a_length_only_where_one_is_expected(
    encoded: Encoded, method: bytes, has_length: bool
) -> None:
    sent = encoded(OutgoingRequest(method, b"/", []))
    assert (b"content-length: 0\r\n" in sent) == has_length


@pytest.mark.parametrize(
    "request_",
    [
        post([(b"authorization", b"Bearer geheim\n")]),
        post([(b"geheim header", b"x")]),
        OutgoingRequest(b"POST", b"/geheim path", []),
        OutgoingRequest(b"ge heim", b"/", []),
    ],
)
def test_a_head_that_is_not_http_is_refused_without_showing_it(
    encoded: Encoded, request_: OutgoingRequest
) -> None:
    with pytest.raises(ValueError, match="not valid HTTP") as refused:
        encoded(request_)
    assert "geheim" not in str(refused.value)
    assert refused.value.__context__ is None or refused.value.__suppress_context__


def test_informational_responses_are_passed_over(asked: Asked) -> None:
    client = asked()
    client.receive_data(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n")
    assert client.next_head() is None
    client.receive_data(b"HTTP/1.1 200 OK\r\nX-Name: v\r\nContent-Length: 0\r\n\r\n")
    head = client.next_head()
    assert head is not None
    assert (head.status, head.headers) == (200, [(b"x-name", b"v"), (b"content-length", b"0")])
    assert client.next_body() == b""


def test_all_body_bytes_at_hand_come_in_one_piece(asked: Asked) -> None:
    client = asked()
    client.receive_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert client.next_head() is not None
    client.receive_data(b"2\r\nab\r\n3\r\ncde\r\n2\r\nf")
    assert client.next_body() == b"abcdef"
    assert client.next_body() is None
    client.receive_data(b"g\r\n0\r\n\r\n")
    assert client.next_body() == b"g"
    assert client.next_body() == b""


BROKEN_CHUNK = r"\((illegal chunk header|Invalid character in chunk size)\)$"
KEPT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    ("received", "reusable"),
    [
        (KEPT, True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (KEPT + b"HTTP/1.1 408 Request Timeout\r\n\r\n", False),
        (KEPT[:-1], False),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", False),
    ],
)
def test_reuse_needs_a_complete_answer_and_nothing_behind_it(
    asked: Asked, received: bytes, reusable: bool
) -> None:
    client = asked()
    client.receive_data(received)
    assert client.next_head() is not None
    client.next_body()
    assert client.is_reusable == reusable
    assert client.start_next_cycle() == reusable


def test_two_requests_follow_each_other(asked: Asked) -> None:
    client = asked()
    for _ in range(2):
        client.receive_data(KEPT)
        assert client.next_head() is not None
        assert client.next_body() == b"ok"
        assert client.start_next_cycle()
        client.encode_head(post())


def test_a_request_not_sent_to_its_end_rules_out_reuse(asked: Asked) -> None:
    client = asked()
    client.abandon_request()
    client.receive_data(KEPT)
    assert client.next_head() is not None
    assert client.next_body() == b"ok"
    assert not client.is_reusable


@pytest.mark.parametrize(
    "received",
    [
        b"SSH-2.0-geheim\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header geheim\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000,
        b"\x16\x03\x01\x00\xa5",
    ],
)
def test_a_head_that_is_not_http_is_a_protocol_error_that_does_not_quote_it(
    asked: Asked, received: bytes
) -> None:
    client = asked()
    client.receive_data(received)
    with pytest.raises(UpstreamProtocolError, match=r"^http://a\.test:8080: ") as refused:
        client.next_head()
    assert "geheim" not in str(refused.value)
    assert refused.value.__context__ is None


def test_an_unasked_switch_of_protocols_is_refused_though_it_was_offered(asked: Asked) -> None:
    client = asked(post([(b"upgrade", b"websocket"), (b"connection", b"upgrade")]))
    client.receive_data(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
    with pytest.raises(UpstreamProtocolError):
        client.next_head()


def test_bytes_before_a_broken_chunk_are_delivered_and_the_error_stays(asked: Asked) -> None:
    client = asked()
    client.receive_data(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nZZ\r\nxx\r\n"
    )
    assert client.next_head() is not None
    assert client.next_body() == b"ab"
    for _ in range(2):
        with pytest.raises(UpstreamProtocolError, match=BROKEN_CHUNK):
            client.next_body()


@pytest.mark.parametrize("framing", [b"Content-Length: 9", b"Transfer-Encoding: chunked"])
def test_the_end_of_the_stream_within_a_framed_body_is_a_cut(asked: Asked, framing: bytes) -> None:
    client = asked()
    client.receive_data(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n5\r\nab")
    assert client.next_head() is not None
    client.next_body()
    client.receive_data(b"")
    with pytest.raises(UpstreamCut) as cut:
        client.next_body()
    assert cut.value.response_started


def test_the_end_of_the_stream_ends_a_body_without_length(asked: Asked) -> None:
    client = asked()
    client.receive_data(b"HTTP/1.1 200 OK\r\n\r\nall")
    assert client.next_head() is not None
    assert client.next_body() == b"all"
    client.receive_data(b"")
    assert client.next_body() == b""
    assert not client.is_reusable


def test_a_request_that_asks_to_close_is_the_last_one(asked: Asked) -> None:
    client = asked(post([(b"connection", b"close")]))
    client.receive_data(KEPT)
    assert client.next_head() is not None
    assert client.next_body() == b"ok"
    assert not client.is_reusable


def test_headers_of_one_request_stand_behind_the_shared_ones(encoded: Encoded) -> None:
    own = OutgoingRequest(b"POST", b"/", ((b"x-a", b"1"),), b"{}", ((b"traceparent", b"00-1"),))
    assert encoded(own).endswith(
        b"x-a: 1\r\naccept-encoding: identity\r\ntraceparent: 00-1\r\ncontent-length: 2\r\n\r\n"
    )


def test_every_request_of_a_connection_has_the_head_that_it_asked_for(parser: type[Client]) -> None:
    client = parser(ORIGIN)
    changing = [(b"x-a", b"1")]
    requests = [
        OutgoingRequest(b"POST", b"/a", ((b"x-a", b"1"),), b"{}"),
        OutgoingRequest(b"POST", b"/a", ((b"x-a", b"1"),), b"{..}"),
        OutgoingRequest(b"POST", b"/b", ((b"x-a", b"1"),), b"{}"),
        OutgoingRequest(b"POST", b"/b", ((b"x-a", b"2"),), b"{}"),
        OutgoingRequest(b"POST", b"/b", changing, b"{}"),
    ]
    for request in [*requests, *requests[::-1]]:
        if request.headers is changing:
            changing[0] = (b"x-a", changing[0][1] + b"1")
        assert client.encode_head(request) == Http1Client(ORIGIN).encode_head(request)
        client.receive_data(KEPT)
        assert client.next_head() is not None
        assert client.next_body() == b"ok"
        client.start_next_cycle()


@pytest.mark.parametrize("stray", [b"geheim\r\nx: y", b"geheim\n", b"a\x00geheim", b" geheim"])
def test_a_header_of_one_request_cannot_become_two(encoded: Encoded, stray: bytes) -> None:
    with pytest.raises(ValueError, match="not valid HTTP") as refused:
        encoded(OutgoingRequest(b"POST", b"/", (), b"", ((b"traceparent", stray),)))
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 4", b"Transfer-Encoding: chunked", b"Connection: close"],
    ids=["counted", "chunked", "until close"],
)
def test_a_body_is_taken_whole_once_its_end_has_come(head: bytes) -> None:
    client = FastHttp1Client(ORIGIN)
    client.encode_head(post())
    pieces = [b"ab", b"cd"]
    if head.endswith(b"chunked"):
        pieces = [b"2\r\nab\r\n", b"2\r\ncd\r\n0\r\n\r\n"]
    assert client.whole_body() is None
    client.receive_data(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % head)
    assert client.next_head() is not None
    for piece in pieces:
        assert client.whole_body() is None
        client.receive_data(piece)
    if head.endswith(b"close"):
        assert client.whole_body() is None
        client.receive_data(b"")
    assert client.whole_body() == b"abcd"
    assert client.whole_body() == b""


def test_a_body_that_was_cut_is_not_taken_whole() -> None:
    client = FastHttp1Client(ORIGIN)
    client.encode_head(post())
    client.receive_data(KEPT[:-1])
    client.receive_data(b"")
    assert client.next_head() is not None
    assert client.whole_body() is None
    assert client.next_body() == b"o"
    with pytest.raises(UpstreamCut):
        client.next_body()


def test_headers_of_one_name_make_a_list(asked: Asked) -> None:
    client = asked()
    client.receive_data(b"HTTP/1.1 204 No Content\r\nX-A: 1\r\nX-B: 2\r\nx-a: 3\r\nX-A:\r\n\r\n")
    head = client.next_head()
    assert head is not None
    assert head.headers == [(b"x-a", b"1"), (b"x-b", b"2"), (b"x-a", b"3"), (b"x-a", b"")]
    assert head.named == {b"x-a": b"1,3,", b"x-b": b"2"}
