"""What is answered to a request of Cohere's: the same as to an OpenAI one that says the same.

The request is put into the fields from which answers are made, so prose, calls and forms of answers follow
one set of rules in every dialect.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from router.simulator import fields as openai
from router.simulator.choices import Choice, chat_choices
from router.simulator.circumstances import Circumstances
from router.simulator.cohere.fields import (
    AnyMessage,
    AssistantMessage,
    ChatFields,
    DocumentBlock,
    ImageBlock,
    SystemMessage,
    TextBlock,
    ToolMessage,
)
from router.simulator.cohere.rules import can_think
from router.simulator.thoughts import thoughts_on


def choice_for(fields: ChatFields, around: Circumstances) -> Choice:
    """Make up the answer."""
    asked = chat_fields(fields)
    thinking = fields.thinking
    thinks = can_think(fields.model) and (thinking is None or thinking.type == "enabled")
    budget = thinking.token_budget if thinking is not None else None
    thoughts = thoughts_on(asked)[:budget] if thinks else []
    limit = fields.max_tokens
    if limit is not None:
        thoughts = thoughts[:limit]
        if limit == len(thoughts):
            return Choice(0, [], "length", thoughts=thoughts)
        asked = msgspec.structs.replace(asked, max_tokens=limit - len(thoughts))
    (choice,) = chat_choices(asked, tokens=around.tokens)
    return msgspec.structs.replace(choice, thoughts=thoughts)


def chat_fields(fields: ChatFields) -> openai.ChatFields:
    """The request as the fields from which answers are made, without any limit."""
    return openai.ChatFields(
        model=fields.model,
        messages=[_message(message) for message in fields.messages],
        tools=[
            openai.Tool("function", openai.Function(tool.function.name, tool.function.parameters))
            for tool in fields.tools or ()
        ]
        or None,
        tool_choice=None if fields.tool_choice is None else fields.tool_choice.lower(),
        response_format=_form(fields),
        stop=fields.stop_sequences,
        seed=fields.seed,
    )


def _form(fields: ChatFields) -> dict[str, Any] | None:
    form = fields.response_format
    if form is None or form.type == "text":
        return None
    if form.json_schema is None:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"schema": form.json_schema}}


def _message(message: AnyMessage) -> openai.Message:
    if isinstance(message, AssistantMessage):
        calls = [{"id": call.id} for call in message.tool_calls or ()]
        return openai.Message("assistant", _content(message.content or ""), calls or None)
    content = _content(message.content)
    if isinstance(message, ToolMessage):
        return openai.Message("tool", content, tool_call_id=message.tool_call_id)
    return openai.Message("system" if isinstance(message, SystemMessage) else "user", content)


def _content(said: str | Iterable[msgspec.Struct]) -> str | list[dict[str, Any]]:
    """Parts as they are for the prose, a single text as the text itself."""
    if isinstance(said, str):
        return said
    parts = list(_parts(said))
    if not parts:
        return ""
    if len(parts) == 1 and parts[0]["type"] == "text":
        return str(parts[0]["text"])
    return parts


def _parts(blocks: Iterable[msgspec.Struct]) -> Iterator[dict[str, Any]]:
    for block in blocks:
        match block:
            case TextBlock(text=text):
                yield {"type": "text", "text": text}
            case ImageBlock(image_url=image):
                yield {"type": "image_url", "image_url": {"url": image.url}}
            case DocumentBlock(document=document):
                yield {"type": "text", "text": msgspec.json.encode(document).decode()}
