"""A translated chat stream that can be gone on with, and one that goes on with what broke elsewhere.

What a bridge writes for a chat client is the book's own form of a stream, so whoever reads that form can keep
its beginning and take out of the rest what the client has: the decoder for providers of OpenAI's dialect.
Here it reads what the bridge writes.

Some providers refuse a beginning that ends with white space, and are sent it without. What they then begin
with may be that space, which the client has already; it is left out.
"""

from typing import Final

import msgspec

from adapters.dialect import (
    Beginning,
    Call,
    EventKind,
    StreamDecoder,
    StreamEvent,
    Target,
    ToldError,
    Usage,
)
from adapters.middle.conversation import Conversation, Text, Turn
from adapters.middle.event import Grown, MiddleEvent
from adapters.middle.halves import EventSource
from adapters.openai.stream import ChunkDecoder
from adapters.sse import NEED_DATA, Signal

_decode_text: Final = msgspec.json.Decoder(str).decode


def with_beginning(conversation: Conversation, beginning: Beginning) -> Conversation:
    """Return the conversation with the answer so far as its end. Models do not think about what is said."""
    said = Turn("assistant", (Text(text=_decode_text(beginning.text)),))
    turns = (*conversation.turns, said)
    return msgspec.structs.replace(conversation, turns=turns, thinking=None)


class Seam:
    """The source of an answer's rest, without the white space that its beginning ends with."""

    def __init__(self, source: EventSource, beginning: Beginning) -> None:
        text = _decode_text(beginning.text)
        self._source = source
        self._said = text[len(text.rstrip()) :]

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the body; `b""` at its end."""
        self._source.receive_data(data)

    def next_event(self) -> MiddleEvent | Signal:
        """Return the next event, `NEED_DATA`, or `END` after the body's end."""
        event = self._source.next_event()
        if not self._said or not isinstance(event, Grown) or not event.text:
            return event
        common = 0
        while common < min(len(self._said), len(event.text)):
            if self._said[common] != event.text[common]:
                break
            common += 1
        rest = event.text[common:]
        self._said = "" if rest else self._said[common:]
        return msgspec.structs.replace(event, text=rest)


class ContinuedStream:
    """One stream, read twice (see `adapters.dialect.StreamDecoder`). `bridged` writes the usage."""

    def __init__(self, bridged: StreamDecoder, call: Call, target: Target) -> None:
        self._bridged = bridged
        self._chunks = ChunkDecoder(call, target)
        self._goes_on = call.beginning is not None

    @property
    def usage(self) -> Usage | None:
        """The usage told so far, `None` before any was; of both parts, where this is the second."""
        return self._chunks.usage or (None if self._goes_on else self._bridged.usage)

    @property
    def output_bytes(self) -> int:
        """About how many bytes of text, reasoning and calls have come so far."""
        return self._bridged.output_bytes

    @property
    def beginning(self) -> Beginning | None:
        """What has been handed out so far, `None` where nobody could go on with it."""
        kept = self._chunks.beginning
        return kept if kept is None else msgspec.structs.replace(kept, usage=self._bridged.usage)

    @property
    def complete(self) -> bool:
        """Whether every choice has come to its end."""
        return self._bridged.complete

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the body; `b""` at its end."""
        self._bridged.receive_data(data)

    def next_event(self) -> StreamEvent | Signal:
        """Return the next event, `NEED_DATA`, or `END` after the body's end."""
        while (found := self._chunks.next_event()) is NEED_DATA:
            event = self._bridged.next_event()
            if isinstance(event, Signal) or event.kind in {EventKind.ERROR, EventKind.MALFORMED}:
                return event
            if event.frame:  # nothing would mean the end
                self._chunks.receive_data(event.frame)
        return found

    def closing_frames(self) -> bytes:
        """Return the bytes that end a complete stream."""
        self._chunks.receive_data(self._bridged.closing_frames())
        frames = bytearray()
        while not isinstance(event := self._chunks.next_event(), Signal):
            frames += event.frame
        return bytes(frames)

    def cut_frames(self, usage: Usage) -> bytes:
        """Return the bytes that end a stream here as if it had reached its cap, with this usage."""
        return self._chunks.cut_frames(usage)

    def error_frames(self, error: ToldError) -> bytes:
        """Return the bytes that tell the client of a stream that has begun what became of it."""
        return self._chunks.error_frames(error)
