"""Anthropic's Messages as an upstream: what clients of other faces say to Claude, and hear back."""

from adapters.anthropic import error, upstream_answer, upstream_request
from adapters.anthropic.upstream_stream import MessageSource
from adapters.dialect import EncodedRequest, Failure, Headers, Target
from adapters.middle.answer import WholeAnswer
from adapters.middle.conversation import Conversation
from adapters.middle.halves import EventSource
from adapters.middle.tool_name import NameRule


class AnthropicUpstream:
    """Anthropic's Messages behind any face (see `adapters.middle.halves.Upstream`)."""

    tool_names = NameRule(signs="A-Za-z0-9_-", longest=128)

    def encode(self, conversation: Conversation, target: Target, *, stream: bool) -> EncodedRequest:
        """Write the request. Raises `BadCall` for what cannot be said to this provider."""
        return upstream_request.encode_request(conversation, target, stream=stream)

    def decode(self, conversation: Conversation, body: bytes) -> WholeAnswer:
        """Read a whole answer. Raises `BadAnswer`."""
        return upstream_answer.read_answer(conversation, body)

    def event_source(self, conversation: Conversation) -> EventSource:
        """Return a fresh decoder for one stream."""
        return MessageSource(conversation)

    def classify_error(
        self, status: int, headers: Headers, body: bytes, *, now_at: float
    ) -> Failure:
        """Say what an error answer means."""
        return error.classify(status, headers, body, now_at=now_at)
