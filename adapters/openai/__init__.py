"""The OpenAI dialect: chat completions, legacy completions and embeddings.

It is also the gateway's own face to its clients, so a call passes through as raw fields: only the
model's name and `stream_options` change on the way.
"""

from adapters.dialect import Answer, Call, EncodedRequest, Failure, Headers, StreamDecoder, Target
from adapters.openai import answer, error, request, stream
from adapters.openai.variant import Variant


class OpenAIDialect:
    """The four verbs for every upstream that speaks OpenAI's HTTP API, or a `variant` of it."""

    def __init__(self, variant: Variant | None = None) -> None:
        self._variant = variant

    def encode_request(self, call: Call, target: Target) -> EncodedRequest:
        """Write the call with the upstream's model name, asking for usage when it streams."""
        return request.encode_request(call, target, self._variant)

    def decode_answer(self, call: Call, target: Target, body: bytes) -> Answer:
        """Read a whole answer. Raises `BadAnswer`."""
        body = body if self._variant is None else self._variant.read(body)
        return answer.decode_answer(call, target, body)

    def stream_decoder(self, call: Call, target: Target) -> StreamDecoder:
        """Return a fresh decoder for one stream."""
        return stream.ChunkDecoder(call, target, self._variant)

    def classify_error(
        self, status: int, headers: Headers, body: bytes, *, now_at: float
    ) -> Failure:
        """Say what an error answer means."""
        return error.classify(status, headers, body, now_at=now_at)
