"""Embeddings of Jina's models.

A model wants to know its task, in words of Jina's own; without one it embeds for no purpose in particular.
Source: "Embeddings" in Jina's API reference.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from adapters.dialect import EncodedRequest, Target
from adapters.middle.embeddings import ANY, EmbeddingWish
from adapters.middle.purpose import Purpose, in_words
from adapters.openai.embedding_list import read_embeddings as decode_embedding

__all__ = ["decode_embedding", "encode_embedding", "most_texts"]

_MOST_TEXTS: Final = 512
_TASKS: Final[dict[Purpose, str]] = {
    "query": "retrieval.query",
    "document": "retrieval.passage",
    "similarity": "text-matching",
    "classification": "classification",
    "clustering": "separation",
}

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
        "task": in_words(wish.input_type, _TASKS),
        "dimensions": wish.dimensions,
        **wish.own("late_chunking", "normalized", "truncate"),
    }
    body = {name: value for name, value in said.items() if value is not None}
    return EncodedRequest(target.paths["embeddings"], target.headers, _encode(body))
