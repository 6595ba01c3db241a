"""Embeddings in the middle: texts go out, one vector for each comes back.

They are an endpoint of OpenAI's face alone, so there is no conversation and no stream, and an upstream needs
three verbs for them. A module of three functions is one.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from adapters.dialect import EncodedRequest, Target, Usage


class EmbeddingWish(msgspec.Struct, frozen=True, kw_only=True):
    """How the vectors are wanted: of how many numbers, and for what (see `adapters.middle.purpose`).

    `extra`: the client's other fields in their own JSON, of which a dialect takes those that are its own.
    """

    dimensions: int | None = None
    input_type: str | None = None
    extra: Mapping[str, msgspec.Raw] = {}

    def own(self, *names: str) -> dict[str, object]:
        """Return those of the client's other fields that a dialect knows by these names."""
        return {name: self.extra[name] for name in names if name in self.extra}


ANY: EmbeddingWish = EmbeddingWish()


class Embeddings(msgspec.Struct, frozen=True):
    """One vector a text, in their order, and what it took where the provider told it."""

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage | None


class EmbeddingUpstream(Protocol):
    """What an upstream that makes embeddings can do. `Target.paths` has its request target."""

    def most_texts(self, target: Target) -> int | None:
        """Return how many texts one request may have, `None` where there is no limit to mind."""

    def encode_embedding(
        self, texts: Sequence[str], target: Target, wish: EmbeddingWish = ANY
    ) -> EncodedRequest:
        """Write the request for the vectors of these texts."""

    def decode_embedding(self, body: bytes, *, expected: int) -> Embeddings:
        """Read the vectors of `expected` texts. Raises `BadAnswer` for any other number, and for errors."""
