"""A conversation, written as a request for Anthropic's Messages.

What only guides the answer and has no word here is dropped: `seed`, penalties, `logit_bias`, `top_k` and the
like where a model refuses them. What would make it another answer is refused: several choices, log
probabilities, stop texts of white space. A temperature above Anthropic's highest becomes the highest. Newer
models take no beginning of their answer: a conversation that ends with the assistant's words is followed by
the user's, which ask to go on.
"""

from typing import Final

import msgspec

from adapters.anthropic.model import Traits, traits_of
from adapters.anthropic.structured import FormatPlan, plan_format
from adapters.anthropic.thinking import ThinkingPlan, plan_thinking
from adapters.anthropic.upstream_messages import Json, cache_field, messages_of, text_block
from adapters.anthropic.version import with_version
from adapters.dialect import BadCall, EncodedRequest, Target
from adapters.middle.conversation import Conversation, Text, Tool, ToolChoice

_HIGHEST_TEMPERATURE: Final = 1.0
_LEAST_TOP_P: Final = 0.95  # while thinking
_CHOICES: Final = {"auto": "auto", "none": "none", "required": "any", "named": "tool"}
_TIERS: Final = {
    "auto": "auto",
    "priority": "auto",
    "default": "standard_only",
    "standard_only": "standard_only",
}

_encode: Final = msgspec.json.encode


def encode_request(conversation: Conversation, target: Target, *, stream: bool) -> EncodedRequest:
    """Write the request. Raises `BadCall` for what cannot be said."""
    _refuse_what_cannot_be(conversation)
    traits = traits_of(target.upstream_model)
    form = plan_format(conversation, traits)
    choice = form.choice or conversation.tool_choice
    demanded = choice is not None and choice.mode in {"required", "named"}
    cap = traits.cap if conversation.most_tokens is None else conversation.most_tokens
    thinking = plan_thinking(conversation, traits, cap=cap, forced=demanded and traits.forced_tools)
    words = [form.words, _demand(choice) if demanded and not traits.forced_tools else None]
    body: Json = {
        "model": target.upstream_model,
        "max_tokens": cap,
        "messages": messages_of(conversation, prefill=traits.prefill),
        **_system(conversation, words),
        **_tools(conversation, form, choice, traits),
        **_output_config(form, thinking),
        **_sampling(conversation, traits, thinking),
        **_rest(conversation),
    }
    if thinking.config is not None:
        body["thinking"] = thinking.config
    if stream:
        body["stream"] = True
    return EncodedRequest(target.paths["chat"], with_version(target.headers), _encode(body))


def _refuse_what_cannot_be(conversation: Conversation) -> None:
    if conversation.choices > 1:
        raise BadCall("This model gives one choice at a time.", param="n")
    if conversation.logprobs is not None:
        raise BadCall("This model tells no log probabilities.", param="logprobs")
    if any(not text.strip() for text in conversation.stop):
        raise BadCall("This model cannot stop at white space alone.", param="stop")


def _demand(choice: ToolChoice | None) -> str:
    """Return the words for models that take a forced tool in no other way."""
    if choice is not None and choice.mode == "named":
        return f"Answer by calling the tool '{choice.name}'."
    return "Answer by calling one of the tools."


def _system(conversation: Conversation, words: list[str | None]) -> Json:
    blocks = [text_block(text) for text in conversation.system if text.text.strip()]
    blocks += [text_block(Text(text=said)) for said in words if said is not None]
    return {"system": blocks} if blocks else {}


def _tools(
    conversation: Conversation, form: FormatPlan, choice: ToolChoice | None, traits: Traits
) -> Json:
    tools = [*conversation.tools, *([form.tool] if form.tool is not None else [])]
    if not tools:
        return {}
    body: Json = {"tools": [_tool(tool) for tool in tools]}
    if choice is not None and choice.mode in {"required", "named"} and not traits.forced_tools:
        choice = ToolChoice("auto")
    serial = conversation.parallel_calls is False
    if choice is None and serial:
        choice = ToolChoice("auto")
    if choice is not None:
        said: Json = {"type": _CHOICES[choice.mode]}
        if choice.name is not None:
            said["name"] = choice.name
        if serial and choice.mode != "none":
            said["disable_parallel_tool_use"] = True
        body["tool_choice"] = said
    return body


def _tool(tool: Tool) -> Json:
    said: Json = {"name": tool.name, "input_schema": tool.parameters}
    if tool.description:
        said["description"] = tool.description
    return {**said, **cache_field(tool.cache)}


def _output_config(form: FormatPlan, thinking: ThinkingPlan) -> Json:
    config: Json = {}
    if form.schema is not None:
        config["format"] = {"type": "json_schema", "schema": form.schema}
    if thinking.effort is not None:
        config["effort"] = thinking.effort
    return {"output_config": config} if config else {}


def _sampling(conversation: Conversation, traits: Traits, thinking: ThinkingPlan) -> Json:
    """Return how to sample: not at all for newer models, hardly while thinking, else as was asked."""
    if not traits.samples:
        return {}
    temperature, top_p = conversation.temperature, conversation.top_p
    if thinking.on:
        fits = top_p is not None and top_p >= _LEAST_TOP_P
        return {"top_p": top_p} if fits else {}
    said: Json = {}
    if temperature is not None:
        said["temperature"] = min(temperature, _HIGHEST_TEMPERATURE)
    if top_p is not None and not (traits.one_sampler and temperature is not None):
        said["top_p"] = top_p
    if conversation.top_k is not None:
        said["top_k"] = conversation.top_k
    return said


def _rest(conversation: Conversation) -> Json:
    rest: Json = {}
    if conversation.stop:
        rest["stop_sequences"] = list(conversation.stop)
    if conversation.user is not None:
        rest["metadata"] = {"user_id": conversation.user}
    tier = _TIERS.get(conversation.service_tier or "")
    if tier is not None:
        rest["service_tier"] = tier
    return rest
