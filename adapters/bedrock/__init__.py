"""AWS Bedrock's dialect: Converse, which is one form for the models of many makers.

A provider's address is `https://bedrock-runtime.<region>.amazonaws.com`, its path for chat
`/model/{model}/{method}`. It knows its caller by a bearer token (a Bedrock API key) or by a signature over
each request, which `Target.sign` makes (see `adapters.bedrock.extra`). Streams are binary frames, not
server-sent events. Source: "Converse" and "ConverseStream" in the API reference of Amazon Bedrock Runtime.
"""

from adapters.bedrock import answer, error, request
from adapters.bedrock.stream import ConverseEvents
from adapters.dialect import EncodedRequest, Failure, Headers, Target
from adapters.middle.answer import WholeAnswer
from adapters.middle.conversation import Conversation
from adapters.middle.halves import EventSource
from adapters.middle.tool_name import NameRule


class BedrockUpstream:
    """What is said to Bedrock (see `adapters.middle.halves.Upstream`)."""

    tool_names = NameRule(signs="A-Za-z0-9_-", longest=64)

    def encode(self, conversation: Conversation, target: Target, *, stream: bool) -> EncodedRequest:
        """Write the request, and sign it if the target does. Raises `BadCall` for what cannot be said."""
        encoded = request.encode_request(conversation, target, stream=stream)
        return encoded if target.sign is None else target.sign(encoded)

    def decode(self, conversation: Conversation, body: bytes) -> WholeAnswer:
        """Read a whole answer. Raises `BadAnswer`."""
        return answer.decode_answer(conversation, body)

    def event_source(self, conversation: Conversation) -> EventSource:
        """Return a fresh decoder for one stream. Raises `MissingExtra` where botocore is not installed."""
        return ConverseEvents(conversation)

    def classify_error(
        self, status: int, headers: Headers, body: bytes, *, now_at: float
    ) -> Failure:
        """Say what an error answer means."""
        return error.classify(status, headers, body, now_at=now_at)
