"""OpenAI's chat as an upstream: what clients of other faces say to providers that speak it, and hear back."""

from adapters.dialect import EncodedRequest, Failure, Headers, Target
from adapters.middle.answer import WholeAnswer
from adapters.middle.conversation import Conversation, Media
from adapters.middle.halves import EventSource
from adapters.openai import error, upstream_answer, upstream_request
from adapters.openai.upstream_stream import ChunkSource


class OpenAIUpstream:
    """Chat completions behind any face (see `adapters.middle.halves.Upstream`)."""

    def encode(self, conversation: Conversation, target: Target, *, stream: bool) -> EncodedRequest:
        """Write the request. Raises `BadCall` for what cannot be said to this provider."""
        return upstream_request.encode_request(conversation, target, stream=stream)

    def opens(self, media: Media, target: Target) -> bool:  # noqa: ARG002 - all models alike
        """Tell whether the provider gets at the bytes of a medium by its URL: images only."""
        return media.kind == "image"

    def decode(self, conversation: Conversation, body: bytes) -> WholeAnswer:  # noqa: ARG002 - other dialects need it
        """Read a whole answer. Raises `BadAnswer`."""
        return upstream_answer.read_answer(body)

    def event_source(self, conversation: Conversation) -> EventSource:  # noqa: ARG002 - other dialects need it
        """Return a fresh decoder for one stream."""
        return ChunkSource()

    def classify_error(
        self, status: int, headers: Headers, body: bytes, *, now_at: float
    ) -> Failure:
        """Say what an error answer means."""
        return error.classify(status, headers, body, now_at=now_at)
