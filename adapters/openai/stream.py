"""Streams in OpenAI's dialect: each chunk is checked and passed on in its own bytes.

What a client gets is by the book, whatever the upstream does: the first delta of a chat choice has a
role, `model` is the gateway's id, usage comes in one last chunk without choices if the client asked
for it and not at all otherwise. A chunk that already is so is not written anew.

The gateway always asks the upstream for usage, because it settles by it; hence the stripping.
Source of the rules: OpenAI's API reference, "chat completion chunk" and `stream_options`.
"""

from typing import Any, Final

import msgspec

from adapters.dialect import Call, EventKind, Failure, FailureKind, StreamEvent, Target, Usage
from adapters.openai.error import classify_object
from adapters.openai.rewrite import ModelName, with_fields, without_field
from adapters.openai.usage import UsageView
from adapters.sse import EventDecoder, EventTooLarge, ServerSentEvent, Signal, encode_event

_NOTHING: Final = frozenset({b"null", b'""', b"[]", b"{}"})
_NULL_USAGE: Final = b',"usage":null'
_DONE: Final = b"data: [DONE]\n\n"


class _Delta(msgspec.Struct):
    role: Any = None
    content: msgspec.Raw = msgspec.Raw(b"null")
    tool_calls: msgspec.Raw = msgspec.Raw(b"null")
    function_call: msgspec.Raw = msgspec.Raw(b"null")
    reasoning_content: msgspec.Raw = msgspec.Raw(b"null")
    reasoning: msgspec.Raw = msgspec.Raw(b"null")
    refusal: msgspec.Raw = msgspec.Raw(b"null")
    audio: msgspec.Raw = msgspec.Raw(b"null")

    def has_output(self) -> bool:
        """Whether a client would miss this delta."""
        return (
            bytes(self.content) not in _NOTHING
            or bytes(self.tool_calls) not in _NOTHING
            or bytes(self.reasoning_content) not in _NOTHING
            or bytes(self.reasoning) not in _NOTHING
            or bytes(self.refusal) not in _NOTHING
            or bytes(self.audio) not in _NOTHING
            or bytes(self.function_call) not in _NOTHING
        )


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    text: msgspec.Raw = msgspec.Raw(b"null")
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    model: str | None = None
    usage: UsageView | None = None
    error: Any = None


_decode_chunk: Final = msgspec.json.Decoder(_Chunk).decode
_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_encode: Final = msgspec.json.encode


class ChunkDecoder:
    """Decodes one stream of chat or completion chunks (see `adapters.dialect.StreamDecoder`)."""

    def __init__(self, call: Call, target: Target) -> None:
        self._events = EventDecoder()
        self._is_chat = call.endpoint == "chat"
        self._wants_usage = call.include_usage
        self._awaited_choices = call.choices
        self._model = ModelName(target.served_model)
        self._usage: UsageView | None = None
        self._usage_sent = False
        self._started: set[int] = set()
        self._finished: set[int] = set()
        self._usage_chunk = b""

    @property
    def usage(self) -> Usage | None:
        """The usage told so far, `None` before any was."""
        return self._usage.to_usage() if self._usage is not None else None

    @property
    def complete(self) -> bool:
        """Whether every choice has given its finish reason."""
        return len(self._finished) >= self._awaited_choices and self._started <= self._finished

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the body; `b""` at its end."""
        self._events.receive_data(data)

    def next_event(self) -> StreamEvent | Signal:
        """Return the next event, `NEED_DATA`, or `END` after the body's end."""
        try:
            event = self._events.next_event()
        except EventTooLarge as error:
            return StreamEvent(EventKind.ERROR, failure=_invalid(str(error)))
        if isinstance(event, Signal):
            return event
        if event.data.startswith(b"[DONE]"):
            return StreamEvent(EventKind.DONE, self.closing_frames())
        return self._read_chunk(event)

    def closing_frames(self) -> bytes:
        """Return the bytes that end a complete stream: owed usage, then `[DONE]`."""
        if self._wants_usage and not self._usage_sent and self._usage is not None:
            self._usage_sent = True
            return self._usage_frame() + _DONE
        return _DONE

    def _read_chunk(self, event: ServerSentEvent) -> StreamEvent:
        try:
            chunk = _decode_chunk(event.data)
        except msgspec.ValidationError:
            return StreamEvent(EventKind.OTHER, encode_event(event))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return StreamEvent(EventKind.MALFORMED)
        if chunk.error:
            return StreamEvent(EventKind.ERROR, failure=classify_object(chunk.error))
        if chunk.usage is not None:
            self._usage = chunk.usage
            self._usage_chunk = event.data
        if chunk.choices is None:
            return StreamEvent(EventKind.OTHER, encode_event(event))
        if not chunk.choices:
            return self._choiceless(event, chunk)
        kind = self._note_choices(chunk.choices)
        return StreamEvent(kind, self._frame(event, self._by_the_book(event.data, chunk)))

    def _choiceless(self, event: ServerSentEvent, chunk: _Chunk) -> StreamEvent:
        """Handle a chunk without choices: the usage chunk, or a provider's preamble."""
        if chunk.usage is None:
            # Clients index choices[0]; an empty preamble (Azure's prompt filter results) would break them.
            return StreamEvent(EventKind.START)
        if not self._wants_usage:
            return StreamEvent(EventKind.USAGE)
        self._usage_sent = True
        return StreamEvent(
            EventKind.USAGE, self._frame(event, self._model.replace(event.data, chunk.model))
        )

    def _note_choices(self, choices: list[_Choice]) -> EventKind:
        kind = EventKind.START
        for choice in choices:
            if bytes(choice.text) not in _NOTHING or (
                choice.delta is not None and choice.delta.has_output()
            ):
                kind = EventKind.OUTPUT
            if choice.finish_reason is not None:
                self._finished.add(choice.index)
                kind = EventKind.OUTPUT if kind is EventKind.OUTPUT else EventKind.FINISH
        return kind

    def _by_the_book(self, data: bytes, chunk: _Chunk) -> bytes:
        if chunk.model is not None:
            data = self._model.replace(data, chunk.model)
        if not self._wants_usage:
            data = _without_usage(data, chunk)
        for choice in chunk.choices or ():
            if choice.index not in self._started:
                self._started.add(choice.index)
                if self._is_chat and choice.delta is not None and choice.delta.role is None:
                    data = _with_role(data, choice.index)
        return data

    @staticmethod
    def _frame(event: ServerSentEvent, data: bytes) -> bytes:
        return encode_event(ServerSentEvent(data, event.name))

    def _usage_frame(self) -> bytes:
        """Make the last chunk of the book out of the chunk that told the usage."""
        data = self._model.replace(self._usage_chunk, _decode_chunk(self._usage_chunk).model)
        return b"data: " + with_fields(data, {"choices": msgspec.Raw(b"[]")}) + b"\n\n"


def _without_usage(data: bytes, chunk: _Chunk) -> bytes:
    if chunk.usage is not None:
        return without_field(data, "usage")
    if data.count(_NULL_USAGE) == 1:
        return data.replace(_NULL_USAGE, b"")
    return data


def _with_role(data: bytes, index: int) -> bytes:
    """Give the first delta of a choice its role, as the book has it and some upstreams do not."""
    choices = _decode_list(_decode_fields(data)["choices"])
    for choice in choices:
        if int(msgspec.json.decode(choice.get("index", b"0"))) == index:
            delta = {**_decode_fields(choice["delta"]), "role": msgspec.Raw(b'"assistant"')}
            choice["delta"] = msgspec.Raw(_encode(delta))
    return with_fields(data, {"choices": msgspec.Raw(_encode(choices))})


def _invalid(message: str) -> Failure:
    return Failure(kind=FailureKind.INVALID, status=200, message=message)
