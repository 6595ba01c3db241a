"""Embeddings of Voyage's models.

What the vectors are for is worth saying to it: it puts words of its own before the text of a query and of a
document. Source: "Text embedding models" in Voyage's API reference.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from adapters.dialect import EncodedRequest, Target
from adapters.middle.embeddings import ANY, EmbeddingWish
from adapters.middle.purpose import Purpose, in_words
from adapters.openai.embedding_list import read_embeddings as decode_embedding

__all__ = ["decode_embedding", "encode_embedding", "most_texts"]

_MOST_TEXTS: Final = 1000
_INPUT_TYPES: Final[dict[Purpose, str]] = {"query": "query", "document": "document"}

_encode: Final = msgspec.json.encode


def most_texts(target: Target) -> int:  # noqa: ARG001 - the protocol's
    """Return how many texts one request may have."""
    return _MOST_TEXTS


def encode_embedding(
    texts: Sequence[str], target: Target, wish: EmbeddingWish = ANY
) -> EncodedRequest:
    """Write the request for the vectors of these texts."""
    said = {
        "model": target.upstream_model,
        "input": texts,
        "input_type": in_words(wish.input_type, _INPUT_TYPES),
        "output_dimension": wish.dimensions,
        **wish.own("truncation"),
    }
    body = {name: value for name, value in said.items() if value is not None}
    return EncodedRequest(target.paths["embeddings"], target.headers, _encode(body))
