"""Responses between a client and a provider that both speak them: bytes pass, and are read on the way.

Only providers whose configuration names a path for Responses are asked like that; they have tools and kinds
of reasoning that chat has no words for. What needs a memory stays refused, and nothing is stored there, so
that a conversation may go on at any provider.
"""

from adapters.dialect import Answer, Call, EncodedRequest, Failure, Headers, StreamDecoder, Target
from adapters.openai import error
from adapters.responses import native_answer, native_request
from adapters.responses.native_stream import ResponseDecoder


class ResponsesDialect:
    """The four verbs for clients of Responses at providers of Responses."""

    def encode_request(self, call: Call, target: Target) -> EncodedRequest:
        """Write the call with the upstream's model name. Raises `BadCall` for what is stored nowhere."""
        return native_request.encode_request(call, target)

    def decode_answer(self, call: Call, target: Target, body: bytes) -> Answer:  # noqa: ARG002 - the protocol's
        """Read a whole answer. Raises `BadAnswer`."""
        return native_answer.decode_answer(target, body)

    def stream_decoder(self, call: Call, target: Target) -> StreamDecoder:
        """Return a fresh decoder for one stream."""
        return ResponseDecoder(target, keeps_beginning=call.keeps_beginning)

    def classify_error(
        self, status: int, headers: Headers, body: bytes, *, now_at: float
    ) -> Failure:
        """Say what an error answer means."""
        return error.classify(status, headers, body, now_at=now_at)
