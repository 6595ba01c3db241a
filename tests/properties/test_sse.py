"""An event stream means the same however it is cut, and what the standard says it means."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from adapters.sse import END, EventDecoder, EventTooLarge, ServerSentEvent, Signal, encode_event

MARK = b"\xef\xbb\xbf"
SOME_BYTES = [MARK, MARK[:2], b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"\r\r"]
SOME_FIELDS = [b"data", b"event", b"id", b"retry", b"Data", b"x", b":", b": ", b" ", b"\0", b"\xff"]
SOME_LINES = [b"data: {}\n\n", b"data:1\n", b"event: a\n", b": c\n\n", "data: é🙂\r\n".encode()]

bodies = st.one_of(
    st.lists(st.sampled_from(SOME_BYTES + SOME_FIELDS + SOME_LINES), max_size=30).map(b"".join),
    st.binary(max_size=200),
)
cuttings = st.lists(st.integers(0, 400), max_size=12)


def cut(body: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted({position % (len(body) + 1) for position in cuts}), len(body)]
    return [body[i:j] for i, j in pairwise(edges) if i < j]


def single(body: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in body]


def outcome(pieces: list[bytes], **limit: int) -> list[ServerSentEvent | type[EventTooLarge]]:
    """The events of a body in these pieces; an event beyond the limit stands last."""
    decoder = EventDecoder(**limit)
    found: list[ServerSentEvent | type[EventTooLarge]] = []
    for piece in [*pieces, b""]:
        decoder.receive_data(piece)
        try:
            while not isinstance(event := decoder.next_event(), Signal):
                found.append(event)
        except EventTooLarge:
            return [*found, EventTooLarge]
    assert decoder.next_event() is END
    return found


def lines_by_the_standard(body: bytes) -> list[bytes]:
    """The lines of a body, one byte after the other; the last is the rest without a line end."""
    lines, line, position = [], b"", 0
    while position < len(body):
        byte = body[position : position + 1]
        position += 1
        if byte not in (b"\r", b"\n"):
            line += byte
            continue
        if byte == b"\r" and body[position : position + 1] == b"\n":
            position += 1
        lines.append(line)
        line = b""
    return [*lines, line]


def read_by_the_standard(body: bytes) -> list[ServerSentEvent]:
    """WHATWG HTML, 9.2.6, read slowly; but an event that the end cuts short is dispatched too."""
    found, data, name = [], b"", b""
    lines = lines_by_the_standard(body[3:] if body.startswith(MARK) else body)
    for number, line in enumerate([*lines, b""]):
        is_rest = number == len(lines) - 1
        if line == b"" and not is_rest:
            if data != b"":
                found.append(ServerSentEvent(data[:-1], name if name != b"" else None))
            data, name = b"", b""
        elif line.startswith(b":"):
            continue
        else:
            field, value = line.split(b":", 1) if b":" in line else (line, b"")
            value = value[1:] if value[:1] == b" " else value
            if field == b"event":
                name = value
            elif field == b"data":
                data += value + b"\n"
    return found


@given(bodies)
def test_every_body_is_read_as_the_standard_says(body: bytes) -> None:
    assert outcome([body]) == read_by_the_standard(body)


@given(bodies, cuttings)
def test_no_cut_changes_an_event(body: bytes, cuts: list[int]) -> None:
    whole = outcome([body])
    assert outcome(cut(body, cuts)) == whole
    assert outcome(single(body)) == whole


@given(bodies, cuttings, st.integers(0, 30))
def test_no_cut_changes_what_is_too_large(body: bytes, cuts: list[int], limit: int) -> None:
    whole = outcome([body], max_event_bytes=limit)
    assert outcome(cut(body, cuts), max_event_bytes=limit) == whole
    assert outcome(single(body), max_event_bytes=limit) == whole
    within = [event for event in whole if isinstance(event, ServerSentEvent)]
    assert all(len(event.data) <= limit for event in within)
    assert within == read_by_the_standard(body)[: len(within)]


@given(bodies, st.integers(0, 30))
def test_no_body_fills_the_memory(body: bytes, limit: int) -> None:
    decoder = EventDecoder(max_event_bytes=limit)
    for piece in single(body):
        decoder.receive_data(piece)
        try:
            while not isinstance(decoder.next_event(), Signal):
                assert len(decoder._buffer) <= limit + 4
        except EventTooLarge:
            return
        assert len(decoder._buffer) <= limit + 4


names = st.one_of(st.none(), st.binary(min_size=1, max_size=5))


@given(st.lists(st.tuples(st.binary(max_size=20), names), max_size=5))
def test_what_is_written_is_read_back(written: list[tuple[bytes, bytes | None]]) -> None:
    """But for line breaks: the data that reaches the writer is JSON, where any white space will do."""
    events = [ServerSentEvent(data.replace(b"\r", b" "), _one_line(name)) for data, name in written]
    frames = b"".join(map(encode_event, events))
    assert outcome([frames]) == [
        ServerSentEvent(event.data.replace(b"\n", b" "), event.name) for event in events
    ]


def _one_line(name: bytes | None) -> bytes | None:
    return None if name is None else name.replace(b"\r", b"r").replace(b"\n", b"n")
