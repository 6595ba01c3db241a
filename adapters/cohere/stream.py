"""Streams of Cohere: server-sent events whose data says what they are.

The first is `message-start`, the last `message-end`; what follows that (a `[DONE]`) says nothing more.
"""

from collections import deque

from adapters.cohere.reading import Story
from adapters.cohere.wire import KINDS, START, decode_event, decode_kind
from adapters.dialect import Failure, FailureKind
from adapters.middle.conversation import Conversation
from adapters.middle.event import Alive, Begun, Failed, Malformed, MiddleEvent
from adapters.openai.foreign import UNREADABLE, check_utf8
from adapters.sse import END, EventDecoder, EventTooLarge, Signal


class CohereEvents:
    """Decodes one stream (see `adapters.middle.halves.EventSource`).

    A stream with an event that exceeds every bound gives one `Failed`, and `END` from then on.
    """

    def __init__(self, conversation: Conversation) -> None:
        self._decoder = EventDecoder()
        self._story = Story(conversation)
        self._waiting: deque[MiddleEvent] = deque()
        self._over = False
        self._told = False

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the body; `b""` at its end."""
        self._decoder.receive_data(data)

    def next_event(self) -> MiddleEvent | Signal:
        """Return the next event, `NEED_DATA`, or `END` after the body's end."""
        while not self._waiting:
            if self._over:
                return END
            try:
                event = self._decoder.next_event()
            except EventTooLarge as error:
                self._over = True
                return Failed(Failure(kind=FailureKind.INVALID, status=200, message=str(error)))
            if isinstance(event, Signal):
                return event
            if not self._told:
                self._waiting.extend(self._read(event.data))
        return self._waiting.popleft()

    def _read(self, data: bytes) -> list[MiddleEvent]:
        if not data.strip():
            return [Alive()]
        try:
            check_utf8(data)
            kind = decode_kind(data)
            if kind.type == START:
                return [Begun(id=kind.id)]
            if kind.type not in KINDS:
                return [Alive()]
            events = self._story.take(decode_event(data))
        except UNREADABLE:
            return [Malformed()]
        self._told = kind.type == "message-end"
        return events
