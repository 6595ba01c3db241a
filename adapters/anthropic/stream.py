"""Streams in Anthropic's dialect, passed on: each event in its own bytes, and read on the way.

Only the first event is written anew, for it has the model's name. Events of unknown types pass. Every event
that goes out has a name, because Anthropic's own clients drop those without one.
"""

from typing import Final

import msgspec

from adapters.anthropic.ending import message_end, named_event
from adapters.anthropic.error import classify_event
from adapters.anthropic.error_body import error_event
from adapters.anthropic.usage import UsageCount
from adapters.dialect import (
    Beginning,
    EventKind,
    Failure,
    FailureKind,
    StreamEvent,
    Target,
    ToldError,
    Usage,
)
from adapters.middle.beginning import TextKeeper
from adapters.middle.event import Grown, PartBegun, PartEnded
from adapters.openai.foreign import EMPTY, NULL, UNREADABLE, check_utf8
from adapters.openai.rewrite import ModelName, with_fields
from adapters.sse import END, EventDecoder, EventTooLarge, ServerSentEvent, Signal, encode_event


class _Delta(msgspec.Struct):
    text: msgspec.Raw = NULL
    thinking: msgspec.Raw = NULL
    partial_json: msgspec.Raw = NULL
    stop_reason: str | None = None

    def output_bytes(self) -> int:
        """Return about how much is said."""
        said = (self.text, self.thinking, self.partial_json)
        return sum([max(1, len(raw) - 2) for raw in said if raw not in EMPTY])


class _Block(msgspec.Struct):
    type: str | None = None


class _Event(msgspec.Struct):
    type: str | None = None
    message: msgspec.Raw = NULL
    index: int = 0
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: msgspec.Raw = NULL


class _Message(msgspec.Struct):
    model: str | None = None
    usage: msgspec.Raw = NULL


_decode_event: Final = msgspec.json.Decoder(_Event).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_message: Final = msgspec.json.Decoder(_Message).decode


class MessageDecoder:
    """Decodes one stream of events (see `adapters.dialect.StreamDecoder`).

    `keeps_beginning`: its text is remembered, because a break may be mended.
    """

    def __init__(self, target: Target, *, keeps_beginning: bool = False) -> None:
        self._keeper = TextKeeper() if keeps_beginning else None
        self._events = EventDecoder()
        self._model = ModelName(target.served_model)
        self._count = UsageCount()
        self._output_bytes = 0
        self._open: set[int] = set()
        self._complete = False
        self._closed = False
        self._given_up = False

    @property
    def usage(self) -> Usage | None:
        """The usage told so far, `None` before any was."""
        return self._count.usage

    @property
    def output_bytes(self) -> int:
        """About how many bytes of text, thinking and calls have come so far."""
        return self._output_bytes

    @property
    def beginning(self) -> Beginning | None:
        """What has been handed out so far, `None` where nobody could go on with it."""
        return None if self._keeper is None else self._keeper.beginning(self.usage, {})

    @property
    def complete(self) -> bool:
        """Whether the message has told why it ended."""
        return self._complete

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the body; `b""` at its end."""
        self._events.receive_data(data)

    def next_event(self) -> StreamEvent | Signal:
        """Return the next event, `NEED_DATA`, or `END` after the body's end."""
        if self._given_up:
            return END
        try:
            event = self._events.next_event()
        except EventTooLarge as error:
            self._given_up = True
            failure = Failure(kind=FailureKind.INVALID, status=200, message=str(error))
            return StreamEvent(EventKind.ERROR, failure=failure)
        if isinstance(event, Signal):
            return event
        try:
            check_utf8(event.data)
            return self._read(event, _decode_event(event.data))
        except UNREADABLE:
            return StreamEvent(EventKind.MALFORMED)

    def text_frame(self, data: bytes) -> None:
        """Return nothing: every event is read."""

    def closing_frames(self) -> bytes:
        """Return the event that ends a complete stream, unless it has gone out."""
        if self._closed:
            return b""
        self._closed = True
        return named_event("message_stop")

    def cut_frames(self, usage: Usage) -> bytes:
        """Return the events that end a stream here as if it had reached its cap."""
        frames = [named_event("content_block_stop", index=index) for index in sorted(self._open)]
        frames.append(message_end("max_tokens", None, usage))
        return b"".join(frames) + self.closing_frames()

    def error_frames(self, error: ToldError) -> bytes:
        """Return the event that tells of an error."""
        return error_event(error.status, error.message, request_id=error.request_id)

    def _read(self, event: ServerSentEvent, found: _Event) -> StreamEvent:
        name = (found.type or (event.name or b"").decode("latin-1")) or "message"
        if name == "error":
            return StreamEvent(EventKind.ERROR, failure=classify_event(event.data))
        data = event.data
        if name == "message_start":
            data = self._begin(data, found.message)
        kind = self._note(name, found)
        if self._keeper is not None:
            self._keep(self._keeper, name, found)
        return StreamEvent(kind, encode_event(ServerSentEvent(data, event.name or name.encode())))

    def _begin(self, data: bytes, raw: msgspec.Raw) -> bytes:
        """Note the usage of the first event; return its data with the gateway's name of the model."""
        message = _decode_message(raw)
        self._count.note(message.usage)
        renamed = self._model.replace(bytes(raw), message.model)
        return with_fields(data, {"message": msgspec.Raw(renamed)})

    def _keep(self, keeper: TextKeeper, name: str, found: _Event) -> None:
        """Note in the middle's words what can be gone on with, or what prevents that."""
        match name:
            case "content_block_start":
                is_text = found.content_block is not None and found.content_block.type == "text"
                keeper.note(PartBegun(part=found.index, kind="text" if is_text else "call"))
            case "content_block_delta" if found.delta is not None:
                text = "" if found.delta.text in EMPTY else _decode_text(found.delta.text)
                keeper.note(Grown(part=found.index, text=text))
            case "content_block_stop":
                keeper.note(PartEnded(part=found.index))

    def _note(self, name: str, found: _Event) -> EventKind:
        match name:
            case "content_block_start":
                self._open.add(found.index)
            case "content_block_delta":
                self._output_bytes += 0 if found.delta is None else found.delta.output_bytes()
                return EventKind.OUTPUT
            case "content_block_stop":
                self._open.discard(found.index)
            case "message_delta":
                return self._note_end(found)
            case "message_stop":
                self._complete = self._closed = True
                return EventKind.DONE
            case "message_start" | "ping":
                pass
            case _:
                return EventKind.OTHER
        return EventKind.START

    def _note_end(self, found: _Event) -> EventKind:
        told = self._count.note(found.usage)
        if found.delta is not None and found.delta.stop_reason is not None:
            self._complete = True
            return EventKind.FINISH
        return EventKind.USAGE if told else EventKind.START
