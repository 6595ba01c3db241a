"""OpenAI's chat as an upstream: what clients of other faces say to providers that speak it, and hear back."""

from typing import Final

import msgspec

from adapters.dialect import EncodedRequest, Failure, Headers, Target
from adapters.middle.answer import WholeAnswer
from adapters.middle.conversation import Conversation
from adapters.middle.halves import EventSource
from adapters.middle.tool_name import NameRule
from adapters.openai import error, upstream_answer, upstream_request
from adapters.openai.upstream_stream import ChunkSource
from adapters.openai.variant import Variant

_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode: Final = msgspec.json.encode


class OpenAIUpstream:
    """Chat completions, or a `variant` of them, behind any face (see `adapters.middle.halves.Upstream`)."""

    tool_names = NameRule(signs="A-Za-z0-9_-", longest=64)

    def __init__(self, variant: Variant | None = None) -> None:
        self._variant = variant

    def encode(self, conversation: Conversation, target: Target, *, stream: bool) -> EncodedRequest:
        """Write the request. Raises `BadCall` for what cannot be said to this provider."""
        encoded = upstream_request.encode_request(conversation, target, stream=stream)
        if self._variant is None:
            return encoded
        fields = self._variant.adapted("chat", _decode_fields(encoded.body))
        return EncodedRequest(encoded.target, encoded.headers, _encode(fields))

    def decode(self, conversation: Conversation, body: bytes) -> WholeAnswer:  # noqa: ARG002 - other dialects need it
        """Read a whole answer. Raises `BadAnswer`."""
        return upstream_answer.read_answer(
            body if self._variant is None else self._variant.read(body)
        )

    def event_source(self, conversation: Conversation) -> EventSource:  # noqa: ARG002 - other dialects need it
        """Return a fresh decoder for one stream."""
        return ChunkSource(self._variant)

    def classify_error(
        self, status: int, headers: Headers, body: bytes, *, now_at: float
    ) -> Failure:
        """Say what an error answer means."""
        return error.classify(status, headers, body, now_at=now_at)
