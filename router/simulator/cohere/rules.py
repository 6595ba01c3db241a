"""The rules of a chat: who speaks last, calls and their answers, what a model can do at all.

Every call of the assistant is answered by a tool's message before anything else is said. Sources: Cohere's
API reference, its guides to tool use, structured outputs, vision and reasoning, and the messages of the real
service.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from router.simulator.cohere.error import invalid
from router.simulator.cohere.fields import (
    AnyMessage,
    AssistantMessage,
    ChatFields,
    ImageBlock,
    ToolMessage,
    UserMessage,
)

_SEEING: Final = ("vision", "command-a-plus")
_THINKING: Final = ("reasoning", "command-a-plus")
_DATA_URL: Final = re.compile(r"data:image/(?:png|jpeg|webp|gif);base64,")


def check_chat(fields: ChatFields) -> None:
    """Raise Refusal for a chat that breaks a rule."""
    if not fields.messages:
        raise invalid("messages must not be empty.")
    for number, message in enumerate(fields.messages):
        _check_message(message, f"messages[{number}]", fields.model)
    _check_calls(fields.messages)
    if not isinstance(fields.messages[-1], UserMessage | ToolMessage):
        raise invalid("the last message must be from the user or a tool.")
    _check_tools(fields)
    _check_form(fields)
    thinking = fields.thinking
    if thinking is not None and thinking.type == "enabled" and not can_think(fields.model):
        raise invalid(f"thinking is not supported with the model '{fields.model}'.")


def can_think(model: str) -> bool:
    """Whether a model thinks before it answers, unless it is told not to."""
    return any(name in model.lower() for name in _THINKING)


def _check_message(message: AnyMessage, place: str, model: str) -> None:
    if isinstance(message, AssistantMessage):
        if not message.content and not message.tool_calls:
            raise invalid(f"{place}: an assistant message must have content or tool_calls.")
        if message.tool_plan is not None and not message.tool_calls:
            raise invalid(f"{place}: tool_plan can only be specified with tool_calls.")
        for call in message.tool_calls or ():
            _check_arguments(call.function.arguments, place)
        return
    if not message.content:
        raise invalid(f"{place}: must have content.")
    for block in message.content if isinstance(message.content, list) else ():
        if isinstance(block, ImageBlock):
            _check_image(block, place, model)


def _check_arguments(arguments: str, place: str) -> None:
    try:
        msgspec.json.decode(arguments, type=dict)
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise invalid(f"{place}: the arguments of a tool call must be a JSON object.") from None


def _check_image(block: ImageBlock, place: str, model: str) -> None:
    if not any(name in model.lower() for name in _SEEING):
        raise invalid(f"{place}: image_url is not supported with the model '{model}'.")
    url = block.image_url.url
    if url.startswith(("https://", "http://")):
        return
    found = _DATA_URL.match(url)
    if found is None:
        raise invalid(f"{place}: image_url must be a web address or a data URL of an image.")
    try:
        base64.b64decode(url[found.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise invalid(f"{place}: image_url is not valid base64.") from None


def _check_calls(messages: Sequence[AnyMessage]) -> None:
    """Hold calls against the messages of tools that follow at once."""
    waiting: list[str] = []
    for number, message in enumerate(messages):
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in waiting:
                told = f"messages[{number}]: tool_call_id '{message.tool_call_id}' not found in"
                raise invalid(f"{told} the tool calls of the previous assistant message.")
            waiting.remove(message.tool_call_id)
            continue
        if waiting:
            raise invalid(f"messages[{number}]: missing tool results for {', '.join(waiting)}.")
        if isinstance(message, AssistantMessage):
            waiting = [call.id for call in message.tool_calls or ()]
    if waiting:
        raise invalid(f"missing tool results for {', '.join(waiting)}.")


def _check_tools(fields: ChatFields) -> None:
    tools = fields.tools or []
    if fields.tool_choice is not None and not tools:
        raise invalid("tool_choice can only be specified with tools.")
    if fields.strict_tools is not None and not tools:
        raise invalid("strict_tools can only be specified with tools.")
    names = [tool.function.name for tool in tools]
    if len(set(names)) < len(names):
        raise invalid("tools must have unique names.")
    for tool in tools:
        if tool.function.parameters.get("type") != "object":
            raise invalid(f"the parameters of '{tool.function.name}' must be of type object.")


def _check_form(fields: ChatFields) -> None:
    form = fields.response_format
    if form is None:
        return
    if form.type == "json_object" and (fields.tools or fields.documents):
        raise invalid("response_format is not supported with tools or documents.")
    if form.json_schema is None:
        return
    if form.type != "json_object":
        raise invalid("json_schema can only be specified with the type 'json_object'.")
    if form.json_schema.get("type") != "object":
        raise invalid("the schema's top-level type must be object.")
    if not form.json_schema.get("required"):
        raise invalid("the schema must have at least one required field.")
