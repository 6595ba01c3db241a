"""Server-sent events, decoded as they arrive.

The wire format is the WHATWG HTML standard's "event stream": lines end in LF, CR or CRLF, a blank
line ends an event, lines that begin with a colon are comments, several `data` lines are joined.
Providers differ in all of these and cut their writes anywhere, so the decoder takes any split of the
bytes and gives the same events. The usual form, one `data: {...}` line ended by two LF, takes a path
that never splits lines, and events that arrive whole are never gathered in a buffer. What was searched
for an event's end once is not searched again, so a large event in small pieces costs linear time.

The shape is h11's: feed bytes with `receive_data`, take events with `next_event` until it says
`NEED_DATA`. Feed `b""` once at the end of the body.
"""

import re
from enum import Enum, auto
from typing import Final, Literal

import msgspec

DEFAULT_MAX_EVENT_BYTES: Final = 16 * 1024 * 1024

# A blank line is two line ends in a row; the groups are atomic so that one CRLF is never taken for two.
_BLANK_LINE: Final = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Signal(Enum):
    """What a decoder says instead of an event."""

    NEED_DATA = auto()
    END = auto()


NEED_DATA: Final = Signal.NEED_DATA
END: Final = Signal.END


class EventTooLarge(Exception):
    """An event grew beyond the decoder's limit without coming to an end."""


class ServerSentEvent(msgspec.Struct, frozen=True):
    """One event: its joined data, and its name where the sender gave one that is not empty."""

    data: bytes
    name: bytes | None = None


class EventDecoder:
    """Turns the bytes of one event stream into events.

    An unfinished event at the end of the body is still handed out: some providers leave out the last
    blank line. Whether its data is whole is for the reader of the data to tell.

    Raises `EventTooLarge` from `next_event` when the lines of one event exceed `max_event_bytes`, and
    at every later call: there is no way back into such a stream.
    """

    __slots__ = (
        "_at_start",
        "_buffer",
        "_ended",
        "_max_event_bytes",
        "_plain",
        "_searched",
        "_skip_line_feed",
        "_whole",
    )

    def __init__(self, *, max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._whole: list[bytes] = []  # blocks that came whole, the last one first
        self._buffer = bytearray()
        self._searched = 0
        self._plain = True
        self._skip_line_feed = False
        self._at_start = True
        self._ended = False

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the body; `b""` says that the body has ended."""
        if not data:
            self._ended = True
            return
        if self._skip_line_feed:
            self._skip_line_feed = False
            if data[:1] == b"\n":
                data = data[1:]
        if self._plain and b"\r" in data:
            self._plain = False
        if self._at_start and not self._buffer and data[:1] != _BYTE_ORDER_MARK[:1]:
            self._at_start = False
        if self._plain and not (self._buffer or self._at_start or self._whole):
            data = self._take_whole(data)
        self._buffer += data
        if self._at_start:
            self._drop_byte_order_mark()

    @property
    def is_between_events(self) -> bool:
        """Whether nothing is left of the bytes so far, so that an event begins with the next."""
        return not (
            self._buffer or self._whole or self._at_start or self._skip_line_feed or self._ended
        )

    def next_event(self) -> ServerSentEvent | Literal[Signal.NEED_DATA, Signal.END]:
        """Return the next event, `NEED_DATA`, or `END` once the body has ended and all is handed out."""
        while True:
            if self._whole:
                block = self._whole.pop()
            elif not self._buffer:
                return END if self._ended else NEED_DATA
            elif (found := self._next_block()) is not None:
                block = found
            elif not self._ended:
                return NEED_DATA
            else:
                block = self._rest()
            if block.startswith(b"data: ") and b"\n" not in block and b"\r" not in block:
                return ServerSentEvent(block[6:])
            event = _parse_lines(block)
            if event is not None:
                return event

    def _take_whole(self, data: bytes) -> bytes:
        """Take the blocks that are whole in these bytes; return the rest."""
        if len(data) > self._max_event_bytes:
            return data
        *self._whole, rest = data.split(b"\n\n")
        self._whole.reverse()
        return rest

    def _rest(self) -> bytes:
        """Take what the body ended with."""
        self._check_size(len(self._buffer))
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def _next_block(self) -> bytes | None:
        start, end = self._find_blank_line()
        if start < 0:
            # Three bytes back: a blank line of two CRLF may straddle the next piece.
            self._searched = max(0, len(self._buffer) - 3)
            self._check_size(self._searched)
            return None
        self._check_size(start)
        block = bytes(self._buffer[:start])
        if self._buffer[end - 1] == 0x0D and end == len(self._buffer):
            self._skip_line_feed = True
        del self._buffer[:end]
        self._searched = 0
        return block

    def _check_size(self, size: int) -> None:
        if size > self._max_event_bytes:
            raise EventTooLarge(f"an event of more than {self._max_event_bytes} bytes")

    def _drop_byte_order_mark(self) -> None:
        if self._buffer.startswith(_BYTE_ORDER_MARK):
            del self._buffer[: len(_BYTE_ORDER_MARK)]
            self._at_start = False
        elif not _BYTE_ORDER_MARK.startswith(self._buffer):
            self._at_start = False

    def _find_blank_line(self) -> tuple[int, int]:
        if self._plain:
            start = self._buffer.find(b"\n\n", self._searched)
            return start, start + 2
        match = _BLANK_LINE.search(self._buffer, self._searched)
        return match.span() if match is not None else (-1, -1)


def _parse_lines(block: bytes) -> ServerSentEvent | None:
    data: list[bytes] = []
    name: bytes | None = None
    for line in _LINE_END.split(block):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    if not data:
        return None
    return ServerSentEvent(b"\n".join(data), name or None)


def encode_event(event: ServerSentEvent) -> bytes:
    """Write an event as one `data` line (a line break between two data lines becomes a space).

    JSON takes a space wherever it takes a line break, and hand-made client parsers read one line.
    """
    return encode_data(event.data, event.name)


def encode_data(data: bytes, name: bytes | None) -> bytes:
    """Write an event of this data and name, as `encode_event` does."""
    if b"\n" in data:
        data = data.replace(b"\n", b" ")
    if name is None:
        return b"data: " + data + b"\n\n"
    return b"event: " + name + b"\ndata: " + data + b"\n\n"
