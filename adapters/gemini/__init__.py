"""Gemini's dialect: Google's models by the Gemini API and by Vertex AI.

Both take the same bodies. They differ in the path (see `adapters.gemini.path`) and in the credential: a key
in `x-goog-api-key`, never in the address, or the bearer token of a service account (see
`adapters.gemini.service_account`).
"""

import secrets

from adapters.dialect import EncodedRequest, Failure, Headers, Target
from adapters.gemini import answer, error, request
from adapters.gemini.reading import NewId
from adapters.gemini.stream import GeminiEvents
from adapters.middle.answer import WholeAnswer
from adapters.middle.conversation import Conversation
from adapters.middle.halves import EventSource
from adapters.middle.tool_name import NameRule


class GeminiUpstream:
    """What is said to Gemini (see `adapters.middle.halves.Upstream`).

    `new_id` gives a text that no other answer has, for answers that come without an id of their own.
    """

    tool_names = NameRule(signs="A-Za-z0-9_.:-", longest=64, first="A-Za-z_")

    def __init__(self, new_id: NewId = secrets.token_hex) -> None:
        self._new_id = new_id

    def encode(self, conversation: Conversation, target: Target, *, stream: bool) -> EncodedRequest:
        """Write the request. Raises `BadCall` for what cannot be said to Gemini."""
        return request.encode_request(conversation, target, stream=stream)

    def decode(self, conversation: Conversation, body: bytes) -> WholeAnswer:
        """Read a whole answer. Raises `BadAnswer`."""
        return answer.decode_answer(conversation, body, self._new_id)

    def event_source(self, conversation: Conversation) -> EventSource:
        """Return a fresh decoder for one stream."""
        return GeminiEvents(conversation, self._new_id)

    def classify_error(
        self, status: int, headers: Headers, body: bytes, *, now_at: float
    ) -> Failure:
        """Say what an error answer means."""
        return error.classify(status, headers, body, now_at=now_at)
