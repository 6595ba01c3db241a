"""Streams of Gemini: server-sent events without names, each a chunk, ended by the end of the body."""

from collections import deque

from adapters.dialect import Failure, FailureKind
from adapters.gemini.error import classify_object, error_in
from adapters.gemini.reading import AnswerReading, NewId
from adapters.gemini.wire import decode_response
from adapters.middle.conversation import Conversation
from adapters.middle.event import Alive, Failed, Malformed, MiddleEvent
from adapters.openai.foreign import NULL, UNREADABLE, check_utf8
from adapters.sse import END, EventDecoder, EventTooLarge, Signal


class GeminiEvents:
    """Decodes one stream (see `adapters.middle.halves.EventSource`).

    A stream with an event that exceeds every bound gives one `Failed`, and `END` from then on.
    """

    def __init__(self, conversation: Conversation, new_id: NewId) -> None:
        self._decoder = EventDecoder()
        self._reading = AnswerReading(conversation, new_id)
        self._waiting: deque[MiddleEvent] = deque()
        self._over = False

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
            if event is END:
                self._over = True
                self._waiting.extend(self._reading.finish())
            elif isinstance(event, Signal):
                return event
            else:
                self._waiting.extend(self._read(event.data))
        return self._waiting.popleft()

    def _read(self, data: bytes) -> list[MiddleEvent]:
        if not data.strip():
            return [Alive()]
        try:
            check_utf8(data)
            chunk = decode_response(data)
        except UNREADABLE:
            error = error_in(data)
            return [Malformed() if error is None else self._reading.fail(classify_object(error))]
        if chunk.error != NULL:
            return [self._reading.fail(classify_object(chunk.error))]
        return self._reading.take(chunk)
