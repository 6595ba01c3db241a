"""Streams of Converse: binary frames, each an event of JSON, or an exception that ends the stream."""

from collections import deque

from adapters.bedrock.error import classify_exception
from adapters.bedrock.extra import frame_decoder
from adapters.bedrock.frame import BrokenFrame, Frame
from adapters.bedrock.reading import Story
from adapters.bedrock.wire import decode_event
from adapters.dialect import Failure, FailureKind
from adapters.middle.conversation import Conversation
from adapters.middle.event import Ended, Failed, Malformed, MiddleEvent
from adapters.openai.foreign import UNREADABLE, check_utf8
from adapters.sse import END, NEED_DATA, Signal


class ConverseEvents:
    """Decodes one stream (see `adapters.middle.halves.EventSource`).

    An exception, or bytes that are no frame, give one `Failed`, and `END` from then on.
    """

    def __init__(self, conversation: Conversation) -> None:
        self._frames = frame_decoder()
        self._story = Story(conversation)
        self._waiting: deque[MiddleEvent] = deque()
        self._body_ended = False
        self._over = False

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the body; `b""` at its end."""
        if not data:
            self._body_ended = True
        elif not self._over:
            self._frames.receive_data(data)

    def next_event(self) -> MiddleEvent | Signal:
        """Return the next event, `NEED_DATA`, or `END` after the body's end."""
        while not self._waiting:
            if self._over:
                return END
            if not self._read_frame():
                return END if self._body_ended else NEED_DATA
        return self._waiting.popleft()

    def _read_frame(self) -> bool:
        """Read one frame, if it is there; return whether it was."""
        try:
            frame = self._frames.next_frame()
        except BrokenFrame as error:
            self._fail(Failure(kind=FailureKind.INVALID, status=200, message=str(error)))
            return True
        if frame is None:
            return False
        if frame.kind == "event":
            self._waiting.extend(self._read(frame))
        else:
            self._fail(classify_exception(frame))
        return True

    def _read(self, frame: Frame) -> list[MiddleEvent]:
        try:
            check_utf8(frame.told)
            events = self._story.take(frame.name, decode_event(frame.told))
        except UNREADABLE:
            return [Malformed()]
        self._over = any(isinstance(event, Ended | Failed) for event in events)
        return events

    def _fail(self, failure: Failure) -> None:
        self._over = True
        self._waiting.append(Failed(failure))
