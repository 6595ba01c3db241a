"""The one place where a dialect's name becomes a dialect.

A client speaks through a face, a provider answers in a dialect. Where they are the same, the native dialect
passes bytes through; every other pair is a bridge by way of the middle (see `adapters.middle`).
"""

from collections.abc import Mapping
from itertools import product
from types import MappingProxyType
from typing import Final

from adapters.anthropic import AnthropicDialect
from adapters.anthropic.face import MessagesFace
from adapters.anthropic.upstream import AnthropicUpstream
from adapters.bridge import Bridge
from adapters.dialect import Dialect, FaceName
from adapters.middle.halves import Face, Upstream
from adapters.openai import OpenAIDialect
from adapters.openai.face import ChatFace
from adapters.openai.upstream import OpenAIUpstream

_FACES: Final[Mapping[FaceName, Face]] = MappingProxyType(
    {"chat": ChatFace(), "messages": MessagesFace()}
)
_UPSTREAMS: Final[Mapping[str, Upstream]] = MappingProxyType(
    {"anthropic": AnthropicUpstream(), "openai": OpenAIUpstream()}
)
_NATIVE: Final[Mapping[tuple[FaceName, str], Dialect]] = MappingProxyType(
    {("chat", "openai"): OpenAIDialect(), ("messages", "anthropic"): AnthropicDialect()}
)
_ALL: Final[Mapping[tuple[FaceName, str], Dialect]] = MappingProxyType(
    {
        (face, upstream): _NATIVE.get((face, upstream))
        or Bridge(_FACES[face], _UPSTREAMS[upstream])
        for face, upstream in product(_FACES, _UPSTREAMS)
    }
)

# Whose streams are gone on with where another's broke: those that are not translated.
CONTINUING: Final = frozenset({"openai"})

# What a provider may be configured to speak.
DIALECTS: Final = frozenset(_UPSTREAMS)


def dialect_for(face: FaceName, upstream: str) -> Dialect:
    """Return the dialect for clients of a face at providers of a dialect, one of `DIALECTS`."""
    return _ALL[face, upstream]
