"""The one place where a dialect's name becomes a dialect.

A client speaks through a face, a provider answers in a dialect. Where they are the same, the native dialect
passes bytes through; every other pair is a bridge by way of the middle (see `adapters.middle`).
"""

from collections.abc import Mapping
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
from adapters.dialect import Call, Dialect, FaceName
from adapters.embedding_bridge import EmbeddingBridge
from adapters.gemini import GeminiUpstream
from adapters.gemini import embedding as gemini_embedding
from adapters.middle.embeddings import EmbeddingUpstream
from adapters.middle.halves import Face, Upstream
from adapters.openai import OpenAIDialect
from adapters.openai.face import ChatFace
from adapters.openai.upstream import OpenAIUpstream
from adapters.responses.face import ResponsesFace
from adapters.responses.native import ResponsesDialect

_FACES: Final[Mapping[FaceName, Face]] = MappingProxyType(
    {"chat": ChatFace(), "messages": MessagesFace(), "responses": ResponsesFace()}
)
_UPSTREAMS: Final[Mapping[str, Upstream]] = MappingProxyType(
    {
        "anthropic": AnthropicUpstream(),
        "bedrock": BedrockUpstream(),
        "cohere": CohereUpstream(),
        "gemini": GeminiUpstream(),
        "openai": OpenAIUpstream(),
        "vertex": GeminiUpstream(),
    }
)
_EMBEDDINGS: Final[Mapping[str, EmbeddingUpstream]] = MappingProxyType(
    {"cohere": cohere_embedding, "gemini": gemini_embedding, "vertex": gemini_embedding}
)
# Whose models may go on with an answer that began elsewhere: Cohere has no word for that.
CONTINUING: Final = frozenset({"anthropic", "bedrock", "gemini", "openai", "vertex"})

_NATIVE: Final[Mapping[tuple[FaceName, str], Dialect]] = MappingProxyType(
    {("chat", "openai"): OpenAIDialect(), ("messages", "anthropic"): AnthropicDialect()}
)
_ALL: Final[Mapping[tuple[FaceName, str], Dialect]] = MappingProxyType(
    {
        (face, upstream): _NATIVE.get((face, upstream))
        or Bridge(_FACES[face], _UPSTREAMS[upstream], continues=upstream in CONTINUING)
        for face, upstream in product(_FACES, _UPSTREAMS)
    }
)
_RESPONSES: Final[Dialect] = ResponsesDialect()
# Native dialects whose decoders pass on whole streams only, and what they do with the rest of one.
_CONTINUATIONS: Final[Mapping[tuple[FaceName, str], Dialect]] = MappingProxyType(
    {("messages", "anthropic"): MessagesContinuation()}
)
_EMBEDDERS: Final[Mapping[str, Dialect]] = MappingProxyType(
    {
        upstream: EmbeddingBridge(embeddings, _UPSTREAMS[upstream])
        for upstream, embeddings in _EMBEDDINGS.items()
    }
)

# What a provider may be configured to speak.
DIALECTS: Final = frozenset(_UPSTREAMS)


def dialect_for(face: FaceName, upstream: str) -> Dialect:
    """Return the dialect for clients of a face at providers of a dialect, one of `DIALECTS`."""
    return _ALL[face, upstream]


def dialect_of_call(call: Call, upstream: str, *, has_responses: bool = False) -> Dialect:
    """Return the dialect for one call at a provider of a dialect, one of `DIALECTS`.

    `has_responses`: it speaks OpenAI's Responses besides.
    """
    if has_responses and call.face == "responses" and call.beginning is None:
        return _RESPONSES
    if call.endpoint == "embeddings" and upstream in _EMBEDDERS:
        return _EMBEDDERS[upstream]
    if call.beginning is not None and (call.face, upstream) in _CONTINUATIONS:
        return _CONTINUATIONS[call.face, upstream]
    return _ALL[call.face, upstream]
