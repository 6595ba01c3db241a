"""The fast parser held against h11: the same answers from the same bytes, however they are split.

Where the two differ the fast one may only be stricter: it may refuse what h11 takes, or give up a connection
that h11 would use again. The table at the end has the differences that are known.
"""

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.upstream.errors import UpstreamProtocolError, UpstreamTransportError
from router.upstream.fast_http1 import FastHttp1Client
from router.upstream.http1 import Http1Client
from router.upstream.message import OutgoingRequest
from router.upstream.origin import Origin
from tests.conftest import SIZE

ORIGIN = Origin("http", "a.test", 80)
POST = OutgoingRequest(b"POST", b"/", [(b"x-a", b"b")], b"{}")
METHODS = (b"POST", b"GET", b"HEAD")


class Outcome(msgspec.Struct):
    """What one parser made of an answer; `reusable` as it was before the connection's end."""

    status: int | None = None
    headers: list[tuple[bytes, bytes]] = []
    body: bytes = b""
    error: str | None = None
    reusable: bool = False

    def is_stricter_than(self, other: "Outcome") -> bool:
        """Whether it refuses more, or gives up more, and tells nothing else."""
        if self.error is None:
            same = (self.status, self.headers, self.body) == (
                other.status,
                other.headers,
                other.body,
            )
            return same and other.error is None and (other.reusable or not self.reusable)
        return other.body.startswith(self.body) or self.body.startswith(other.body)


def outcome_of(
    parser: type[Http1Client | FastHttp1Client],
    pieces: Sequence[bytes],
    request: OutgoingRequest = POST,
) -> Outcome:
    """Let a parser read these pieces and then the end, as a connection does."""
    client = parser(ORIGIN)
    client.encode_head(request)
    outcome = Outcome()
    try:
        for piece in pieces:
            client.receive_data(piece)
            _take(client, outcome)
        outcome.reusable = outcome.status is not None and client.is_reusable
        client.receive_data(b"")
        _take(client, outcome)
    except UpstreamTransportError as error:
        outcome.error = type(error).__name__
    return outcome


def _take(client: Http1Client | FastHttp1Client, outcome: Outcome) -> None:
    if outcome.status is None:
        head = client.next_head()
        if head is None:
            return
        outcome.status = head.status
        # h11 hands out this one value in lower case.
        outcome.headers = [
            (name, value.lower() if name == b"transfer-encoding" else value)
            for name, value in head.headers
        ]
    while piece := client.next_body():
        outcome.body += piece


def split(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[i:j] for i, j in pairwise(edges) if i < j]


token = st.text("abcXYZ09-_!#", min_size=1, max_size=8).map(str.encode)
value = st.text('az AZ09:;,=\t"\xe9', max_size=12).map(lambda text: text.strip().encode("latin-1"))
plain_headers = st.lists(st.tuples(token.map(lambda name: b"x-" + name), value), max_size=4)
connection = st.sampled_from(
    [
        [],
        [(b"Connection", b"close")],
        [(b"connection", b"Keep-Alive, CLOSE")],
        [(b"Connection", b"x")],
    ]
)
bodies = st.lists(st.binary(max_size=30), max_size=4)
extension = st.sampled_from([b"", b";x=y", b';name="a b"'])
statuses = st.sampled_from([b"200 OK", b"201 ", b"204 No", b"304 Not", b"404 Not Found", b"599 x"])
interims = st.lists(
    st.sampled_from([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 E\r\nlink: b\r\n\r\n"]),
    max_size=2,
)
behind = st.sampled_from([b"", b"", b"", b"\r\n", b"\r\n\r\n", b"x", b"HTTP/1.1 408 T\r\n\r\n"])


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """An answer that is valid, with or without something behind it."""
    parts = draw(bodies)
    framing = draw(st.sampled_from(["length", "chunked", "close"]))
    headers = [*draw(plain_headers), *draw(connection)]
    if framing == "length":
        headers.append((b"Content-Length", b"%d" % sum(map(len, parts))))
        body = b"".join(parts)
    elif framing == "chunked":
        headers.append((b"Transfer-Encoding", draw(st.sampled_from([b"chunked", b"Chunked"]))))
        chunks = [b"%x%b\r\n%b\r\n" % (len(p), draw(extension), p) for p in parts if p]
        body = b"".join([*chunks, b"0\r\n", draw(st.sampled_from([b"", b"t: u\r\n"])), b"\r\n"])
    else:
        body = b"".join(parts)
    lines = b"".join(
        b"%b:%b%b\r\n" % (name, draw(st.sampled_from([b" ", b"", b"\t "])), value)
        for name, value in draw(st.permutations(headers))
    )
    version = draw(st.sampled_from([b"1.1", b"1.1", b"1.0"]))
    head = b"HTTP/%b %b\r\n%b\r\n" % (version, draw(statuses), lines)
    return b"".join(draw(interims)) + head + body + draw(behind)


cuts = st.lists(st.integers(0, 600), max_size=10)


@settings(max_examples=150 * SIZE, deadline=None)
@given(answer=answers(), cuts=cuts, method=st.sampled_from(METHODS))
def test_valid_answers_are_read_alike(answer: bytes, cuts: list[int], method: bytes) -> None:
    request = OutgoingRequest(method, b"/", [(b"x-a", b"b")], b"")
    expected = outcome_of(Http1Client, [answer], request)
    for pieces in ([answer], split(answer, cuts), [bytes([byte]) for byte in answer]):
        assert outcome_of(FastHttp1Client, pieces, request) == expected


noise = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b"0",
    b"f",
    b"-",
    b",",
    b"\x7f",
    b"\xff",
]
framing_lines = [b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n", b" folded\r\n"]
mutations = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.sampled_from(["replace", "insert", "delete", "double"]),
        st.sampled_from([*noise, *framing_lines]),
    ),
    min_size=1,
    max_size=3,
)


def mutated(answer: bytes, changes: Sequence[tuple[int, str, bytes]]) -> bytes:
    for place, what, new in changes:
        at = place % (len(answer) + 1)
        if what == "insert":
            answer = answer[:at] + new + answer[at:]
        elif what == "double":
            answer = answer[:at] + answer[max(0, at - 20) : at] + answer[at:]
        else:
            answer = answer[:at] + (new if what == "replace" else b"") + answer[at + 1 :]
    return answer


@settings(max_examples=300 * SIZE, deadline=None)
@given(answer=answers(), changes=mutations, cuts=cuts)
def test_of_broken_answers_the_fast_parser_takes_no_more_than_h11(
    answer: bytes, changes: list[tuple[int, str, bytes]], cuts: list[int]
) -> None:
    broken = mutated(answer, changes)
    whole = outcome_of(FastHttp1Client, [broken])
    assert whole.is_stricter_than(outcome_of(Http1Client, [broken]))
    for pieces in (split(broken, cuts), [bytes([byte]) for byte in broken]):
        assert outcome_of(FastHttp1Client, pieces) == whole


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"

# What h11 takes and the fast parser refuses, all of it against the letter of RFC 9112.
REFUSED = {
    "bare line feeds in the head (2.2)": b"HTTP/1.1 200 OK\ncontent-length: 1\n\nx",
    "a length beside chunks (6.3)": OK + b"content-length: 9\r\n" + CHUNKED[17:] + b"0\r\n\r\n",
    "the same length twice (6.3)": OK + b"content-length: 1\r\n" * 2 + b"\r\nx",
    "the same length twice in a list (6.3)": OK + b"content-length: 1, 1\r\n\r\nx",
    "blanks behind a chunk's size (7.1)": CHUNKED + b"1 \r\nx\r\n0\r\n\r\n",
    "a version that is none (2.3)": b"HTTP/1.7 200 OK\r\ncontent-length: 0\r\n\r\n",
    "control characters in a value (5.5)": OK + b"x: a\x01b\r\ncontent-length: 0\r\n\r\n",
}


@pytest.mark.parametrize("answer", REFUSED.values(), ids=REFUSED)
def test_known_differences_are_all_on_the_strict_side(answer: bytes) -> None:
    assert outcome_of(Http1Client, [answer]).error is None
    assert outcome_of(FastHttp1Client, [answer]).error == UpstreamProtocolError.__name__


UNASKED = [
    b"\r\n",
    b"x",
    OK + b"\r\nmore",
    OK + b"content-length: 4\r\n\r\nmore",
    CHUNKED + b"4\r\nmore",
]


@pytest.mark.parametrize("parser", [Http1Client, FastHttp1Client])
@pytest.mark.parametrize("unasked", UNASKED)
@pytest.mark.parametrize(
    "answer", [OK + b"content-length: 3\r\n\r\none", CHUNKED + b"3\r\none\r\n0\r\n\r\n"]
)
def test_what_comes_behind_an_answer_is_no_part_of_it_and_rules_the_connection_out(
    parser: type[Http1Client | FastHttp1Client], unasked: bytes, answer: bytes
) -> None:
    whole = answer + unasked
    for pieces in ([whole], [answer, unasked], [whole[:-1], whole[-1:]], split(whole, range(999))):
        outcome = outcome_of(parser, pieces)
        assert (outcome.body, outcome.error, outcome.reusable) == (b"one", None, False)


@pytest.mark.parametrize("parser", [Http1Client, FastHttp1Client])
@pytest.mark.parametrize(
    "start", [b"HTTP/1.1 200 OK\r\nx: ", CHUNKED + b"1;x=", CHUNKED + b"0\r\nx: "]
)
def test_what_has_no_end_is_refused_in_the_end(
    parser: type[Http1Client | FastHttp1Client], start: bytes
) -> None:
    pieces = [start, *[b"y" * 10_000] * 20]
    assert outcome_of(parser, pieces).error == UpstreamProtocolError.__name__


@pytest.mark.parametrize("parser", [Http1Client, FastHttp1Client])
def test_a_long_stream_of_small_chunks_is_not_taken_for_endless(
    parser: type[Http1Client | FastHttp1Client],
) -> None:
    outcome = outcome_of(
        parser, [CHUNKED, *[b"1;" + b"y" * 500 + b"\r\nx\r\n"] * 300, b"0\r\n\r\n"]
    )
    assert (outcome.body, outcome.error, outcome.reusable) == (b"x" * 300, None, True)
