"""Cohere's dialect: chat, embeddings and rankings of the second version of its API.

A provider's paths are `/v2/chat`, `/v2/embed` and `/v2/rerank`, its key is a bearer token.
"""

from adapters.cohere import answer, error, request
from adapters.cohere.stream import CohereEvents
from adapters.dialect import EncodedRequest, Failure, Headers, Target
from adapters.middle.answer import WholeAnswer
from adapters.middle.conversation import Conversation
from adapters.middle.halves import EventSource
from adapters.middle.tool_name import NameRule


class CohereUpstream:
    """What is said to Cohere (see `adapters.middle.halves.Upstream`)."""

    tool_names = NameRule(signs="A-Za-z0-9_", longest=64, first="A-Za-z_")

    def encode(self, conversation: Conversation, target: Target, *, stream: bool) -> EncodedRequest:
        """Write the request. Raises `BadCall` for what cannot be said to Cohere."""
        return request.encode_request(conversation, target, stream=stream)

    def decode(self, conversation: Conversation, body: bytes) -> WholeAnswer:
        """Read a whole answer. Raises `BadAnswer`."""
        return answer.decode_answer(conversation, body)

    def event_source(self, conversation: Conversation) -> EventSource:
        """Return a fresh decoder for one stream."""
        return CohereEvents(conversation)

    def classify_error(
        self, status: int, headers: Headers, body: bytes, *, now_at: float
    ) -> Failure:
        """Say what an error answer means."""
        return error.classify(status, headers, body, now_at=now_at)
