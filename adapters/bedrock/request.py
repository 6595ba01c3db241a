"""A conversation, written as a request for Converse.

What only guides the answer and has no word here is dropped: `seed`, penalties, `user`, `parallel_calls` and
`top_k` for models that are not known to take them. What would make it another answer is refused: several
choices, log probabilities, stop texts of white space. A temperature above Converse's highest becomes the
highest. Fields of Bedrock's own are taken over from the client.
"""

from typing import Final

import msgspec

from adapters.anthropic.model import Traits as ClaudeTraits
from adapters.anthropic.structured import plan_format
from adapters.bedrock.media import Json
from adapters.bedrock.message import messages_of, system_of
from adapters.bedrock.model import Traits, traits_of
from adapters.bedrock.path import chat_path
from adapters.bedrock.thinking import (
    claude_thinking,
    thinking_fields,
    thinks_freely,
    with_own_thoughts,
)
from adapters.bedrock.tools import ToolPlan, plan_tools
from adapters.dialect import BadCall, EncodedRequest, Target
from adapters.middle.conversation import Conversation
from adapters.openai.foreign import UNREADABLE

_HIGHEST: Final = 1.0
_LEAST_TOP_P: Final = 0.95  # of a Claude while it thinks
_TIERS: Final = frozenset({"priority", "flex", "reserved"})
_OWN_FIELDS: Final = ("guardrailConfig", "performanceConfig", "requestMetadata")
_MODELS_FIELDS: Final = "additionalModelRequestFields"

_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode: Final = msgspec.json.encode


def encode_request(conversation: Conversation, target: Target, *, stream: bool) -> EncodedRequest:
    """Write the request, unsigned. Raises `BadCall` for what cannot be said."""
    _refuse_what_cannot_be(conversation)
    traits = traits_of(target.upstream_model, target.served_model)
    conversation = with_own_thoughts(conversation, traits)
    form = plan_format(conversation, traits.form)
    choice = form.choice or conversation.tool_choice
    tools = plan_tools(conversation, traits, form_tool=form.tool, choice=choice)
    cap = conversation.most_tokens
    if cap is None and traits.claude is not None:
        cap = traits.claude.cap
    thinking = claude_thinking(conversation, traits, cap=cap or 0, forced=tools.forced)
    words = [said for said in (form.words, tools.words) if said is not None]
    fields = thinking_fields(conversation, traits, thinking)
    settings = {} if thinks_freely(fields) else _sampling(conversation, traits, on=thinking.on)
    if cap is not None:
        settings["maxTokens"] = cap
    if conversation.stop:
        settings["stopSequences"] = list(conversation.stop)
    if traits.claude is not None:
        fields |= _claudes_fields(conversation, traits.claude, tools, on=thinking.on)
    said: Json = {
        "messages": messages_of(conversation, traits),
        "system": system_of(conversation, words, traits),
        "toolConfig": tools.config,
        "inferenceConfig": settings,
        _MODELS_FIELDS: {**fields, **_clients_fields(conversation)},
        **{name: conversation.extra[name] for name in _OWN_FIELDS if name in conversation.extra},
    }
    if conversation.stop and traits.claude is not None:
        said["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
    if conversation.service_tier in _TIERS:
        said["serviceTier"] = {"type": conversation.service_tier}
    body = _encode({name: value for name, value in said.items() if value})
    path = chat_path(target.paths["chat"], target.upstream_model, stream=stream)
    return EncodedRequest(path, target.headers, body)


def _refuse_what_cannot_be(conversation: Conversation) -> None:
    if conversation.choices > 1:
        raise BadCall("This model gives one choice at a time.", param="n")
    if conversation.logprobs is not None:
        raise BadCall("This model tells no log probabilities.", param="logprobs")
    if any(not text.strip() for text in conversation.stop):
        raise BadCall("This model cannot stop at white space alone.", param="stop")


def _sampling(conversation: Conversation, traits: Traits, *, on: bool) -> Json:
    """Return how to sample. `on`: a Claude was asked to think, and then hardly anything may be said."""
    temperature, top_p = conversation.temperature, conversation.top_p
    claude = traits.claude
    if claude is not None and not claude.samples:
        return {}
    if on:
        return {"topP": top_p} if top_p is not None and top_p >= _LEAST_TOP_P else {}
    said: Json = {}
    if temperature is not None:
        said["temperature"] = min(temperature, _HIGHEST)
    alone = claude is not None and claude.one_sampler and temperature is not None
    if top_p is not None and not alone:
        said["topP"] = top_p
    return said


def _claudes_fields(
    conversation: Conversation, claude: ClaudeTraits, tools: ToolPlan, *, on: bool
) -> Json:
    """Return what a Claude is told besides, in Anthropic's words; older ones know fewer of them."""
    fields: Json = {}
    if conversation.top_k is not None and claude.samples and not on:
        fields["top_k"] = conversation.top_k
    if conversation.parallel_calls is False and tools.config and claude.native_format:
        told = {} if tools.forced else {"type": "auto"}
        fields["tool_choice"] = {**told, "disable_parallel_tool_use": True}
    return fields


def _clients_fields(conversation: Conversation) -> dict[str, msgspec.Raw]:
    told = conversation.extra.get(_MODELS_FIELDS)
    if told is None:
        return {}
    try:
        return _decode_fields(told)
    except UNREADABLE:
        raise BadCall(f"'{_MODELS_FIELDS}' must be an object.", param=_MODELS_FIELDS) from None
