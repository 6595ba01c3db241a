"""Rows of the form that an answer must have, and of how much the model is to think before it."""

from collections.abc import Mapping
from typing import Final

from adapters.dialect import FaceName
from tests.features.asking import (
    CITY,
    TOOLS,
    Fields,
)
from tests.features.outcomes import DROPPED, Said, Within
from tests.features.rows import Wish

_CHAT_FORMAT: Final = {
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "place", "schema": CITY, "strict": True},
    }
}
_FORMATS: Final[Mapping[FaceName, Fields]] = {
    "chat": _CHAT_FORMAT,
    "responses": {
        "text": {"format": {"type": "json_schema", "name": "place", "schema": CITY, "strict": True}}
    },
    "messages": {"output_config": {"format": {"type": "json_schema", "schema": CITY}}},
}
_GEMINI_FORMAT: Final = Said(
    {
        "generationConfig": {
            "responseMimeType": "application/json",
            "responseJsonSchema": {"properties": CITY["properties"]},
        }
    }
)
_OPENAI_FORMAT: Final = Said(
    {"response_format": {"type": "json_schema", "json_schema": {"schema": CITY, "strict": True}}}
)
_ANTHROPIC_FORMAT: Final = Said(
    {"output_config": {"format": {"type": "json_schema", "schema": CITY}}}
)
# The schema in words, and any JSON object demanded.
_DESCRIBED: Final = Said(
    {
        "response_format": {"type": "json_object"},
        "messages": [{"role": "system", "content": Within("JSON schema")}],
    }
)
_GIVE_ANSWER: Final = {"toolSpec": {"name": "give_answer", "inputSchema": {"json": CITY}}}

FORM: Final = (
    Wish(
        "json-schema",
        "Structured output (`json_schema`)",
        said=_FORMATS,
        found={
            "deepseek": _DESCRIBED,
            "openai": _OPENAI_FORMAT,
            "anthropic": _ANTHROPIC_FORMAT,
            "gemini": _GEMINI_FORMAT,
            "bedrock": Said(
                {
                    "toolConfig": {
                        "tools": [_GIVE_ANSWER],
                        "toolChoice": {"tool": {"name": "give_answer"}},
                    }
                }
            ),
            "cohere": Said({"response_format": {"type": "json_object", "json_schema": CITY}}),
        },
    ),
    Wish(
        "json-schema-with-tools",
        "Structured output beside tools",
        beside=TOOLS,
        said=_FORMATS,
        found={
            "deepseek": _DESCRIBED,
            "openai": _OPENAI_FORMAT,
            "anthropic": _ANTHROPIC_FORMAT,
            "gemini": _GEMINI_FORMAT,
            "bedrock": Said({"toolConfig": {"tools": [_GIVE_ANSWER], "toolChoice": {"any": {}}}}),
            "cohere": Said(
                {"tool_choice": "REQUIRED", "tools": [{"function": {"name": "give_answer"}}]}
            ),
        },
    ),
    Wish(
        "json-object",
        "Any JSON object",
        said={
            "chat": {"response_format": {"type": "json_object"}},
            "responses": {"text": {"format": {"type": "json_object"}}},
        },
        found={
            "openai": Said({"response_format": {"type": "json_object"}}),
            "anthropic": Said({"system": [{"type": "text", "text": Within("JSON object")}]}),
            "gemini": Said({"generationConfig": {"responseMimeType": "application/json"}}),
            "bedrock": Said({"system": [{"text": Within("JSON object")}]}),
            "cohere": Said({"response_format": {"type": "json_object"}}),
        },
    ),
    Wish(
        "effort",
        "How hard to think, in words",
        said={
            "chat": {"reasoning_effort": "low"},
            "responses": {"reasoning": {"effort": "low"}},
            "messages": {"output_config": {"effort": "low"}},
        },
        found={
            "openai": Said({"reasoning_effort": "low"}),
            "anthropic": Said({"thinking": {"type": "enabled", "budget_tokens": 2048}}),
            "messages/anthropic": Said({"output_config": {"effort": "low"}}),
            "gemini": Said({"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}}),
            "bedrock": Said(
                {
                    "additionalModelRequestFields": {
                        "thinking": {"type": "enabled", "budget_tokens": 2048}
                    }
                }
            ),
            "cohere": Said({"thinking": {"type": "enabled"}}),
        },
    ),
    Wish(
        "thinking-budget",
        "How much to think, in tokens",
        said={
            "chat": {"thinking": {"type": "enabled", "budget_tokens": 1500}},
            "messages": {"thinking": {"type": "enabled", "budget_tokens": 1500}},
        },
        found={
            "openai": DROPPED,
            "chat/openai": Said({"thinking": {"type": "enabled", "budget_tokens": 1500}}),
            "anthropic": Said({"thinking": {"type": "enabled", "budget_tokens": 1500}}),
            "gemini": Said({"generationConfig": {"thinkingConfig": {"thinkingLevel": "MEDIUM"}}}),
            "bedrock": Said(
                {
                    "additionalModelRequestFields": {
                        "thinking": {"type": "enabled", "budget_tokens": 1500}
                    }
                }
            ),
            "cohere": Said({"thinking": {"type": "enabled", "token_budget": 1500}}),
        },
    ),
)
