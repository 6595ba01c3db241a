"""llhttp against h11: random requests, sound and spoilt, in random pieces; and random answers.

What the serving parser accepts, the reference reads the same way. What it refuses, the reference may read
as it likes; up to there both have read the same requests.
"""

from typing import Any

import h11
from hypothesis import example, given
from hypothesis import strategies as st

from router.front.http1.llhttp import LlhttpParser
from router.front.http1.message import Http1Parser
from router.front.http1.reference import H11Parser
from tests.http1_reading import Reading, read, usual

TOKENS = st.sampled_from([b"x", b"X-Thing", b"accept", b"!#$%&'*+-.^_`|~1"])
VALUES = st.sampled_from(
    [b"", b"a", b"a b", b" a\t", b"y: z", b"\xff\xe4", b'"q, r"', b"close-ish"]
)
METHODS = st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS"])
TARGETS = st.sampled_from([b"/", b"/a?b=c", b"/%20//", b"http://a/b", b"/v1/chat/completions"])
VERSIONS = st.sampled_from([b"HTTP/1.1"] * 9 + [b"HTTP/1.0"])
CONTENTS = st.binary(max_size=40) | st.sampled_from(
    [b"\r\n", b"0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"]
)
SPOILS = [
    *(
        b"",
        b"\r",
        b"\n",
        b"\r\n",
        b"\r\n\r\n",
        b" ",
        b"\t",
        b":",
        b",",
        b";",
        b"\0",
        b"\x0b",
        b"\x7f",
    ),
    *(
        b"\xff",
        b"0",
        b"1",
        b"f",
        b"+",
        b"-",
        b"0x",
        b"chunked",
        b"identity",
        b"close",
        b"HTTP/1.1",
        b" x\r\n",
    ),
    *(b"Content-Length: 3\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"Host: b\r\n", b"Connection: close\r\n", b"Expect: 100-continue\r\n"),
    b"Connection: upgrade\r\nUpgrade: websocket\r\n",
]


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    headers = [
        b"Host: a.test",
        *draw(st.lists(st.builds(b"%b: %b".__mod__, st.tuples(TOKENS, VALUES)), max_size=4)),
    ]
    if draw(st.integers(0, 7)) == 0:
        headers.append(
            draw(
                st.sampled_from(
                    [b"Connection: close", b"Connection: x, y", b"Expect: 100-continue"]
                )
            )
        )
    version = draw(VERSIONS)
    first = b" ".join([draw(METHODS), draw(TARGETS), version])
    body = b""
    match draw(st.integers(0, 2)):
        case 1:
            body = draw(CONTENTS)
            headers.append(b"Content-Length: %d" % len(body))
        case 2 if version == b"HTTP/1.1":
            headers.append(b"Transfer-Encoding: chunked")
            body = draw(chunked())
    return b"\r\n".join([first, *draw(st.permutations(headers)), b"", b""]) + body


@st.composite
def chunked(draw: st.DrawFn) -> bytes:
    chunks = draw(st.lists(CONTENTS.filter(bool), max_size=4))
    extension = draw(st.sampled_from([b"", b"", b";a=b", b';a="b c"; d']))
    trailers = draw(st.sampled_from([b"", b"", b"x-sum: 1\r\n"]))
    return (
        b"".join(b"%x%b\r\n%b\r\n" % (len(c), extension, c) for c in chunks)
        + b"0\r\n"
        + trailers
        + b"\r\n"
    )


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A few requests, one after another, with a few bytes cut out, put in or doubled."""
    data = b"".join(draw(st.lists(requests(), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        cut = draw(st.sampled_from([0, 0, 0, 1, 2, 5]))
        data = data[:at] + draw(st.sampled_from(SPOILS)) + data[at + cut :]
    return data


@st.composite
def split(draw: st.DrawFn, data: bytes) -> list[bytes]:
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]


def told(reading: Reading) -> list[Any]:
    return list(reading.requests)


@given(st.lists(requests(), min_size=1, max_size=3), st.data())
def test_sound_requests_are_read_alike_in_any_pieces(
    sound: list[bytes], data: st.DataObject
) -> None:
    pieces = data.draw(split(b"".join(sound)))
    ours = read(LlhttpParser(), pieces)
    assert ours.refused is None
    assert ours == read(H11Parser(), pieces)
    assert len(ours.requests) == len(sound) or not ours.requests[-1].head.keep_alive


@given(spoilt(), st.data())
@example(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab", None)
def test_what_the_serving_parser_accepts_the_reference_reads_the_same(
    sent: bytes, data: st.DataObject | None
) -> None:
    pieces = [sent] if data is None else data.draw(split(sent))
    ours, theirs = read(LlhttpParser(), pieces), read(H11Parser(), pieces)
    assert told(theirs)[: len(ours.requests)] == told(ours)
    if ours.refused is None:
        assert theirs == ours


@given(spoilt(), st.data())
def test_how_bytes_are_split_changes_nothing(sent: bytes, data: st.DataObject) -> None:
    whole = read(LlhttpParser(), [sent])
    assert read(LlhttpParser(), data.draw(split(sent))) == whole


# Answers

ASKS = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
]
OURS = st.sampled_from([b"content-type", b"x-request-id", b"vary"])
STATUSES = st.sampled_from([200, 200, 200, 404, 500, 204, 304, 599])


def asked(parser: Http1Parser, head: bytes) -> Http1Parser:
    parser.receive_data(head)
    assert parser.next_head() is not None
    return parser


def understood(request: bytes, answer: bytes) -> list[Any]:
    """What a client takes the bytes of an answer for."""
    method, _, rest = request.partition(b" ")
    client = h11.Connection(h11.CLIENT)
    client.send(
        h11.Request(method=method, target="/", headers=[("host", "a")], http_version=b"1.1")
    )
    client.send(h11.EndOfMessage())
    client.receive_data(answer)
    client.receive_data(b"") if b"HTTP/1.0" in rest else None
    found: list[Any] = []
    body = b""
    while not isinstance(event := client.next_event(), h11.EndOfMessage):
        if isinstance(event, h11.Data):
            body += event.data
        else:
            assert isinstance(event, h11.Response), event
            found += [event.status_code, sorted(event.headers)]
    return [*found, body]


@given(
    request=st.sampled_from(ASKS),
    status=STATUSES,
    headers=st.lists(st.tuples(TOKENS, VALUES.map(bytes.strip)), max_size=4),
    pieces=st.lists(CONTENTS, max_size=4),
    has_length=st.booleans(),
    close=st.booleans(),
)
def test_an_answer_means_to_a_client_what_the_references_means(
    request: bytes,
    status: int,
    headers: list[tuple[bytes, bytes]],
    pieces: list[bytes],
    has_length: bool,
    close: bool,
) -> None:
    if status == 204:
        pieces, has_length = [], False
    if has_length:
        headers = [*headers, (b"content-length", b"%d" % len(b"".join(pieces)))]
    meanings = []
    for kind in (LlhttpParser, H11Parser):
        parser = asked(kind(), request)
        sent = parser.answer.head(status, headers, close=close)
        sent += b"".join(parser.answer.body(piece) for piece in pieces) + parser.answer.end()
        meanings.append(
            (understood(request, sent), parser.answer.ends_by_closing, parser.start_next_cycle())
        )
    assert meanings[0] == meanings[1]


@given(
    request=st.sampled_from(ASKS),
    status=STATUSES,
    headers=st.lists(st.tuples(TOKENS | OURS, VALUES.map(bytes.strip)), max_size=4),
    body=CONTENTS,
    close=st.booleans(),
)
def test_a_whole_answer_means_to_a_client_what_the_references_means(
    request: bytes, status: int, headers: list[tuple[bytes, bytes]], body: bytes, close: bool
) -> None:
    body = b"" if status in {204, 304} else body
    meanings = []
    for kind in (LlhttpParser, H11Parser):
        parser = asked(kind(), request)
        sent = parser.answer.whole(usual(status, headers[:2]), headers[2:], body, close=close)
        meanings.append(
            (understood(request, sent), parser.answer.ends_by_closing, parser.start_next_cycle())
        )
    assert meanings[0] == meanings[1]


@given(
    st.lists(st.tuples(OURS | st.binary(max_size=6), st.binary(max_size=6)), max_size=4),
    st.booleans(),
)
def test_no_header_of_an_answer_ends_its_line(
    headers: list[tuple[bytes, bytes]], is_whole: bool
) -> None:
    parser = asked(LlhttpParser(), ASKS[0])
    try:
        if is_whole:
            sent = parser.answer.whole(usual(200, headers[:2]), headers[2:], b"", close=False)
        else:
            sent = parser.answer.head(200, headers, close=False)
    except ValueError:
        return
    lines = sent.removesuffix(b"\r\n\r\n").split(b"\r\n")[1:]
    told = [line.partition(b": ") for line in lines]
    ours = {b"content-length", b"transfer-encoding", b"connection"}
    assert [(name, value) for name, _, value in told if name not in ours] == [
        header for header in headers if header[0].lower() not in ours
    ]
    assert not sent.translate(None, bytes(set(range(256)) - {0, 10, 13})).replace(b"\r\n", b"")
