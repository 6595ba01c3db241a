"""OpenAI's chat as a face: what its clients say and read, whoever answers them."""

from adapters.dialect import Call, Endpoint, Target
from adapters.middle.answer import WholeAnswer
from adapters.middle.conversation import Conversation
from adapters.middle.halves import EventWriter
from adapters.openai import chat_answer, chat_request
from adapters.openai.chat_chunks import ChunkWriter


class ChatFace:
    """Chat completions in front of any upstream (see `adapters.middle.halves.Face`)."""

    endpoint: Endpoint = "chat"

    def conversation(self, call: Call) -> Conversation:
        """Read what the client wants. Raises `BadCall` naming the field."""
        return chat_request.read_request(call)

    def write_answer(self, call: Call, target: Target, answer: WholeAnswer) -> bytes:
        """Write a `chat.completion`."""
        return chat_answer.write_answer(call, target, answer)

    def event_writer(self, call: Call, target: Target) -> EventWriter:
        """Return a fresh writer of chunks."""
        return ChunkWriter(call, target)
