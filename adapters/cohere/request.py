"""Requests in Cohere's dialect (its second version).

What Cohere has no word for is dropped by rule: cache marks, `parallel_calls`, `user` and `service_tier`. One
answer at a time and no log probabilities are what it gives, so other wishes are refused. Penalties go from 0
to 1, and so does the temperature, `top_p` from 0.01 to 0.99; what lies outside becomes the nearest. Source:
"Chat API (v2)" in Cohere's API reference.
"""

from typing import Final

import msgspec

from adapters.cohere.message import Wire, messages_of
from adapters.dialect import BadCall, EncodedRequest, Target
from adapters.middle.conversation import Conversation, Thinking, Tool, ToolChoice
from adapters.middle.format_tool import format_tool

# Cohere's own fields, passed on in the client's JSON.
_OWN_FIELDS: Final = ("documents", "citation_options", "safety_mode", "priority")
_CHOICES: Final = {"none": "NONE", "required": "REQUIRED", "named": "REQUIRED"}
_THINKERS: Final = ("reasoning", "command-a-plus")

_encode: Final = msgspec.json.encode


def encode_request(conversation: Conversation, target: Target, *, stream: bool) -> EncodedRequest:
    """Write the request. Raises `BadCall` for what cannot be said to Cohere."""
    if conversation.choices > 1:
        raise BadCall("This model gives one answer at a time.", param="n")
    if conversation.logprobs is not None:
        raise BadCall("This model gives no log probabilities.", param="logprobs")
    tools, choice, form = _plan(conversation)
    said: Wire = {
        "model": target.upstream_model,
        "messages": messages_of(conversation.system, conversation.turns),
        "stream": stream,
        **_tools(tools, choice),
        **_settings(conversation),
        "response_format": form,
        "thinking": _thinking(conversation.thinking, target.upstream_model),
        **{name: conversation.extra[name] for name in _OWN_FIELDS if name in conversation.extra},
    }
    body = {name: value for name, value in said.items() if value is not None}
    return EncodedRequest(target.paths["chat"], target.headers, _encode(body))


def _settings(conversation: Conversation) -> Wire:
    return {
        "max_tokens": conversation.most_tokens,
        "temperature": _within(conversation.temperature, 0.0, 1.0),
        "p": _within(conversation.top_p, 0.01, 0.99),
        "k": conversation.top_k,
        "stop_sequences": conversation.stop or None,
        "seed": conversation.seed,
        "frequency_penalty": _within(conversation.frequency_penalty, 0.0, 1.0),
        "presence_penalty": _within(conversation.presence_penalty, 0.0, 1.0),
    }


def _within(value: float | None, least: float, most: float) -> float | None:
    return None if value is None else min(max(value, least), most)


def _plan(
    conversation: Conversation,
) -> tuple[tuple[Tool, ...], ToolChoice | None, Wire | None]:
    """Return the functions, what is to be done with them, and the answer's form if it is asked for natively.

    Cohere takes only one of the two. Beside functions the form is one of them, unless the client demands a
    certain call, which then is the answer.
    """
    tools, choice, wanted = conversation.tools, conversation.tool_choice, conversation.format
    if wanted is None or (tools and choice is not None and choice.mode == "named"):
        return tools, choice, None
    if not tools:
        schema = {} if wanted.schema is None else {"json_schema": wanted.schema}
        return tools, choice, {"type": "json_object", **schema}
    extra = format_tool(conversation)
    if extra is None:
        told = "This model cannot combine functions with this 'response_format'."
        raise BadCall(told, param="response_format")
    return (*tools, extra), ToolChoice("required"), None


def _tools(tools: tuple[Tool, ...], choice: ToolChoice | None) -> Wire:
    """Declare the functions. One that must be called is the only one shown, for Cohere names none."""
    if not tools:
        return {}
    if choice is not None and choice.mode == "named":
        tools = tuple(tool for tool in tools if tool.name == choice.name)
        if not tools:
            raise BadCall("'tool_choice' names a function that is not there.", param="tool_choice")
    return {
        "tools": [_tool(tool) for tool in tools],
        "strict_tools": True if all(tool.strict for tool in tools) else None,
        "tool_choice": _CHOICES.get(choice.mode) if choice is not None else None,
    }


def _tool(tool: Tool) -> Wire:
    function: Wire = {"name": tool.name, "parameters": tool.parameters}
    if tool.description:
        function["description"] = tool.description
    return {"type": "function", "function": function}


def _thinking(thinking: Thinking | None, model: str) -> Wire | None:
    """Turn thinking on or off, where the model can think; it knows no efforts in between."""
    able = any(name in model.lower() for name in _THINKERS)
    if thinking is None or not able:
        return None
    budget = thinking.budget_tokens
    if thinking.effort == "none" or (budget is not None and budget <= 0):
        return {"type": "disabled"}
    return {"type": "enabled"} if budget is None else {"type": "enabled", "token_budget": budget}
