"""A conversation, written as a chat request for a provider that speaks OpenAI's dialect.

What OpenAI's chat has no words for is dropped where it only guides the model (`top_k`, a thinking budget:
models that do not reason refuse to be asked how much), and refused where the answer would be another.
"""

from typing import Final

import msgspec

from adapters.dialect import EncodedRequest, Target
from adapters.middle.conversation import Conversation, OutputFormat, Tool, ToolChoice
from adapters.openai.upstream_messages import Json, messages_of

_encode: Final = msgspec.json.encode

# Fields of other faces that mean the same here.
_SHARED_EXTRA: Final = (
    "logit_bias",
    "metadata",
    "prediction",
    "prompt_cache_key",
    "safety_identifier",
    "store",
    "verbosity",
)
_TIERS: Final = {"standard_only": "default"}
_HIGHEST: Final = {"max": "xhigh"}  # the others are called alike


def encode_request(conversation: Conversation, target: Target, *, stream: bool) -> EncodedRequest:
    """Write the request. Raises `BadCall` for what cannot be said."""
    messages = messages_of(conversation)
    if target.marks_prefill and messages and _is_prefill(messages[-1]):
        messages[-1]["prefix"] = True
    body: Json = {"model": target.upstream_model, "messages": messages}
    body |= _tools(conversation)
    body |= _wishes(conversation)
    if conversation.most_tokens is not None:
        body[target.cap_field] = conversation.most_tokens
    body |= {name: conversation.extra[name] for name in _SHARED_EXTRA if name in conversation.extra}
    if stream:
        body["stream"] = True
        if target.stream_usage:
            body["stream_options"] = {"include_usage": True}
    return EncodedRequest(target.paths["chat"], target.headers, _encode(body))


def _is_prefill(last: Json) -> bool:
    """Tell whether the last message is to be gone on with, as other dialects take the assistant's to be."""
    return last["role"] == "assistant" and "tool_calls" not in last


def _tools(conversation: Conversation) -> Json:
    if not conversation.tools:
        return {}
    body: Json = {"tools": [_tool(tool) for tool in conversation.tools]}
    if conversation.tool_choice is not None:
        body["tool_choice"] = _tool_choice(conversation.tool_choice)
    if conversation.parallel_calls is not None:
        body["parallel_tool_calls"] = conversation.parallel_calls
    return body


def _tool(tool: Tool) -> Json:
    function: Json = {"name": tool.name, "parameters": tool.parameters}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _tool_choice(choice: ToolChoice) -> object:
    if choice.mode == "named":
        return {"type": "function", "function": {"name": choice.name}}
    return choice.mode


def _wishes(conversation: Conversation) -> Json:
    """Return what guides the answer, without what the client left open."""
    logprobs, thinking = conversation.logprobs, conversation.thinking
    effort = None if thinking is None or thinking.effort is None else thinking.effort
    tier = conversation.service_tier
    wishes: dict[str, object | None] = {
        "temperature": conversation.temperature,
        "top_p": conversation.top_p,
        "stop": list(conversation.stop) or None,
        "seed": conversation.seed,
        "frequency_penalty": conversation.frequency_penalty,
        "presence_penalty": conversation.presence_penalty,
        "n": conversation.choices if conversation.choices > 1 else None,
        "logprobs": None if logprobs is None else True,
        "top_logprobs": logprobs or None,
        "response_format": _format(conversation.format),
        "reasoning_effort": None if effort is None else _HIGHEST.get(effort, effort),
        "user": conversation.user,
        "service_tier": None if tier is None else _TIERS.get(tier, tier),
    }
    return {name: wish for name, wish in wishes.items() if wish is not None}


def _format(wanted: OutputFormat | None) -> Json | None:
    if wanted is None:
        return None
    if wanted.kind == "json_object":
        return {"type": "json_object"}
    described: Json = {"name": wanted.name, "schema": wanted.schema}
    if wanted.strict is not None:
        described["strict"] = wanted.strict
    if wanted.description is not None:
        described["description"] = wanted.description
    return {"type": "json_schema", "json_schema": described}
