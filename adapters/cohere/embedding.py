"""Embeddings of Cohere's models.

Cohere must know what the vectors are for. OpenAI's clients do not say, and `search_document` is what most
texts are embedded for; a client that knows better sends `input_type`. Source: "Embed API (v2)" in Cohere's
API reference.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from adapters.cohere.usage import read_usage
from adapters.dialect import BadAnswer, EncodedRequest, Failure, FailureKind, Target
from adapters.middle.embeddings import ANY, Embeddings, EmbeddingWish
from adapters.middle.purpose import Purpose, in_words
from adapters.openai.foreign import NULL, UNREADABLE, check_utf8

_MOST_TEXTS: Final = 96
_USUAL_INPUT_TYPE: Final = "search_document"
_INPUT_TYPES: Final[dict[Purpose, str]] = {
    "query": "search_query",
    "document": "search_document",
    "classification": "classification",
    "similarity": "clustering",
    "clustering": "clustering",
}


class _ByType(msgspec.Struct):
    floats: tuple[tuple[float, ...], ...] = msgspec.field(name="float")


class _Answer(msgspec.Struct):
    embeddings: _ByType
    meta: msgspec.Raw = NULL


_decode: Final = msgspec.json.Decoder(_Answer).decode
_encode: Final = msgspec.json.encode


def most_texts(target: Target) -> int:  # noqa: ARG001 - the protocol's
    """Return how many texts one request may have."""
    return _MOST_TEXTS


def encode_embedding(
    texts: Sequence[str], target: Target, wish: EmbeddingWish = ANY
) -> EncodedRequest:
    """Write the request for the vectors of these texts."""
    body: dict[str, object] = {
        "model": target.upstream_model,
        "texts": texts,
        "input_type": in_words(wish.input_type, _INPUT_TYPES) or _USUAL_INPUT_TYPE,
        "embedding_types": ["float"],
        **wish.own("truncate", "max_tokens"),
    }
    if wish.dimensions is not None:
        body["output_dimension"] = wish.dimensions
    return EncodedRequest(target.paths["embeddings"], target.headers, _encode(body))


def decode_embedding(body: bytes, *, expected: int) -> Embeddings:
    """Read the vectors of `expected` texts. Raises `BadAnswer` for any other number, and for what is none."""
    try:
        check_utf8(body)
        answer = _decode(body)
    except UNREADABLE as error:
        raise _invalid(f"The provider's answer cannot be read: {error}") from None
    vectors = answer.embeddings.floats
    if len(vectors) != expected:
        raise _invalid(f"The provider sent {len(vectors)} embeddings for {expected} texts.")
    return Embeddings(vectors, read_usage(answer.meta))


def _invalid(message: str) -> BadAnswer:
    return BadAnswer(Failure(kind=FailureKind.INVALID, status=200, message=message))
