"""What a dialect's own service looks like, so that an operator who names the dialect need not describe it.

Addresses, paths and the header of the key are those of each service's documentation (November 2026). A path
may hold `{model}` and `{method}`, which its dialect fills in for every request. Whatever the configuration
says itself holds instead.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec


class DialectPreset(msgspec.Struct, frozen=True, kw_only=True):
    """`base_url` is `None` where every customer has an address of his own.

    `lists_models`: it can be asked which models it has, with `list_query` for a list in one page, and with
    `list_headers` besides the key.
    """

    base_url: str | None = None
    key_header: str = "authorization"
    paths: tuple[tuple[str, str], ...] = ()
    lists_models: bool = False
    list_query: tuple[tuple[str, str], ...] = ()
    list_headers: tuple[tuple[bytes, bytes], ...] = ()


DIALECT_PRESETS: Final[Mapping[str, DialectPreset]] = MappingProxyType(
    {
        "openai": DialectPreset(lists_models=True),
        "anthropic": DialectPreset(
            base_url="https://api.anthropic.com/v1",
            key_header="x-api-key",
            paths=(("chat", "/messages"),),
            lists_models=True,
            list_query=(("limit", "1000"),),
            list_headers=((b"anthropic-version", b"2023-06-01"),),
        ),
        "gemini": DialectPreset(
            base_url="https://generativelanguage.googleapis.com/v1beta",
            key_header="x-goog-api-key",
            paths=(
                ("chat", "/models/{model}:{method}"),
                ("embeddings", "/models/{model}:batchEmbedContents"),
            ),
            lists_models=True,
            list_query=(("pageSize", "1000"),),
        ),
        "vertex": DialectPreset(
            paths=(
                ("chat", "/publishers/google/models/{model}:{method}"),
                ("embeddings", "/publishers/google/models/{model}:predict"),
            ),
        ),
        "cohere": DialectPreset(
            base_url="https://api.cohere.com",
            paths=(
                ("chat", "/v2/chat"),
                ("embeddings", "/v2/embed"),
                ("rerank", "/v2/rerank"),
                ("models", "/v1/models"),
            ),
            lists_models=True,
            list_query=(("page_size", "1000"),),
        ),
        "mistral": DialectPreset(base_url="https://api.mistral.ai/v1", lists_models=True),
        "deepseek": DialectPreset(base_url="https://api.deepseek.com/v1", lists_models=True),
        "voyage": DialectPreset(base_url="https://api.voyageai.com/v1"),
        "jina": DialectPreset(base_url="https://api.jina.ai/v1"),
        "bedrock": DialectPreset(paths=(("chat", "/model/{model}/{method}"),)),
    }
)
