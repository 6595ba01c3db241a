"""Embeddings of OpenAI's face at an upstream of another dialect.

They need no conversation and no stream, so their bridge is one of its own: texts out, vectors back. Texts
that came as tokens are refused, for another provider's tokens are other words.
"""

import base64
import sys
from array import array
from collections.abc import Sequence
from typing import Final, NoReturn

import msgspec

from adapters.dialect import (
    Answer,
    BadCall,
    Call,
    EncodedRequest,
    Failure,
    Headers,
    StreamDecoder,
    Target,
    Usage,
)
from adapters.middle.embeddings import EmbeddingUpstream
from adapters.middle.halves import Upstream
from adapters.openai.client_body import is_absent

BYTES_PER_TOKEN: Final = 4.0  # for a provider that does not count

_decode_texts: Final = msgspec.json.Decoder(str | list[str]).decode
_decode_dimensions: Final = msgspec.json.Decoder(int | None).decode
_encode: Final = msgspec.json.encode


class EmbeddingBridge:
    """The four verbs for embeddings; `upstream` is the same provider's chat, whose errors are these too."""

    def __init__(self, embeddings: EmbeddingUpstream, upstream: Upstream) -> None:
        self._embeddings = embeddings
        self._upstream = upstream

    def encode_request(self, call: Call, target: Target) -> EncodedRequest:
        """Write the call as this provider wants it. Raises `BadCall` for tokens in place of texts."""
        return self._embeddings.encode_embedding(_texts(call), target, dimensions=_dimensions(call))

    def decode_answer(self, call: Call, target: Target, body: bytes) -> Answer:
        """Read a whole answer; usage that the provider did not tell is estimated. Raises `BadAnswer`."""
        texts = _texts(call)
        found = self._embeddings.decode_embedding(body, expected=len(texts))
        usage = found.usage or _estimate(texts)
        data = [
            {"object": "embedding", "index": index, "embedding": _in_asked_form(call, vector)}
            for index, vector in enumerate(found.vectors)
        ]
        told = {"prompt_tokens": usage.input_tokens, "total_tokens": usage.input_tokens}
        answer = {"object": "list", "data": data, "model": target.served_model, "usage": told}
        return Answer(_encode(answer), usage)

    def stream_decoder(self, call: Call, target: Target) -> StreamDecoder:  # noqa: ARG002 - the protocol's
        """Refuse: embeddings come whole. Raises `BadCall`."""
        _refuse_stream()

    def classify_error(
        self, status: int, headers: Headers, body: bytes, *, now_at: float
    ) -> Failure:
        """Say what an error answer means."""
        return self._upstream.classify_error(status, headers, body, now_at=now_at)


def _texts(call: Call) -> Sequence[str]:
    if call.stream:
        _refuse_stream()
    try:
        found = _decode_texts(call.fields["input"])
    except msgspec.DecodeError:
        raise BadCall(
            "This model takes texts only: 'input' must be a string or an array of strings.",
            param="input",
        ) from None
    return [found] if isinstance(found, str) else found


def _dimensions(call: Call) -> int | None:
    if is_absent(call.fields, "dimensions"):
        return None
    try:
        found: int | None = _decode_dimensions(call.fields["dimensions"])
    except msgspec.DecodeError:
        raise BadCall("'dimensions' must be an integer.", param="dimensions") from None
    return found


def _estimate(texts: Sequence[str]) -> Usage:
    size = sum(len(text.encode()) for text in texts)
    return Usage(input_tokens=max(1, round(size / BYTES_PER_TOKEN)), estimated=True)


def _in_asked_form(call: Call, vector: Sequence[float]) -> Sequence[float] | str:
    if not call.base64_embeddings:
        return vector
    numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()


def _refuse_stream() -> NoReturn:
    raise BadCall("Embeddings are not streamed.", param="stream")
