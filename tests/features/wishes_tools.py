"""Rows of the tools that clients give a model, what it must do with them, and what they returned."""

from collections.abc import Mapping
from typing import Any, Final

from adapters.dialect import FaceName
from tests.features.asking import (
    BASE64_PNG,
    CALL_ID,
    CHAT_IMAGE,
    CHAT_TOOL,
    CITY,
    MESSAGES_TOOL,
    RESPONSES_IMAGE,
    RESPONSES_TOOL,
    TOOLS,
    Fields,
    asked,
    image_block,
    openai_says,
)
from tests.features.outcomes import ABSENT, DROPPED, REFUSED, Said
from tests.features.rows import Wish
from tests.simulated.dialect_world import PNG

ARGUMENTS: Final = '{"city":"Rome"}'


def _history(face: FaceName, result: Any) -> Fields:
    """A question, a call, and what it returned, in the words of a face."""
    hello: Fields = {"role": "user", "content": "Hi"}
    if face == "chat":
        function = {"name": "get_weather", "arguments": ARGUMENTS}
        call = {"id": CALL_ID, "type": "function", "function": function}
        return {
            "messages": [
                hello,
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": CALL_ID, "content": result},
            ]
        }
    if face == "responses":
        called = {"call_id": CALL_ID, "name": "get_weather", "arguments": ARGUMENTS}
        returned = {"type": "function_call_output", "call_id": CALL_ID, "output": result}
        return {"input": [hello, {"type": "function_call", **called}, returned]}
    use = {"type": "tool_use", "id": CALL_ID, "name": "get_weather", "input": {"city": "Rome"}}
    returned = {"type": "tool_result", "tool_use_id": CALL_ID, "content": result}
    return {"messages": [hello, {"role": "assistant", "content": [use]}, *asked(returned)]}


_OPENAI_HISTORY: Final = Said(
    {
        "messages": [
            {
                "role": "assistant",
                "tool_calls": [{"id": CALL_ID, "function": {"name": "get_weather"}}],
            },
            {"role": "tool", "tool_call_id": CALL_ID, "content": "sunny"},
        ]
    }
)


def _anthropic_result(*content: Fields) -> Said:
    use = {"type": "tool_use", "id": CALL_ID, "name": "get_weather", "input": {"city": "Rome"}}
    result = {"type": "tool_result", "tool_use_id": CALL_ID, "content": list(content)}
    return Said({"messages": [{"role": "assistant", "content": [use]}, *asked(result)]})


def _gemini_result(response: Fields) -> Said:
    call = {"functionCall": {"name": "get_weather", "args": {"city": "Rome"}}}
    returned = {"functionResponse": {"name": "get_weather", **response}}
    return Said(
        {
            "contents": [
                {"role": "model", "parts": [call]},
                {"role": "user", "parts": [returned]},
            ]
        }
    )


def _bedrock_result(*content: Fields) -> Said:
    use = {"toolUse": {"toolUseId": CALL_ID, "name": "get_weather", "input": {"city": "Rome"}}}
    result = {"toolResult": {"toolUseId": CALL_ID, "content": list(content)}}
    return Said({"messages": [{"role": "assistant", "content": [use]}, *asked(result)]})


def _calling(mode: str, **fields: Any) -> Said:
    return Said({"toolConfig": {"functionCallingConfig": {"mode": mode, **fields}}})


def _chosen(chat: Any, responses: Any, messages: Any) -> Mapping[FaceName, Fields]:
    return {
        "chat": {"tool_choice": chat},
        "responses": {"tool_choice": responses},
        "messages": {"tool_choice": messages},
    }


TOOL_USE: Final = (
    Wish(
        "tools",
        "Tools",
        said=TOOLS,
        found={
            "openai": Said({"tools": [CHAT_TOOL]}),
            "anthropic": Said({"tools": [MESSAGES_TOOL]}),
            "gemini": Said(
                {
                    "tools": [
                        {
                            "functionDeclarations": [
                                {
                                    "name": "get_weather",
                                    "description": "Weather.",
                                    "parametersJsonSchema": {"properties": CITY["properties"]},
                                }
                            ]
                        }
                    ]
                }
            ),
            "bedrock": Said(
                {
                    "toolConfig": {
                        "tools": [
                            {"toolSpec": {"name": "get_weather", "inputSchema": {"json": CITY}}}
                        ]
                    }
                }
            ),
            "cohere": Said({"tools": [CHAT_TOOL]}),
        },
    ),
    Wish(
        "tool-results",
        "Calls and their results in the history",
        beside=TOOLS,
        said={
            "chat": _history("chat", "sunny"),
            "responses": _history("responses", "sunny"),
            "messages": _history("messages", [{"type": "text", "text": "sunny"}]),
        },
        found={
            "openai": _OPENAI_HISTORY,
            "anthropic": _anthropic_result({"type": "text", "text": "sunny"}),
            "gemini": _gemini_result({"response": {"output": "sunny"}}),
            "bedrock": _bedrock_result({"text": "sunny"}),
            "cohere": _OPENAI_HISTORY,
        },
    ),
    Wish(
        "image-results",
        "Images among the results of tools",
        beside=TOOLS,
        said={
            "chat": _history("chat", [CHAT_IMAGE]),
            "responses": _history("responses", [RESPONSES_IMAGE]),
            "messages": _history("messages", [image_block(BASE64_PNG)]),
        },
        found={
            "deepseek": REFUSED,
            # The book has no image in a tool's message: it follows in the user's own.
            "openai": openai_says(CHAT_IMAGE),
            "chat/openai": Said({"messages": [{"role": "tool", "content": [CHAT_IMAGE]}]}),
            "anthropic": _anthropic_result(image_block(BASE64_PNG)),
            "gemini": _gemini_result({"parts": [{"inlineData": {"data": PNG}}]}),
            "bedrock": _bedrock_result({"image": {"format": "png"}}),
            "cohere": REFUSED,
        },
    ),
    Wish(
        "tool-choice-required",
        "A call is demanded",
        beside=TOOLS,
        said=_chosen("required", "required", {"type": "any"}),
        found={
            "openai": Said({"tool_choice": "required"}),
            "anthropic": Said({"tool_choice": {"type": "any"}}),
            "gemini": _calling("ANY"),
            "bedrock": Said({"toolConfig": {"toolChoice": {"any": {}}}}),
            "cohere": Said({"tool_choice": "REQUIRED"}),
        },
    ),
    Wish(
        "tool-choice-named",
        "A call of one tool is demanded",
        beside=TOOLS,
        said=_chosen(
            {"type": "function", "function": {"name": "get_weather"}},
            {"type": "function", "name": "get_weather"},
            {"type": "tool", "name": "get_weather"},
        ),
        found={
            "openai": Said(
                {"tool_choice": {"type": "function", "function": {"name": "get_weather"}}}
            ),
            "anthropic": Said({"tool_choice": {"type": "tool", "name": "get_weather"}}),
            "gemini": _calling("ANY", allowedFunctionNames=["get_weather"]),
            "bedrock": Said({"toolConfig": {"toolChoice": {"tool": {"name": "get_weather"}}}}),
            "cohere": Said({"tool_choice": "REQUIRED"}),
        },
    ),
    Wish(
        "tool-choice-none",
        "No call is allowed",
        beside=TOOLS,
        said=_chosen("none", "none", {"type": "none"}),
        found={
            "openai": Said({"tool_choice": "none"}),
            "anthropic": Said({"tool_choice": {"type": "none"}}),
            "gemini": _calling("NONE"),
            "bedrock": Said({"toolConfig": ABSENT}),
            "cohere": Said({"tool_choice": "NONE"}),
        },
    ),
    Wish(
        "one-call-at-a-time",
        "One call at a time",
        beside={
            "chat": TOOLS["chat"],
            "responses": TOOLS["responses"],
            "messages": {**TOOLS["messages"], "tool_choice": {"type": "auto"}},
        },
        said={
            "chat": {"parallel_tool_calls": False},
            "responses": {"parallel_tool_calls": False},
            "messages": {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        },
        found={
            "openai": Said({"parallel_tool_calls": False}),
            "anthropic": Said({"tool_choice": {"disable_parallel_tool_use": True}}),
            "gemini": DROPPED,
            "bedrock": Said(
                {
                    "additionalModelRequestFields": {
                        "tool_choice": {"disable_parallel_tool_use": True}
                    }
                }
            ),
            "cohere": DROPPED,
        },
    ),
    Wish(
        "strict-tools",
        "Arguments that keep strictly to the schema",
        beside={
            "chat": TOOLS["chat"],
            "responses": TOOLS["responses"],
            "messages": TOOLS["messages"],
        },
        said={
            "chat": {
                "tools": [
                    {"type": "function", "function": {**CHAT_TOOL["function"], "strict": True}}
                ]
            },
            "responses": {"tools": [{**RESPONSES_TOOL, "strict": True}]},
            "messages": {"tools": [{**MESSAGES_TOOL, "strict": True}]},
        },
        found={
            "openai": Said({"tools": [{"function": {"strict": True}}]}),
            "anthropic": DROPPED,
            "messages/anthropic": Said({"tools": [{"strict": True}]}),
            "gemini": DROPPED,
            "bedrock": DROPPED,
            "cohere": Said({"strict_tools": True}),
        },
    ),
)
