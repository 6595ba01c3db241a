"""What a provider does not do: calls of an endpoint that its dialect has not are refused, and go nowhere."""

from typing import NoReturn

from adapters.dialect import (
    Answer,
    BadCall,
    Call,
    EncodedRequest,
    Failure,
    Headers,
    StreamDecoder,
    Target,
)
from adapters.openai import error


class Unserved:
    """The four verbs of a refusal."""

    def encode_request(self, call: Call, target: Target) -> EncodedRequest:  # noqa: ARG002 - the protocol's
        """Raise `BadCall`."""
        _refuse(call)

    def decode_answer(self, call: Call, target: Target, body: bytes) -> Answer:  # noqa: ARG002 - the protocol's
        """Raise `BadCall`."""
        _refuse(call)

    def stream_decoder(self, call: Call, target: Target) -> StreamDecoder:  # noqa: ARG002 - the protocol's
        """Raise `BadCall`."""
        _refuse(call)

    def classify_error(
        self, status: int, headers: Headers, body: bytes, *, now_at: float
    ) -> Failure:
        """Say what an error answer means."""
        return error.classify(status, headers, body, now_at=now_at)


def _refuse(call: Call) -> NoReturn:
    raise BadCall(
        f"This model does not serve '{call.endpoint}'.",
        param="model",
        code="unsupported_endpoint",
    )
