"""Anthropic's Messages as a face: what its clients say and read, whoever answers them."""

from adapters.anthropic import face_answer, face_request
from adapters.anthropic.face_events import MessageWriter
from adapters.dialect import Call, Endpoint, Target
from adapters.middle.answer import WholeAnswer
from adapters.middle.conversation import Conversation
from adapters.middle.halves import EventWriter


class MessagesFace:
    """Messages in front of any upstream (see `adapters.middle.halves.Face`)."""

    endpoint: Endpoint = "chat"

    def conversation(self, call: Call) -> Conversation:
        """Read what the client wants. Raises `BadCall` naming the field."""
        return face_request.read_request(call)

    def write_answer(self, call: Call, target: Target, answer: WholeAnswer) -> bytes:
        """Write a message."""
        return face_answer.write_answer(call, target, answer)

    def event_writer(self, call: Call, target: Target) -> EventWriter:
        """Return a fresh writer of named events."""
        return MessageWriter(call, target)
