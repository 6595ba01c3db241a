"""Rows of what clients ask for: the wish in the words of each face, and what every provider must be sent.

A row names the faces that have a word for it. What a provider finds is told by the form of its column, and
where a face differs, since its words pass through untouched or mean a little more, by both. An outcome is a
claim; `tests.features.rows` says how it is proved.
"""

from collections.abc import Mapping
from typing import Any, Final

from adapters.dialect import FaceName
from tests.features.outcomes import ABSENT, DROPPED, REFUSED, Outcome, Said, Within
from tests.features.rows import Wish
from tests.simulated.dialect_world import PNG

Fields = dict[str, Any]

_CITY: Final = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
_PDF: Final = "JVBERi0xLjQK"
_WAV: Final = "UklGRgAAAABXQVZF"
_IMAGE_URL: Final = "https://images.example/cat.png"
_PNG_URL: Final = f"data:image/png;base64,{PNG}"
_CALL_ID: Final = "callabc01"  # of nine letters and digits, which is what Mistral takes
_ARGUMENTS: Final = '{"city":"Rome"}'


def _asked(*content: Fields) -> list[Fields]:
    return [{"role": "user", "content": list(content)}]


def _everywhere(**fields: Any) -> Mapping[FaceName, Fields]:
    return {"chat": fields, "responses": fields, "messages": fields}


_CHAT_TOOL: Final[Fields] = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Weather.", "parameters": _CITY},
}
_RESPONSES_TOOL: Final[Fields] = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather.",
    "parameters": _CITY,
    "strict": False,
}
_MESSAGES_TOOL: Final[Fields] = {
    "name": "get_weather",
    "description": "Weather.",
    "input_schema": _CITY,
}
TOOLS: Final[Mapping[FaceName, Fields]] = {
    "chat": {"tools": [_CHAT_TOOL]},
    "responses": {"tools": [_RESPONSES_TOOL]},
    "messages": {"tools": [_MESSAGES_TOOL]},
}


def _history(face: FaceName, result: Any) -> Fields:
    """A question, a call, and what it returned, in the words of a face."""
    hello: Fields = {"role": "user", "content": "Hi"}
    if face == "chat":
        function = {"name": "get_weather", "arguments": _ARGUMENTS}
        call = {"id": _CALL_ID, "type": "function", "function": function}
        return {
            "messages": [
                hello,
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": _CALL_ID, "content": result},
            ]
        }
    if face == "responses":
        called = {"call_id": _CALL_ID, "name": "get_weather", "arguments": _ARGUMENTS}
        returned = {"type": "function_call_output", "call_id": _CALL_ID, "output": result}
        return {"input": [hello, {"type": "function_call", **called}, returned]}
    use = {"type": "tool_use", "id": _CALL_ID, "name": "get_weather", "input": {"city": "Rome"}}
    returned = {"type": "tool_result", "tool_use_id": _CALL_ID, "content": result}
    return {"messages": [hello, {"role": "assistant", "content": [use]}, *_asked(returned)]}


def _image_block(source: Fields) -> Fields:
    return {"type": "image", "source": source}


_BASE64_PNG: Final = {"type": "base64", "media_type": "image/png", "data": PNG}
_CHAT_IMAGE: Final = {"type": "image_url", "image_url": {"url": _PNG_URL}}
_RESPONSES_IMAGE: Final = {"type": "input_image", "detail": "auto", "image_url": _PNG_URL}


def _openai_says(*content: Fields) -> Said:
    return Said({"messages": _asked(*content)})


def _gemini_says(*parts: Fields) -> Said:
    return Said({"contents": [{"role": "user", "parts": list(parts)}]})


_SYSTEM: Final[dict[str, Outcome]] = {
    "openai": Said({"messages": [{"role": "system", "content": "Be brief."}]}),
    "anthropic": Said({"system": [{"type": "text", "text": "Be brief."}]}),
    "gemini": Said({"systemInstruction": {"parts": [{"text": "Be brief."}]}}),
    "bedrock": Said({"system": [{"text": "Be brief."}]}),
    "cohere": Said({"messages": [{"role": "system", "content": "Be brief."}]}),
}

CONTENT: Final = (
    Wish(
        "system",
        "System's instructions",
        said={
            "chat": {
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "Hi"},
                ]
            },
            "responses": {"instructions": "Be brief."},
            "messages": {"system": [{"type": "text", "text": "Be brief."}]},
        },
        found=_SYSTEM,
    ),
    Wish(
        "developer",
        "Role `developer`",
        said={
            "chat": {
                "messages": [
                    {"role": "developer", "content": "Be brief."},
                    {"role": "user", "content": "Hi"},
                ]
            },
            "responses": {
                "input": [
                    {"role": "developer", "content": "Be brief."},
                    {"role": "user", "content": "Hi"},
                ]
            },
        },
        found={
            **_SYSTEM,
            "chat/openai": Said({"messages": [{"role": "developer", "content": "Be brief."}]}),
        },
    ),
    Wish(
        "image-data",
        "Vision: images by their bytes",
        said={
            "chat": {"messages": _asked(_CHAT_IMAGE)},
            "responses": {"input": _asked(_RESPONSES_IMAGE)},
            "messages": {"messages": _asked(_image_block(_BASE64_PNG))},
        },
        found={
            "openai": _openai_says(_CHAT_IMAGE),
            "anthropic": Said({"messages": _asked(_image_block(_BASE64_PNG))}),
            "gemini": _gemini_says({"inlineData": {"mimeType": "image/png", "data": PNG}}),
            "bedrock": Said(
                {"messages": _asked({"image": {"format": "png", "source": {"bytes": PNG}}})}
            ),
            "cohere": _openai_says(_CHAT_IMAGE),
        },
    ),
    Wish(
        "image-url",
        "Vision: images by address",
        said={
            "chat": {"messages": _asked({"type": "image_url", "image_url": {"url": _IMAGE_URL}})},
            "responses": {
                "input": _asked({"type": "input_image", "detail": "auto", "image_url": _IMAGE_URL})
            },
            "messages": {"messages": _asked(_image_block({"type": "url", "url": _IMAGE_URL}))},
        },
        found={
            "openai": _openai_says({"type": "image_url", "image_url": {"url": _IMAGE_URL}}),
            "anthropic": Said(
                {"messages": _asked(_image_block({"type": "url", "url": _IMAGE_URL}))}
            ),
            "gemini": _gemini_says({"fileData": {"mimeType": "image/png", "fileUri": _IMAGE_URL}}),
            "bedrock": REFUSED,
            "cohere": _openai_says({"type": "image_url", "image_url": {"url": _IMAGE_URL}}),
        },
    ),
    Wish(
        "file",
        "Files (PDF)",
        said={
            "chat": {
                "messages": _asked(
                    {
                        "type": "file",
                        "file": {
                            "filename": "paper.pdf",
                            "file_data": f"data:application/pdf;base64,{_PDF}",
                        },
                    }
                )
            },
            "responses": {
                "input": _asked(
                    {
                        "type": "input_file",
                        "filename": "paper.pdf",
                        "file_data": f"data:application/pdf;base64,{_PDF}",
                    }
                )
            },
            "messages": {
                "messages": _asked(
                    {
                        "type": "document",
                        "title": "paper.pdf",
                        "source": {
                            "type": "base64",
                            "media_type": "application/pdf",
                            "data": _PDF,
                        },
                    }
                )
            },
        },
        found={
            "openai": _openai_says(
                {
                    "type": "file",
                    "file": {
                        "filename": "paper.pdf",
                        "file_data": f"data:application/pdf;base64,{_PDF}",
                    },
                }
            ),
            "anthropic": Said(
                {
                    "messages": _asked(
                        {
                            "type": "document",
                            "title": "paper.pdf",
                            "source": {"type": "base64", "data": _PDF},
                        }
                    )
                }
            ),
            "gemini": _gemini_says({"inlineData": {"mimeType": "application/pdf", "data": _PDF}}),
            "bedrock": Said(
                {
                    "messages": _asked(
                        {
                            "document": {
                                "format": "pdf",
                                "name": "paper",
                                "source": {"bytes": _PDF},
                            }
                        }
                    )
                }
            ),
            "cohere": REFUSED,
        },
    ),
    Wish(
        "audio",
        "Sound",
        said={
            "chat": {
                "messages": _asked(
                    {"type": "input_audio", "input_audio": {"data": _WAV, "format": "wav"}}
                )
            },
            "responses": {
                "input": _asked(
                    {"type": "input_audio", "input_audio": {"data": _WAV, "format": "wav"}}
                )
            },
        },
        found={
            "openai": _openai_says(
                {"type": "input_audio", "input_audio": {"data": _WAV, "format": "wav"}}
            ),
            "anthropic": REFUSED,
            "gemini": _gemini_says({"inlineData": {"mimeType": "audio/wav", "data": _WAV}}),
            "bedrock": Said(
                {"messages": _asked({"audio": {"format": "wav", "source": {"bytes": _WAV}}})}
            ),
            "cohere": REFUSED,
        },
    ),
    Wish(
        "cache-marks",
        "Marks for the cache",
        beside={
            "chat": {"messages": _asked({"type": "text", "text": "Hi"})},
            "messages": {"messages": _asked({"type": "text", "text": "Hi"})},
        },
        said={
            face: {
                "messages": _asked(
                    {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}
                )
            }
            for face in ("chat", "messages")
        },
        found={
            "openai": DROPPED,
            "chat/openai": _openai_says({"cache_control": {"type": "ephemeral"}}),
            "anthropic": Said({"messages": _asked({"cache_control": {"type": "ephemeral"}})}),
            "gemini": DROPPED,
            "bedrock": Said({"messages": _asked({"cachePoint": {"type": "default"}})}),
            "cohere": DROPPED,
        },
    ),
)

_OPENAI_HISTORY: Final = Said(
    {
        "messages": [
            {
                "role": "assistant",
                "tool_calls": [{"id": _CALL_ID, "function": {"name": "get_weather"}}],
            },
            {"role": "tool", "tool_call_id": _CALL_ID, "content": "sunny"},
        ]
    }
)


def _anthropic_result(*content: Fields) -> Said:
    use = {"type": "tool_use", "id": _CALL_ID, "name": "get_weather", "input": {"city": "Rome"}}
    result = {"type": "tool_result", "tool_use_id": _CALL_ID, "content": list(content)}
    return Said({"messages": [{"role": "assistant", "content": [use]}, *_asked(result)]})


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
    use = {"toolUse": {"toolUseId": _CALL_ID, "name": "get_weather", "input": {"city": "Rome"}}}
    result = {"toolResult": {"toolUseId": _CALL_ID, "content": list(content)}}
    return Said({"messages": [{"role": "assistant", "content": [use]}, *_asked(result)]})


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
            "openai": Said({"tools": [_CHAT_TOOL]}),
            "anthropic": Said({"tools": [_MESSAGES_TOOL]}),
            "gemini": Said(
                {
                    "tools": [
                        {
                            "functionDeclarations": [
                                {
                                    "name": "get_weather",
                                    "description": "Weather.",
                                    "parametersJsonSchema": {"properties": _CITY["properties"]},
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
                            {"toolSpec": {"name": "get_weather", "inputSchema": {"json": _CITY}}}
                        ]
                    }
                }
            ),
            "cohere": Said({"tools": [_CHAT_TOOL]}),
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
            "chat": _history("chat", [_CHAT_IMAGE]),
            "responses": _history("responses", [_RESPONSES_IMAGE]),
            "messages": _history("messages", [_image_block(_BASE64_PNG)]),
        },
        found={
            # The book has no image in a tool's message: it follows in the user's own.
            "openai": _openai_says(_CHAT_IMAGE),
            "chat/openai": Said({"messages": [{"role": "tool", "content": [_CHAT_IMAGE]}]}),
            "anthropic": _anthropic_result(_image_block(_BASE64_PNG)),
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
                    {"type": "function", "function": {**_CHAT_TOOL["function"], "strict": True}}
                ]
            },
            "responses": {"tools": [{**_RESPONSES_TOOL, "strict": True}]},
            "messages": {"tools": [{**_MESSAGES_TOOL, "strict": True}]},
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

_CHAT_FORMAT: Final = {
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "place", "schema": _CITY, "strict": True},
    }
}
_FORMATS: Final[Mapping[FaceName, Fields]] = {
    "chat": _CHAT_FORMAT,
    "responses": {
        "text": {
            "format": {"type": "json_schema", "name": "place", "schema": _CITY, "strict": True}
        }
    },
    "messages": {"output_config": {"format": {"type": "json_schema", "schema": _CITY}}},
}
_GEMINI_FORMAT: Final = Said(
    {
        "generationConfig": {
            "responseMimeType": "application/json",
            "responseJsonSchema": {"properties": _CITY["properties"]},
        }
    }
)
_OPENAI_FORMAT: Final = Said(
    {"response_format": {"type": "json_schema", "json_schema": {"schema": _CITY, "strict": True}}}
)
_ANTHROPIC_FORMAT: Final = Said(
    {"output_config": {"format": {"type": "json_schema", "schema": _CITY}}}
)
_GIVE_ANSWER: Final = {"toolSpec": {"name": "give_answer", "inputSchema": {"json": _CITY}}}

FORM: Final = (
    Wish(
        "json-schema",
        "Structured output (`json_schema`)",
        said=_FORMATS,
        found={
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
            "cohere": Said({"response_format": {"type": "json_object", "json_schema": _CITY}}),
        },
    ),
    Wish(
        "json-schema-with-tools",
        "Structured output beside tools",
        beside=TOOLS,
        said=_FORMATS,
        found={
            "openai": _OPENAI_FORMAT,
            "anthropic": _ANTHROPIC_FORMAT,
            "gemini": _GEMINI_FORMAT,
            "bedrock": Said({"toolConfig": {"tools": [_GIVE_ANSWER], "toolChoice": {"any": {}}}}),
            "cohere": REFUSED,
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


def _config(**fields: Any) -> Said:
    return Said({"generationConfig": fields})


def _inference(**fields: Any) -> Said:
    return Said({"inferenceConfig": fields})


SAMPLING: Final = (
    Wish(
        "most-tokens",
        "Cap on the answer's tokens",
        said={
            "chat": {"max_completion_tokens": 300},
            "responses": {"max_output_tokens": 300},
            "messages": {"max_tokens": 300},
        },
        found={
            "openai": Said({"max_tokens": 300}),
            "responses/openai/openai": Said({"max_completion_tokens": 300}),
            "messages/openai/openai": Said({"max_completion_tokens": 300}),
            "chat/openai": Said({"max_completion_tokens": 300}),
            "anthropic": Said({"max_tokens": 300}),
            "gemini": _config(maxOutputTokens=300),
            "bedrock": _inference(maxTokens=300),
            "cohere": Said({"max_tokens": 300}),
        },
    ),
    Wish(
        "temperature",
        "Temperature",
        said=_everywhere(temperature=0.5),
        found={
            "openai": Said({"temperature": 0.5}),
            "anthropic": Said({"temperature": 0.5}),
            "gemini": _config(temperature=0.5),
            "bedrock": _inference(temperature=0.5),
            "cohere": Said({"temperature": 0.5}),
        },
    ),
    Wish(
        "top-p",
        "`top_p`",
        said=_everywhere(top_p=0.9),
        found={
            "openai": Said({"top_p": 0.9}),
            "anthropic": Said({"top_p": 0.9}),
            "gemini": _config(topP=0.9),
            "bedrock": _inference(topP=0.9),
            "cohere": Said({"p": 0.9}),
        },
    ),
    Wish(
        "top-k",
        "`top_k`",
        said={"chat": {"top_k": 40}, "messages": {"top_k": 40}},
        found={
            "openai": DROPPED,
            "chat/openai": Said({"top_k": 40}),
            "anthropic": Said({"top_k": 40}),
            "gemini": _config(topK=40),
            "bedrock": Said({"additionalModelRequestFields": {"top_k": 40}}),
            "cohere": Said({"k": 40}),
        },
    ),
    Wish(
        "stop",
        "Texts to stop at",
        said={"chat": {"stop": ["END"]}, "messages": {"stop_sequences": ["END"]}},
        found={
            "openai": Said({"stop": ["END"]}),
            "anthropic": Said({"stop_sequences": ["END"]}),
            "gemini": _config(stopSequences=["END"]),
            "bedrock": _inference(stopSequences=["END"]),
            "cohere": Said({"stop_sequences": ["END"]}),
        },
    ),
    Wish(
        "seed",
        "Seed",
        said={"chat": {"seed": 7}},
        found={
            "openai": Said({"seed": 7}),
            "anthropic": DROPPED,
            "gemini": _config(seed=7),
            "bedrock": DROPPED,
            "cohere": Said({"seed": 7}),
        },
    ),
    Wish(
        "penalties",
        "Penalties for repetition",
        said={"chat": {"frequency_penalty": 0.5, "presence_penalty": 0.5}},
        found={
            "openai": Said({"frequency_penalty": 0.5, "presence_penalty": 0.5}),
            "anthropic": DROPPED,
            "gemini": _config(frequencyPenalty=0.5, presencePenalty=0.5),
            "bedrock": DROPPED,
            "cohere": Said({"frequency_penalty": 0.5, "presence_penalty": 0.5}),
        },
    ),
    Wish(
        "choices",
        "Several choices (`n`)",
        said={"chat": {"n": 2}},
        found={
            "openai": Said({"n": 2}),
            "anthropic": REFUSED,
            "gemini": _config(candidateCount=2),
            "bedrock": REFUSED,
            "cohere": REFUSED,
        },
    ),
    Wish(
        "logprobs",
        "Log probabilities",
        said={
            "chat": {"logprobs": True, "top_logprobs": 2},
            "responses": {"top_logprobs": 2},
        },
        found={
            "openai": REFUSED,
            "chat/openai": Said({"logprobs": True, "top_logprobs": 2}),
            "anthropic": REFUSED,
            "gemini": REFUSED,
            "bedrock": REFUSED,
            "cohere": REFUSED,
        },
    ),
    Wish(
        "logit-bias",
        "`logit_bias`",
        said={"chat": {"logit_bias": {"50256": -100}}},
        found={
            "openai": Said({"logit_bias": {"50256": -100}}),
            "anthropic": DROPPED,
            "gemini": DROPPED,
            "bedrock": DROPPED,
            "cohere": DROPPED,
        },
    ),
    Wish(
        "verbosity",
        "`verbosity`",
        said={"chat": {"verbosity": "low"}, "responses": {"text": {"verbosity": "low"}}},
        found={
            "openai": Said({"verbosity": "low"}),
            "anthropic": DROPPED,
            "gemini": DROPPED,
            "bedrock": DROPPED,
            "cohere": DROPPED,
        },
    ),
    Wish(
        "end-user",
        "Name of the end user",
        said={
            "chat": {"user": "u-1"},
            "responses": {"user": "u-1"},
            "messages": {"metadata": {"user_id": "u-1"}},
        },
        found={
            "openai": Said({"user": "u-1"}),
            "anthropic": Said({"metadata": {"user_id": "u-1"}}),
            "gemini": DROPPED,
            "bedrock": DROPPED,
            "cohere": DROPPED,
        },
    ),
    Wish(
        "service-tier",
        "Service tier (`priority`; in Messages `standard_only`)",
        said={
            "chat": {"service_tier": "priority"},
            "responses": {"service_tier": "priority"},
            "messages": {"service_tier": "standard_only"},
        },
        found={
            "openai": Said({"service_tier": "priority"}),
            "messages/openai": Said({"service_tier": "default"}),
            "anthropic": Said({"service_tier": "auto"}),
            "messages/anthropic": Said({"service_tier": "standard_only"}),
            "gemini": Said({"serviceTier": "priority"}),
            "messages/gemini": DROPPED,
            "bedrock": Said({"serviceTier": {"type": "priority"}}),
            "messages/bedrock": DROPPED,
            "cohere": DROPPED,
        },
    ),
    Wish(
        "unknown-field",
        "Fields that the gateway does not know",
        said=_everywhere(x_brand_new={"a": [1]}),
        found={
            "openai": DROPPED,
            "chat/openai": Said({"x_brand_new": {"a": [1]}}),
            "anthropic": DROPPED,
            "messages/anthropic": Said({"x_brand_new": {"a": [1]}}),
            "gemini": DROPPED,
            "bedrock": DROPPED,
            "cohere": DROPPED,
        },
    ),
)
