"""Anthropic's dialect: Messages.

It is an upstream for clients of any face, and a face of the gateway. A client that speaks it reaches an
upstream that speaks it natively: a call passes through as raw fields, and only the model's name changes.
"""

from adapters.anthropic import answer, error, request
from adapters.anthropic.stream import MessageDecoder
from adapters.dialect import Answer, Call, EncodedRequest, Failure, Headers, StreamDecoder, Target


class AnthropicDialect:
    """The four verbs for clients of Messages at providers of Messages."""

    def encode_request(self, call: Call, target: Target) -> EncodedRequest:
        """Write the call with the upstream's model name."""
        return request.encode_request(call, target)

    def decode_answer(self, call: Call, target: Target, body: bytes) -> Answer:  # noqa: ARG002 - the protocol's
        """Read a whole answer. Raises `BadAnswer`."""
        return answer.decode_answer(target, body)

    def stream_decoder(self, call: Call, target: Target) -> StreamDecoder:
        """Return a fresh decoder for one stream."""
        return MessageDecoder(target, keeps_beginning=call.keeps_beginning)

    def classify_error(
        self, status: int, headers: Headers, body: bytes, *, now_at: float
    ) -> Failure:
        """Say what an error answer means."""
        return error.classify(status, headers, body, now_at=now_at)
