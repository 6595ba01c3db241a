"""Rows of tools that are no functions of the client's: custom ones, hosted ones, those of old."""

from typing import Final

from tests.features.asking import CHAT_TOOL
from tests.features.outcomes import DROPPED, REFUSED, Said
from tests.features.rows import Wish

_PATCH: Final = {"type": "custom", "name": "apply_patch", "description": "Edits files."}
_FREE_TEXT: Final = {"properties": {"input": {"type": "string"}}}
_SEARCH: Final = {"type": "web_search_20250305", "name": "web_search"}

OTHER_TOOLS: Final = (
    Wish(
        "custom-tools",
        "Custom tools, which take free text",
        said={"responses": {"tools": [_PATCH]}},
        found={
            "openai": Said(
                {"tools": [{"function": {"name": "apply_patch", "parameters": _FREE_TEXT}}]}
            ),
            "anthropic": Said({"tools": [{"name": "apply_patch", "input_schema": _FREE_TEXT}]}),
            "gemini": Said(
                {
                    "tools": [
                        {
                            "functionDeclarations": [
                                {"name": "apply_patch", "parametersJsonSchema": _FREE_TEXT}
                            ]
                        }
                    ]
                }
            ),
            "bedrock": Said(
                {
                    "toolConfig": {
                        "tools": [
                            {
                                "toolSpec": {
                                    "name": "apply_patch",
                                    "inputSchema": {"json": _FREE_TEXT},
                                }
                            }
                        ]
                    }
                }
            ),
            "cohere": Said(
                {"tools": [{"function": {"name": "apply_patch", "parameters": _FREE_TEXT}}]}
            ),
        },
    ),
    Wish(
        "hosted-search",
        "Search that runs at the provider",
        said={
            "chat": {"web_search_options": {"search_context_size": "low"}},
            "responses": {"tools": [{"type": "web_search"}]},
            "messages": {"tools": [_SEARCH]},
        },
        found={
            "openai": REFUSED,
            "chat/openai": Said({"web_search_options": {"search_context_size": "low"}}),
            "responses/openai": DROPPED,
            "anthropic": REFUSED,
            "responses/anthropic": DROPPED,
            "messages/anthropic": Said({"tools": [_SEARCH]}),
            "gemini": REFUSED,
            "responses/gemini": DROPPED,
            "bedrock": REFUSED,
            "responses/bedrock": DROPPED,
            "cohere": REFUSED,
            "responses/cohere": DROPPED,
        },
    ),
    Wish(
        "hosted-code",
        "Code that runs at the provider",
        said={
            "responses": {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
            "messages": {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]},
        },
        found={
            "openai": REFUSED,
            "anthropic": REFUSED,
            "messages/anthropic": Said({"tools": [{"name": "code_execution"}]}),
            "gemini": REFUSED,
            "bedrock": REFUSED,
            "cohere": REFUSED,
        },
    ),
    Wish(
        "legacy-functions",
        "Functions as they were before there were tools",
        said={"chat": {"functions": [CHAT_TOOL["function"]]}},
        found={
            "openai": Said({"functions": [{"name": "get_weather"}]}),
            "anthropic": REFUSED,
            "gemini": REFUSED,
            "bedrock": REFUSED,
            "cohere": REFUSED,
        },
    ),
)
