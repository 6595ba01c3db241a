"""Streams of Responses, passed on: each event in its own bytes, and read on the way.

Only events that hold the response as a whole are written anew, for they have the model's name. Events of
unknown types pass. The last event says how the response ended and what it took; a stream without one was cut.
"""

from typing import Final

import msgspec

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
from adapters.openai.error import classify_event, classify_object
from adapters.openai.foreign import EMPTY, FALSY, UNREADABLE, check_utf8, starts_with
from adapters.openai.rewrite import ModelName, with_fields
from adapters.responses.native_answer import decode_view, read_usage
from adapters.responses.told_so_far import SeenEvent, ToldSoFar, decode_event
from adapters.sse import END, EventDecoder, EventTooLarge, ServerSentEvent, Signal, encode_event

_LAST: Final = frozenset({"response.completed", "response.incomplete"})
_BEGUN: Final = frozenset({"response.created", "response.in_progress", "response.queued"})


class ResponseDecoder:
    """Decodes one stream of events (see `adapters.dialect.StreamDecoder`).

    `keeps_beginning`: its text is to be gone on with, should the stream break.
    """

    def __init__(self, target: Target, *, keeps_beginning: bool = False) -> None:
        self._events = EventDecoder()
        self._model = ModelName(target.served_model)
        self._told = ToldSoFar()
        self._keeps_beginning = keeps_beginning
        self._usage: Usage | None = None
        self._output_bytes = 0
        self._complete = False
        self._given_up = False

    @property
    def usage(self) -> Usage | None:
        """The usage told so far, `None` before any was."""
        return self._usage

    @property
    def output_bytes(self) -> int:
        """About how many bytes of text, reasoning and calls have come so far."""
        return self._output_bytes

    @property
    def beginning(self) -> Beginning | None:
        """What has been handed out so far, `None` where nobody could go on with it."""
        return self._told.beginning(self._usage) if self._keeps_beginning else None

    @property
    def complete(self) -> bool:
        """Whether the response has said how it ended."""
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
            return _failed(Failure(kind=FailureKind.INVALID, status=200, message=str(error)))
        if isinstance(event, Signal):
            return event
        if event.data.startswith(b"[DONE]"):  # of imitators; the last event is another
            return StreamEvent(EventKind.START)
        try:
            check_utf8(event.data)
            return self._read(event, decode_event(event.data))
        except UNREADABLE:
            return StreamEvent(EventKind.MALFORMED)

    def text_frame(self, data: bytes) -> None:
        """Return nothing: every event is read."""

    def closing_frames(self) -> bytes:
        """Return nothing: the last event is the provider's own."""
        return b""

    def cut_frames(self, usage: Usage) -> bytes:
        """Return the events that end a stream here as if it had reached its cap."""
        return self._told.incomplete(usage)

    def error_frames(self, error: ToldError) -> bytes:
        """Return the events that tell of an error."""
        return self._told.failed(error)

    def _read(self, event: ServerSentEvent, found: SeenEvent) -> StreamEvent:
        name = found.type or (event.name or b"").decode("latin-1")
        if name == "error":
            return _failed(classify_event(event.data))
        data = event.data
        if starts_with(found.response, b"{"):
            view = decode_view(found.response)
            if name == "response.failed":
                return _failed(_failure_in(view.error))
            renamed = msgspec.Raw(self._model.replace(bytes(found.response), view.model))
            data = with_fields(data, {"response": renamed})
            found = msgspec.structs.replace(found, response=renamed)
            self._usage = read_usage(view.usage) or self._usage
        self._told.note(name, found)
        frame = encode_event(ServerSentEvent(data, event.name or name.encode() or None))
        return StreamEvent(self._kind_of(name, found), frame)

    def _kind_of(self, name: str, found: SeenEvent) -> EventKind:
        if name in _LAST:
            self._complete = True
            return EventKind.DONE
        if name.endswith(".delta") and found.delta not in EMPTY:
            self._output_bytes += max(1, len(found.delta) - 2)
            return EventKind.OUTPUT
        return EventKind.START if name in _BEGUN else EventKind.OTHER


def _failure_in(error: msgspec.Raw) -> Failure:
    if error in FALSY:
        told = "The provider says that its response failed."
        return Failure(kind=FailureKind.OVERLOADED, status=500, message=told)
    return classify_object(error)


def _failed(failure: Failure) -> StreamEvent:
    return StreamEvent(EventKind.ERROR, failure=failure)
