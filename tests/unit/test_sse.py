"""Server-sent events: the forms in which providers write them, all read alike."""

import pytest

from adapters.sse import (
    END,
    NEED_DATA,
    EventDecoder,
    EventTooLarge,
    ServerSentEvent,
    Signal,
    encode_event,
)


def events(*pieces: bytes) -> list[ServerSentEvent]:
    """The events of a body that arrives in these pieces and then ends."""
    decoder, found = EventDecoder(), []
    for piece in (*pieces, b""):
        decoder.receive_data(piece)
        while not isinstance(event := decoder.next_event(), Signal):
            found.append(event)
    assert decoder.next_event() is END
    return found


def by_bytes(body: bytes) -> list[ServerSentEvent]:
    return events(*(body[i : i + 1] for i in range(len(body))))


ROWS = {
    "plain": (b"data: a\n\ndata: b\n\n", [(b"a", None), (b"b", None)]),
    "carriage returns": (b"data: a\r\rdata: b\r\r", [(b"a", None), (b"b", None)]),
    "both": (b"data: a\r\n\r\ndata: b\r\n\r\n", [(b"a", None), (b"b", None)]),
    "mixed line ends": (
        b"data: a\r\n\ndata: b\n\r\ndata: c\r\r\n",
        [(c, None) for c in (b"a", b"b", b"c")],
    ),
    "late carriage return": (b"data: a\n\ndata: b\r\n\r\n", [(b"a", None), (b"b", None)]),
    "one CRLF ends only a line": (b"data: a\r\ndata: b\r\n\r\n", [(b"a\nb", None)]),
    "no space": (b"data:a\n\n", [(b"a", None)]),
    "one space of two": (b"data:  a\n\n", [(b" a", None)]),
    "several data lines": (b"data: {\ndata: \ndata: }\n\n", [(b"{\n\n}", None)]),
    "comments": (b": keep-alive\n\n:\ndata: a\n:x\n\n", [(b"a", None)]),
    "names": (
        b"event: ping\ndata: a\n\ndata: b\nevent:pong\n\n",
        [(b"a", b"ping"), (b"b", b"pong")],
    ),
    "empty name": (b"event:\ndata: a\n\n", [(b"a", None)]),
    "name without data": (b"event: ping\n\ndata: a\n\n", [(b"a", None)]),
    "id and retry": (b"id: 7\nretry: 10\ndata: a\n\nid: 8\n\n", [(b"a", None)]),
    "unknown fields": (b"Data: x\ndatax: y\nnonsense\ndata: a\n\n", [(b"a", None)]),
    "field without colon": (b"data\n\n", [(b"", None)]),
    "data with colons": (b"data: a: b\n\n", [(b"a: b", None)]),
    "blank lines": (b"\n\n\n\ndata: a\n\n\n\ndata: b\n\n", [(b"a", None), (b"b", None)]),
    "byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [(b"a", None)]),
    "second byte order mark": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [(b"b", None)]),
    "byte order mark later": (b"\n\n\xef\xbb\xbfdata: a\n\ndata: b\n\n", [(b"b", None)]),
    "half a byte order mark": (b"\xef\xbbdata: a\n\ndata: b\n\n", [(b"b", None)]),
    "text beyond ASCII": ("data: 日本 é 🙂\n\n".encode(), [("日本 é 🙂".encode(), None)]),
    "no last blank line": (b"data: a\n\ndata: b", [(b"a", None), (b"b", None)]),
    "no last line end": (b"event: x\r\ndata: b\r", [(b"b", b"x")]),
    "a comment last": (b"data: a\n\n: bye", [(b"a", None)]),
    "nothing": (b"", []),
}


@pytest.mark.parametrize(("body", "expected"), ROWS.values(), ids=ROWS.keys())
def test_each_form_is_read_whole_and_byte_by_byte(
    body: bytes, expected: list[tuple[bytes, bytes | None]]
) -> None:
    assert [(event.data, event.name) for event in events(body)] == expected
    assert by_bytes(body) == events(body)


def test_an_event_is_given_out_as_soon_as_its_blank_line_is_there() -> None:
    decoder = EventDecoder()
    decoder.receive_data(b"data: a\n")
    assert decoder.next_event() is NEED_DATA
    decoder.receive_data(b"\ndata: b")
    assert decoder.next_event() == ServerSentEvent(b"a")
    assert decoder.next_event() is NEED_DATA


def test_a_carriage_return_may_end_an_event_before_its_line_feed_has_come() -> None:
    decoder = EventDecoder(max_event_bytes=len(b"data: b"))  # so the late line feed counts for none
    decoder.receive_data(b"data: a\r\n\r")
    assert decoder.next_event() == ServerSentEvent(b"a")
    decoder.receive_data(b"\ndata: b\r\n\r")
    assert decoder.next_event() == ServerSentEvent(b"b")


def test_the_end_is_said_again_and_again() -> None:
    decoder = EventDecoder()
    decoder.receive_data(b"")
    assert decoder.next_event() is END
    assert decoder.next_event() is END


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n"])
def test_an_event_of_just_the_limit_passes_and_one_byte_more_does_not(line_end: bytes) -> None:
    fits = b"data: abcd"
    for body in (fits + line_end * 2, fits):
        decoder = EventDecoder(max_event_bytes=len(fits))
        decoder.receive_data(body)
        decoder.receive_data(b"")
        assert decoder.next_event() == ServerSentEvent(b"abcd")
        decoder = EventDecoder(max_event_bytes=len(fits) - 1)
        decoder.receive_data(body)
        decoder.receive_data(b"")
        with pytest.raises(EventTooLarge):
            decoder.next_event()


def test_an_event_without_end_is_refused_and_stays_refused() -> None:
    decoder = EventDecoder(max_event_bytes=100)
    decoder.receive_data(b"data: a\n\ndata: ")
    assert decoder.next_event() == ServerSentEvent(b"a")
    while len(decoder._buffer) <= 100:
        decoder.receive_data(b"xxxxx")
        assert decoder.next_event() is NEED_DATA
    decoder.receive_data(b"xxxxx")
    for _ in range(2):
        with pytest.raises(EventTooLarge, match="100 bytes"):
            decoder.next_event()


@pytest.mark.parametrize("start", [b"data: ", b"event: x\r\ndata: "])
def test_what_was_searched_once_is_not_searched_again(start: bytes) -> None:
    decoder = EventDecoder()
    decoder.receive_data(start)
    for _ in range(2000):
        decoder.receive_data(b"x" * 100)
        assert decoder.next_event() is NEED_DATA
        assert decoder._searched == len(decoder._buffer) - 3
    decoder.receive_data(b"\n\n")
    assert decoder.next_event() == ServerSentEvent(
        b"x" * 200_000, b"x" if b"event" in start else None
    )
    assert decoder._searched == 0


@pytest.mark.parametrize(
    ("event", "frame"),
    [
        (ServerSentEvent(b'{"a":1}'), b'data: {"a":1}\n\n'),
        (ServerSentEvent(b"{}", b"ping"), b"event: ping\ndata: {}\n\n"),
        (ServerSentEvent(b'{\n"a":\n1}'), b'data: { "a": 1}\n\n'),
    ],
)
def test_an_event_is_written_with_one_line_of_data(event: ServerSentEvent, frame: bytes) -> None:
    assert encode_event(event) == frame
