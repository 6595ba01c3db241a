"""Ranking in the middle: a question and texts go out, and how well each text answers it comes back.

It is an endpoint of its own, in the form of Cohere's, which Jina's and Voyage's resemble; an upstream needs
two verbs for it, and a module of two functions is one.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from adapters.dialect import BadAnswer, EncodedRequest, Failure, FailureKind, Target, Usage


class RankingWish(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be ranked: `documents` by their relevance to `query`, the best `most` of them, or all.

    `extra`: the client's other fields in their own JSON, of which a dialect takes those that are its own.
    """

    query: str
    documents: tuple[str, ...]
    most: int | None = None
    extra: Mapping[str, msgspec.Raw] = {}

    def own(self, *names: str) -> dict[str, object]:
        """Return those of the client's other fields that a dialect knows by these names."""
        return {name: self.extra[name] for name in names if name in self.extra}


class Ranked(msgspec.Struct, frozen=True):
    """One document, by its place among those that were sent, and its score; more is better."""

    index: int
    relevance_score: float


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """The ranked documents, and what it took where the provider told it: tokens, or searches."""

    results: tuple[Ranked, ...]
    usage: Usage | None = None
    searches: int | None = None


class RerankUpstream(Protocol):
    """What an upstream that ranks texts can do. `Target.paths` has its request target."""

    def encode_rerank(self, wish: RankingWish, target: Target) -> EncodedRequest:
        """Write the request for a ranking."""

    def decode_rerank(self, body: bytes, *, documents: int) -> Ranking:
        """Read a ranking of so many documents. Raises `BadAnswer` for what is none, and for errors."""


def best_first(results: Sequence[Ranked], *, documents: int) -> tuple[Ranked, ...]:
    """Return the results, the best first. Raises `BadAnswer` where one is of no document, or of one twice."""
    places = [result.index for result in results]
    known = all(0 <= place < documents for place in places) and len(set(places)) == len(places)
    if not known or not all(math.isfinite(result.relevance_score) for result in results):
        raise unreadable("it ranks what was not sent")
    return tuple(sorted(results, key=lambda result: -result.relevance_score))


def unreadable(why: object) -> BadAnswer:
    """Return the exception for what is no ranking."""
    message = f"The provider's answer cannot be read: {why}."
    return BadAnswer(Failure(kind=FailureKind.INVALID, status=200, message=message))
