"""Requests in Gemini's dialect.

What Gemini has no word for is dropped by rule: cache marks (it caches by itself), `parallel_calls`, `user`,
`strict` and an image's `detail`. Log probabilities have no place in what is read of the answer, so asking
for them is refused. Source: `GenerateContentRequest`, `GenerationConfig` of the Gemini API and Vertex AI.
"""

from typing import Final

import msgspec

from adapters.dialect import BadCall, EncodedRequest, Target
from adapters.gemini.content import Wire, contents_of
from adapters.gemini.model import Traits, traits_of
from adapters.gemini.path import chat_path
from adapters.gemini.schema import clean_schema
from adapters.gemini.thinking import thinking_config
from adapters.middle.conversation import Conversation, OutputFormat, Text, Tool, ToolChoice, Turn
from adapters.middle.format_tool import format_tool

_JSON: Final = "application/json"
_MODES: Final = {"auto": "AUTO", "none": "NONE", "required": "ANY", "named": "ANY"}
_TIERS: Final = {
    "default": "standard",
    "standard": "standard",
    "flex": "flex",
    "priority": "priority",
}
# Gemini's own fields, as its clients and other gateways' clients write them.
_OWN_FIELDS: Final = {
    "safety_settings": "safetySettings",
    "safetySettings": "safetySettings",
    "cached_content": "cachedContent",
    "cachedContent": "cachedContent",
}
_SEED_BITS: Final = 0x7FFF_FFFF

_encode: Final = msgspec.json.encode


def encode_request(conversation: Conversation, target: Target, *, stream: bool) -> EncodedRequest:
    """Write the request. Raises `BadCall` for what cannot be said to Gemini."""
    if conversation.logprobs is not None:
        raise BadCall("This model gives no log probabilities.", param="logprobs")
    model = traits_of(target.upstream_model)
    body: Wire = {
        **_said(conversation, model),
        **_tools(conversation, model),
        **_settings(conversation, model),
    }
    path = chat_path(target.paths["chat"], target.upstream_model, stream=stream)
    return EncodedRequest(path, target.headers, _encode(body))


def _said(conversation: Conversation, model: Traits) -> Wire:
    """Return the turns and the system's text, which must be the user's where nobody else speaks."""
    contents = contents_of(conversation.turns, model)
    system = tuple(text for text in conversation.system if text.text)
    if not contents:
        return {"contents": contents_of([Turn("user", system)], model)}
    if not system:
        return {"contents": contents}
    return {"contents": contents, "systemInstruction": {"parts": [_text(text) for text in system]}}


def _text(text: Text) -> Wire:
    return {"text": text.text}


def _tools(conversation: Conversation, model: Traits) -> Wire:
    if not conversation.tools:
        return {}
    tools, choice = conversation.tools, conversation.tool_choice
    extra = None if model.mixes_format_and_tools else format_tool(conversation)
    if extra is not None:
        tools = (*tools, extra)
        if choice is None or choice.mode == "auto":
            choice = ToolChoice("required")
    declared = [_declaration(tool, model) for tool in tools]
    said: Wire = {"tools": [{"functionDeclarations": declared}]}
    if choice is not None:
        said["toolConfig"] = {"functionCallingConfig": _calling(choice)}
    return said


def _declaration(tool: Tool, model: Traits) -> Wire:
    """Declare a function; one without parameters says nothing of them, for older models refuse `{}`."""
    said: Wire = {"name": tool.name}
    if tool.description:
        said["description"] = tool.description
    schema = clean_schema(tool.parameters, takes_json_schema=model.takes_json_schema, param="tools")
    if schema.get("properties"):
        said["parametersJsonSchema" if model.takes_json_schema else "parameters"] = schema
    return said


def _calling(choice: ToolChoice) -> Wire:
    said: Wire = {"mode": _MODES[choice.mode]}
    if choice.mode == "named" and choice.name is not None:
        said["allowedFunctionNames"] = [choice.name]
    return said


def _settings(conversation: Conversation, model: Traits) -> Wire:
    config = _generation_config(conversation, model)
    said: Wire = {"generationConfig": config} if config else {}
    tier = _TIERS.get(conversation.service_tier or "")
    if tier is not None:
        said["serviceTier"] = tier
    for name, field in _OWN_FIELDS.items():
        if name in conversation.extra:
            said[field] = conversation.extra[name]
    return said


def _generation_config(conversation: Conversation, model: Traits) -> Wire:
    seed = conversation.seed
    said: Wire = {
        "maxOutputTokens": conversation.most_tokens,
        "temperature": conversation.temperature,
        "topP": conversation.top_p,
        "topK": conversation.top_k,
        "stopSequences": conversation.stop or None,
        # Gemini's seed has 32 bits; the same longer one still gives the same answers.
        "seed": None if seed is None else seed & _SEED_BITS,
        "frequencyPenalty": conversation.frequency_penalty,
        "presencePenalty": conversation.presence_penalty,
        "candidateCount": conversation.choices if conversation.choices > 1 else None,
        "thinkingConfig": thinking_config(conversation.thinking, model) or None,
        **_format(conversation, model),
    }
    return {name: value for name, value in said.items() if value is not None}


def _format(conversation: Conversation, model: Traits) -> Wire:
    wanted = conversation.format
    if wanted is None:
        return {}
    if conversation.tools and not model.mixes_format_and_tools:
        return _format_beside_tools(conversation, wanted)
    if wanted.schema is None:
        return {"responseMimeType": _JSON}
    schema = clean_schema(
        wanted.schema, takes_json_schema=model.takes_json_schema, param="response_format"
    )
    name = "responseJsonSchema" if model.takes_json_schema else "responseSchema"
    return {"responseMimeType": _JSON, name: schema}


def _format_beside_tools(conversation: Conversation, wanted: OutputFormat) -> Wire:
    """Leave the form to a function of its own; without a schema there is none to call."""
    if wanted.schema is None or format_tool(conversation) is None:
        told = "This model cannot combine functions with this 'response_format'."
        raise BadCall(told, param="response_format")
    return {}
