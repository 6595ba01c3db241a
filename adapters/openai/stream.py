"""Streams in OpenAI's dialect: each chunk is checked and passed on in its own bytes.

What a client gets is by the book, whatever the upstream does: the first delta of a chat choice has a
role, `model` is the gateway's id, a choice finishes once, usage comes in one last chunk without choices
if the client asked for it and not at all otherwise. A chunk that already is so is not written anew.

The gateway always asks the upstream for usage, because it settles by it; hence the stripping.
Source of the rules: OpenAI's API reference, "chat completion chunk" and `stream_options`.
"""

from typing import Final

import msgspec

from adapters.dialect import (
    Beginning,
    Call,
    EventKind,
    Failure,
    FailureKind,
    StreamEvent,
    Target,
    ToldError,
    Usage,
)
from adapters.openai.beginning import BeginningKeeper
from adapters.openai.chunk import Choice, Chunk, decode_chunk, decode_shape, with_mended_choices
from adapters.openai.continuation import Continuation
from adapters.openai.ending import ending_chunk, error_event, usage_chunk
from adapters.openai.error import classify_event, classify_object
from adapters.openai.foreign import ABSENT, FALSY, NULL, UNREADABLE, check_utf8, starts_with
from adapters.openai.progress import Progress
from adapters.openai.refrain import Refrain
from adapters.openai.rewrite import ModelName, replace_member, with_fields, without_field
from adapters.openai.usage import read_usage
from adapters.openai.variant import Variant
from adapters.sse import (
    END,
    EventDecoder,
    EventTooLarge,
    ServerSentEvent,
    Signal,
    encode_data,
    encode_event,
)

_DONE: Final = b"data: [DONE]\n\n"
_NULL_USAGES: Final = (b',"usage":null', b', "usage": null')
_NO_FIGURES: Final = (ABSENT, NULL)
_NO_CHOICES: Final = msgspec.Raw(b"[]")

_decode_value: Final = msgspec.json.Decoder(msgspec.Raw).decode


class ChunkDecoder:
    """Decodes one stream of chat or completion chunks (see `adapters.dialect.StreamDecoder`).

    A stream with an event that exceeds every bound gives one `ERROR`, and `END` from then on.
    """

    __slots__ = (
        "_continuation",
        "_events",
        "_given_up",
        "_is_between_events",
        "_is_chat",
        "_is_plain",
        "_keeper",
        "_last",
        "_model",
        "_owed_usage",
        "_progress",
        "_refrain",
        "_usage",
        "_variant",
        "_wants_usage",
        "output_bytes",
    )

    def __init__(self, call: Call, target: Target, variant: Variant | None = None) -> None:
        self._events = EventDecoder()
        self._variant = variant
        self._given_up = False
        self._wants_usage = call.include_usage
        self._is_chat = call.endpoint == "chat"
        self._last = b"{}"
        self._model = ModelName(target.served_model)
        self._progress = Progress(
            is_chat=self._is_chat,
            awaited=call.choices,
            begun=call.beginning is not None,
        )
        self._keeper = BeginningKeeper(target.served_model) if call.keeps_beginning else None
        self._continuation: Continuation | None = None
        self._usage: Usage | None = None
        if call.beginning is not None:
            self._continuation = Continuation(call.beginning, echoes=target.echoes_prefill)
        self._owed_usage = b""
        self._refrain = Refrain()
        self._is_between_events = False
        self._is_plain = call.beginning is None and (
            variant is None or not variant.answers_in_parts
        )
        self.output_bytes = 0  # about how much of text, reasoning and calls has come so far

    @property
    def usage(self) -> Usage | None:
        """The usage told so far, `None` before any was."""
        return self._usage

    @property
    def beginning(self) -> Beginning | None:
        """What has been handed out so far, `None` where nobody could go on with it."""
        return self._keeper.beginning(self._usage) if self._keeper is not None else None

    @property
    def complete(self) -> bool:
        """Whether every choice has given its finish reason."""
        return self._progress.complete

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the body; `b""` at its end."""
        self._is_between_events = False
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
            self._is_between_events = self._events.is_between_events
            return event
        if self._refrain.is_known and event.name is None:
            text = self._refrain.text_in(b"data: %b\n\n" % event.data)
            if text is not None:
                return StreamEvent(EventKind.OUTPUT, self._say(text))
        return self._new(event)

    def _new(self, event: ServerSentEvent) -> StreamEvent:
        """Return what an event means that is to be read."""
        if event.data.startswith(b"[DONE]"):
            return StreamEvent(EventKind.DONE, self.closing_frames())
        if self._variant is not None:
            event = ServerSentEvent(self._variant.read(event.data), event.name)
        try:
            return self._read(event)
        except RecursionError:  # of a nest so deep that reading it once succeeds and twice does not
            return StreamEvent(EventKind.MALFORMED)

    def text_frame(self, data: bytes) -> bytes | None:
        """Return the frame for the client if these bytes are one event that says more text, and nothing else.

        `None`: they may be anything, nothing was taken, and they are for `receive_data`.
        """
        if not self._is_between_events:
            return None
        text = self._refrain.text_in(data)
        return None if text is None else self._say(text)

    def closing_frames(self) -> bytes:
        """Return the bytes that end a complete stream: owed usage, then `[DONE]`."""
        if not self._owed_usage:
            return _DONE
        usage = with_fields(self._owed_usage, {"choices": _NO_CHOICES})
        self._owed_usage = b""
        return encode_event(ServerSentEvent(usage)) + _DONE

    def cut_frames(self, usage: Usage) -> bytes:
        """Return the bytes that end a stream here: `length` for every open choice, usage if asked for."""
        frames = b"".join(
            encode_event(ServerSentEvent(ending_chunk(self._last, index, is_chat=self._is_chat)))
            for index in self._progress.open_choices
        )
        if self._wants_usage:
            self._owed_usage = usage_chunk(self._last, usage)
        return frames + self.closing_frames()

    def error_frames(self, error: ToldError) -> bytes:
        """Return the event that tells the client what became of the stream."""
        return error_event(error)

    def _read(self, event: ServerSentEvent) -> StreamEvent:
        if event.name == b"error":
            return _failed(classify_event(event.data))
        try:
            check_utf8(event.data)
            chunk = decode_chunk(event.data)
        except msgspec.ValidationError:
            return _read_strange(event)
        except UNREADABLE:
            return StreamEvent(EventKind.MALFORMED if event.data.strip() else EventKind.START)
        if chunk.error not in FALSY:
            return _failed(classify_object(chunk.error))
        if not chunk.choices:
            return self._read_without_choices(event, chunk)
        return self._read_choices(event, chunk, chunk.choices)

    def _read_without_choices(self, event: ServerSentEvent, chunk: Chunk) -> StreamEvent:
        """Handle the usage, a preamble (Azure's prompt filter results), or what is no chunk at all.

        Neither of the first two is sent now: usage waits for the end of the stream, and clients that did
        not ask for it index `choices[0]`.
        """
        told = read_usage(chunk.usage) is not None
        if chunk.choices is None:
            kind = decode_shape(event.data).kind()
            if kind == "error":
                return _failed(classify_event(event.data))
            if kind == "other" or (kind == "unnamed" and not told):
                return StreamEvent(EventKind.OTHER, encode_event(event))
        self._note_usage(event.data, chunk)
        return StreamEvent(EventKind.USAGE if told else EventKind.START)

    def _read_choices(
        self, event: ServerSentEvent, chunk: Chunk, choices: list[Choice]
    ) -> StreamEvent:
        mends = [self._progress.note(choice) for choice in choices]
        data = self._model.replace(event.data, chunk.model)
        if chunk.usage is not ABSENT:
            if chunk.usage != NULL:
                self._note_usage(event.data, chunk)
            data = self._without_usage(data, chunk.usage)
        if any(mends):
            data = with_mended_choices(data, mends)
        if self._keeper is not None:
            self._keeper.note(data, choices)
        if self._continuation is not None:
            data = self._continuation.rewrite(data, choices)
        if not data:
            return StreamEvent(EventKind.START)
        self._last = data
        said = 0
        for choice in choices:
            said += choice.output_bytes()
        self.output_bytes += said
        frame = encode_data(data, event.name)
        if self._progress.complete:
            self._refrain.forget()
        elif self._is_plain and self._refrain.is_sought and not any(mends):
            self._seek_refrain(event, chunk, choices, frame)
        return StreamEvent(_kind_of(choices, said), frame)

    def _seek_refrain(
        self, event: ServerSentEvent, chunk: Chunk, choices: list[Choice], frame: bytes
    ) -> None:
        """Learn the refrain from a chunk that needed no mending, if it has one text and no figures."""
        if event.name is None and chunk.usage in _NO_FIGURES and len(choices) == 1:
            text = choices[0].only_text()
            if text is not None:
                self._refrain.learn(event.data, text, frame)

    def _say(self, text: bytes) -> bytes:
        """Take in the JSON of more text; return the client's frame, which is the refrain around it."""
        self.output_bytes += len(text) - 2
        if self._keeper is not None:
            self._keeper.note_text(text)
        refrain = self._refrain
        self._last = refrain.chunk
        return refrain.before + text + refrain.behind

    def _note_usage(self, data: bytes, chunk: Chunk) -> None:
        usage = read_usage(chunk.usage)
        if usage is None:
            return
        data = self._model.replace(data, chunk.model) if self._wants_usage else b""
        if self._continuation is not None:
            usage = self._continuation.whole_usage(usage)
            data = self._continuation.with_usage(data, chunk.usage, usage) if data else b""
        self._usage = usage
        self._owed_usage = data

    def _without_usage(self, data: bytes, usage: msgspec.Raw) -> bytes:
        """Take the usage out of a chunk with choices; the book has a null there if it was asked for."""
        if self._wants_usage:
            return data if usage == NULL else with_fields(data, {"usage": NULL})
        for member in _NULL_USAGES if usage == NULL else ():
            shorter = replace_member(data, member, b"")
            if shorter is not None:
                return shorter
        return without_field(data, "usage")


def _read_strange(event: ServerSentEvent) -> StreamEvent:
    """Handle data that does not have a chunk's form: an error, another object, or no JSON either."""
    try:
        value = _decode_value(event.data)
        error = decode_shape(event.data).error if starts_with(value, b"{") else NULL
    except UNREADABLE:
        return StreamEvent(EventKind.MALFORMED)
    if error not in FALSY:
        return _failed(classify_object(error))
    return StreamEvent(EventKind.OTHER, encode_event(event))


def _kind_of(choices: list[Choice], said: int) -> EventKind:
    if said:
        return EventKind.OUTPUT
    finished = any(choice.is_finished() for choice in choices)
    return EventKind.FINISH if finished else EventKind.START


def _failed(failure: Failure) -> StreamEvent:
    return StreamEvent(EventKind.ERROR, failure=failure)
