"""The one place where a dialect's name becomes a dialect.

A client speaks through a face, a provider answers in a dialect. Where they are the same, the native dialect
passes bytes through; every other pair is a bridge by way of the middle (see `adapters.middle`).
"""

from collections.abc import Mapping, Sequence
from itertools import product
from types import MappingProxyType
from typing import Final

from adapters.anthropic import AnthropicDialect
from adapters.anthropic.continuation import MessagesContinuation
from adapters.anthropic.face import MessagesFace
from adapters.anthropic.upstream import AnthropicUpstream
from adapters.bedrock import BedrockUpstream
from adapters.bridge import Bridge
from adapters.cohere import CohereUpstream
from adapters.cohere import embedding as cohere_embedding
from adapters.cohere import rerank as cohere_rerank
from adapters.dialect import Call, Classify, Dialect, FaceName, Target
from adapters.embedding_bridge import EmbeddingBridge
from adapters.gemini import GeminiUpstream
from adapters.gemini import embedding as gemini_embedding
from adapters.jina import embedding as jina_embedding
from adapters.jina import rerank as jina_rerank
from adapters.middle.embeddings import EmbeddingUpstream
from adapters.middle.halves import Face, Upstream
from adapters.middle.rerank import RerankUpstream
from adapters.openai import OpenAIDialect
from adapters.openai.face import ChatFace
from adapters.openai.upstream import OpenAIUpstream
from adapters.openai.variants import DEEPSEEK, MISTRAL
from adapters.rerank_bridge import RerankBridge
from adapters.responses.face import ResponsesFace
from adapters.responses.native import ResponsesDialect
from adapters.unserved import Unserved
from adapters.voyage import embedding as voyage_embedding
from adapters.voyage import rerank as voyage_rerank

_FACES: Final[Mapping[FaceName, Face]] = MappingProxyType(
    {"chat": ChatFace(), "messages": MessagesFace(), "responses": ResponsesFace()}
)
_UPSTREAMS: Final[Mapping[str, Upstream]] = MappingProxyType(
    {
        "anthropic": AnthropicUpstream(),
        "bedrock": BedrockUpstream(),
        "cohere": CohereUpstream(),
        "deepseek": OpenAIUpstream(DEEPSEEK),
        "gemini": GeminiUpstream(),
        "mistral": OpenAIUpstream(MISTRAL),
        "openai": OpenAIUpstream(),
        "vertex": GeminiUpstream(),
    }
)
_EMBEDDINGS: Final[Mapping[str, EmbeddingUpstream]] = MappingProxyType(
    {
        "cohere": cohere_embedding,
        "gemini": gemini_embedding,
        "jina": jina_embedding,
        "vertex": gemini_embedding,
        "voyage": voyage_embedding,
    }
)
_RANKINGS: Final[Mapping[str, RerankUpstream]] = MappingProxyType(
    {
        "cohere": cohere_rerank,
        "jina": jina_rerank,
        "openai": jina_rerank,  # in OpenAI's book there is none, and who adds one takes Jina's form
        "voyage": voyage_rerank,
    }
)
# Whose models may go on with an answer that began elsewhere: Cohere has no word for that.
CONTINUING: Final = frozenset(
    {"anthropic", "bedrock", "deepseek", "gemini", "mistral", "openai", "vertex"}
)

_NATIVE: Final[Mapping[tuple[FaceName, str], Dialect]] = MappingProxyType(
    {
        ("chat", "deepseek"): OpenAIDialect(DEEPSEEK),
        ("chat", "mistral"): OpenAIDialect(MISTRAL),
        ("chat", "openai"): OpenAIDialect(),
        ("messages", "anthropic"): AnthropicDialect(),
    }
)
_ALL: Final[Mapping[tuple[FaceName, str], Dialect]] = MappingProxyType(
    {
        (face, upstream): _NATIVE.get((face, upstream))
        or Bridge(_FACES[face], _UPSTREAMS[upstream], continues=upstream in CONTINUING)
        for face, upstream in product(_FACES, _UPSTREAMS)
    }
)
_UNSERVED: Final = Unserved()


def _classify(upstream: str) -> Classify:
    chat: Dialect | Upstream = _UPSTREAMS.get(upstream, _UNSERVED)
    return chat.classify_error


_EMBEDDERS: Final[Mapping[str, EmbeddingBridge]] = MappingProxyType(
    {name: EmbeddingBridge(verbs, _classify(name)) for name, verbs in _EMBEDDINGS.items()}
)
_RANKERS: Final[Mapping[str, RerankBridge]] = MappingProxyType(
    {name: RerankBridge(verbs, _classify(name)) for name, verbs in _RANKINGS.items()}
)
_RESPONSES: Final[Dialect] = ResponsesDialect()
# Native dialects whose decoders pass on whole streams only, and what they do with the rest of one.
_CONTINUATIONS: Final[Mapping[tuple[FaceName, str], Dialect]] = MappingProxyType(
    {("messages", "anthropic"): MessagesContinuation()}
)

# What a provider may be configured to speak.
DIALECTS: Final = frozenset({*_UPSTREAMS, *_EMBEDDINGS, *_RANKINGS})


def dialect_for(face: FaceName, upstream: str) -> Dialect:
    """Return the dialect for clients of a face at providers of a dialect, one of `DIALECTS`."""
    return _ALL.get((face, upstream), _UNSERVED)


def dialect_of_call(call: Call, upstream: str, *, has_responses: bool = False) -> Dialect:
    """Return the dialect for one call at a provider of a dialect, one of `DIALECTS`.

    `has_responses`: it speaks OpenAI's Responses besides.
    """
    if call.endpoint == "rerank":
        return _RANKERS.get(upstream, _UNSERVED)
    if call.endpoint == "embeddings" and upstream in _EMBEDDERS:
        return _EMBEDDERS[upstream]
    if has_responses and call.face == "responses" and call.beginning is None:
        return _RESPONSES
    if call.beginning is not None and (call.face, upstream) in _CONTINUATIONS:
        return _CONTINUATIONS[call.face, upstream]
    return dialect_for(call.face, upstream)


def pieces_of(call: Call, upstream: str, target: Target) -> Sequence[Call]:
    """Return the calls in which a provider takes one: mostly itself. Raises `BadCall`."""
    if call.endpoint == "embeddings" and upstream in _EMBEDDERS:
        return _EMBEDDERS[upstream].pieces(call, target)
    return [call]
