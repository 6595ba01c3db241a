"""OpenAI's Responses as a face: what its clients say and read, whoever answers them."""

from adapters.dialect import Call, Endpoint, Target
from adapters.middle.answer import WholeAnswer
from adapters.middle.conversation import Conversation
from adapters.middle.halves import EventWriter
from adapters.responses import answer as whole
from adapters.responses import request
from adapters.responses.stream import ResponseWriter


class ResponsesFace:
    """Responses in front of any upstream (see `adapters.middle.halves.Face`)."""

    endpoint: Endpoint = "chat"

    def conversation(self, call: Call) -> Conversation:
        """Read what the client wants. Raises `BadCall` naming the field."""
        return request.read_request(call)

    def write_answer(self, call: Call, target: Target, answer: WholeAnswer) -> bytes:
        """Write a response."""
        return whole.write_answer(call, target, answer)

    def event_writer(self, call: Call, target: Target) -> EventWriter:
        """Return a fresh writer of named events."""
        return ResponseWriter(call, target)
