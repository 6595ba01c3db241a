"""The rest of an answer that began elsewhere, as the same story: its events join on to the open text.

The first part, a text, is with the client and still open; it has the number 0. The first text of the rest
goes on with it, and all other parts come behind. What the model thought before it went on is left out, for
the client's answer is past that.

The seam is exact. Space at the end of the beginning is not sent along, because some providers refuse it
there; so most models begin with it, and what of it the client has already is taken out of the rest. So is the
echo of a provider that says the beginning once more.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

import msgspec

from adapters.dialect import Beginning
from adapters.middle.conversation import Conversation, Text, Turn
from adapters.middle.echo import Echo
from adapters.middle.event import (
    Begun,
    Grown,
    MiddleEvent,
    PartBegun,
    PartEnded,
    Stopped,
    UsageTold,
)
from adapters.middle.halves import EventSource
from adapters.middle.whole_usage import whole_usage
from adapters.sse import Signal

OPEN_TEXT: Final = PartBegun(part=0, kind="text")

_THOUGHTS: Final = frozenset({"reasoning", "redacted"})

_decode_text: Final = msgspec.json.Decoder(str).decode


def text_of(beginning: Beginning) -> str:
    """Return the text that the client has."""
    return _decode_text(beginning.text)


def prefill_of(beginning: Beginning) -> str:
    """Return the text so far as a provider is to go on from it."""
    return text_of(beginning).rstrip()


def with_prefill(conversation: Conversation, beginning: Beginning) -> Conversation:
    """Return the conversation with the answer so far as its last turn; nothing is to be thought any more."""
    prefill = prefill_of(beginning)
    last = (Turn("assistant", (Text(text=prefill),)),) if prefill else ()
    return msgspec.structs.replace(conversation, turns=(*conversation.turns, *last), thinking=None)


class Rest:
    """Reads the stream of a rest (see `adapters.middle.halves.EventSource`).

    `echoes`: the provider is known to repeat the beginning.
    """

    def __init__(self, source: EventSource, beginning: Beginning, *, echoes: bool) -> None:
        text, prefill = text_of(beginning), prefill_of(beginning)
        self._source = source
        self._beginning = beginning
        self._echo = Echo(prefill, expected=echoes and bool(prefill))
        self._space = text[len(prefill) :]
        self._ready: deque[MiddleEvent] = deque()
        self._is_open = True
        self._joined: int | None = None
        self._left_out: set[int] = set()

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the body; `b""` at its end."""
        self._source.receive_data(data)

    def next_event(self) -> MiddleEvent | Signal:
        """Return the next event, `NEED_DATA`, or `END` after the body's end."""
        while not self._ready:
            event = self._source.next_event()
            if isinstance(event, Signal):
                return event
            self._ready.extend(self._read(event))
        return self._ready.popleft()

    def _read(self, event: MiddleEvent) -> Iterator[MiddleEvent]:
        match event:
            case Begun():
                return
            case PartBegun():
                yield from self._begin(event)
            case Grown():
                yield from self._grow(event)
            case PartEnded() if event.part == self._joined:
                yield from self._end_text()
            case PartEnded():
                if event.part not in self._left_out:
                    yield PartEnded(part=event.part + 1)
            case Stopped():
                yield from self._end_text()
                yield event
            case UsageTold():
                echoed = self._echo.was_dropped
                yield UsageTold(whole_usage(self._beginning, event.usage, echoed=echoed))
            case _:
                yield event

    def _begin(self, event: PartBegun) -> Iterator[MiddleEvent]:
        if event.kind in _THOUGHTS:
            self._left_out.add(event.part)
        elif event.kind == "text" and self._joined is None and self._is_open:
            self._joined = event.part
        else:
            if self._joined is None:
                yield from self._end_text()
            yield msgspec.structs.replace(event, part=event.part + 1)

    def _grow(self, event: Grown) -> Iterator[MiddleEvent]:
        if event.part == self._joined:
            yield from self._say(self._echo.without(event.text))
        elif event.part not in self._left_out:
            yield msgspec.structs.replace(event, part=event.part + 1)

    def _say(self, text: str) -> Iterator[MiddleEvent]:
        """Go on with the open text, without the space that the client has already."""
        said = text
        while self._space and said:
            is_there = said[0] == self._space[0]
            self._space = self._space[1:] if is_there else ""
            said = said[1:] if is_there else said
        if said:
            yield Grown(part=0, text=said)

    def _end_text(self) -> Iterator[MiddleEvent]:
        if self._is_open:
            self._is_open = False
            yield from self._say(self._echo.release())
            yield PartEnded(part=0)
