"""Embeddings in the middle: texts go out, one vector for each comes back.

They are an endpoint of OpenAI's face alone, so there is no conversation and no stream, and an upstream needs
two verbs for them. A module of two functions is one.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from adapters.dialect import EncodedRequest, Target, Usage


class Embeddings(msgspec.Struct, frozen=True):
    """One vector a text, in their order, and what it took where the provider told it."""

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage | None


class EmbeddingUpstream(Protocol):
    """What an upstream that makes embeddings can do. `Target.paths` has its request target."""

    def encode_embedding(
        self, texts: Sequence[str], target: Target, *, dimensions: int | None = None
    ) -> EncodedRequest:
        """Write the request for the vectors of these texts, of `dimensions` numbers if told."""

    def decode_embedding(self, body: bytes, *, expected: int) -> Embeddings:
        """Read the vectors of `expected` texts. Raises `BadAnswer` for any other number, and for errors."""
