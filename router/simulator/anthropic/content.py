"""What is answered to an Anthropic request: the same as to an OpenAI one that says the same.

The request is put into the fields from which answers are made, so prose, tool calls and forms of
answers follow one set of rules in every dialect. What this dialect has besides is added here: a
thought before the answer, a sentence before a call, and refusals on request. A part of a prompt that
starts with one of Anthropic's own test strings brings a redacted thought or a refusal.
"""

from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec

from router.simulator import fields as openai
from router.simulator.anthropic.blocks import (
    Address,
    AnyBlock,
    DocumentBlock,
    ImageBlock,
    ImageBytes,
    TextBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from router.simulator.anthropic.error import invalid
from router.simulator.anthropic.fields import (
    Adaptive,
    Auto,
    Enabled,
    Message,
    MessagesFields,
    Named,
    NoTool,
    Prompt,
    Some,
)
from router.simulator.anthropic.model import abilities_of
from router.simulator.choices import Choice, chat_choices, echoed, prefill_of
from router.simulator.circumstances import Circumstances
from router.simulator.thoughts import thoughts_on
from router.simulator.words import split_tokens

TRIGGER_REFUSAL: Final = "ANTHROPIC_MAGIC_STRING_TRIGGER_REFUSAL_"
TRIGGER_REDACTED: Final = "ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING_"
Thoughts = Literal["shown", "omitted", "redacted"]
StopReason = Literal["end_turn", "stop_sequence", "max_tokens", "tool_use", "refusal"]
_STOPS: Final[dict[str, StopReason]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
}


class Reply(msgspec.Struct, frozen=True):
    """An answer before it is said: its content, why it ends, and how its thoughts are given."""

    choice: Choice
    stop_reason: StopReason
    thoughts: Thoughts


def reply_to(fields: MessagesFields, around: Circumstances) -> Reply:
    """Make up the answer. Raises Refusal where the provider takes no beginning of an answer."""
    asked = chat_fields(fields)
    said = _last_text(fields)
    if TRIGGER_REFUSAL in said:
        return Reply(Choice(0, [], "stop"), "refusal", "shown")
    thoughts = _thoughts(fields, asked)[: fields.max_tokens]
    choice = _choice(fields, asked, around, limit=fields.max_tokens - len(thoughts))
    choice = msgspec.structs.replace(choice, thoughts=thoughts)
    stopped = choice.stopped_by is not None
    stop_reason = "stop_sequence" if stopped else _STOPS[choice.finish_reason]
    redacted = TRIGGER_REDACTED in said
    return Reply(choice, stop_reason, "redacted" if redacted else _display(fields))


def chat_fields(fields: Prompt) -> openai.ChatFields:
    """The request as the fields from which answers are made, without any limit."""
    choice, config = fields.tool_choice, fields.output_config
    once = isinstance(choice, Auto | Some | Named) and choice.disable_parallel_tool_use
    form = None if config is None else config.format
    return openai.ChatFields(
        model=fields.model,
        messages=[*_system(fields), *(one for said in fields.messages for one in _messages(said))],
        tools=[
            openai.Tool("function", openai.Function(tool.name, tool.input_schema))
            for tool in fields.tools
        ]
        or None,
        tool_choice=_tool_choice(fields),
        parallel_tool_calls=False if once else None,
        response_format=None
        if form is None
        else {"type": "json_schema", "json_schema": {"schema": form.schema}},
        stop=fields.stop_sequences if isinstance(fields, MessagesFields) else None,
    )


def _choice(
    fields: MessagesFields, asked: openai.ChatFields, around: Circumstances, *, limit: int
) -> Choice:
    if limit <= 0:
        return Choice(0, [], "length")
    prefill = prefill_of(asked)
    if prefill is not None and around.prefill == "refuse":
        told = "This model does not support assistant message prefill."
        raise invalid(f"{told} The conversation must end with a user message.")
    limited = msgspec.structs.replace(asked, max_tokens=limit)
    (choice,) = chat_choices(limited, tokens=around.tokens)
    if prefill is not None and around.prefill == "echo":
        return echoed(choice, asked)
    if choice.finish_reason == "tool_calls" and isinstance(fields.tool_choice, Auto | None):
        names = " and ".join(call.name for call in choice.calls)
        return msgspec.structs.replace(choice, tokens=split_tokens(f"I will call {names}."))
    return choice


def _thoughts(fields: MessagesFields, asked: openai.ChatFields) -> list[str]:
    return thoughts_on(asked) if isinstance(fields.thinking, Enabled | Adaptive) else []


def _display(fields: MessagesFields) -> Thoughts:
    thinking = fields.thinking
    display = thinking.display if isinstance(thinking, Enabled | Adaptive) else None
    if display is None:
        return "shown" if abilities_of(fields.model).shows_thoughts else "omitted"
    return "omitted" if display == "omitted" else "shown"


def _last_text(fields: Prompt) -> str:
    content = fields.messages[-1].content
    if isinstance(content, str):
        return content
    return "\n".join(block.text for block in content if isinstance(block, TextBlock))


def _tool_choice(fields: Prompt) -> str | dict[str, Any] | None:
    match fields.tool_choice:
        case Some():
            return "required"
        case Named(name=name):
            return {"type": "function", "function": {"name": name}}
        case NoTool():
            return "none"
        case _:
            return None


def _system(fields: Prompt) -> Iterator[openai.Message]:
    content = _content(fields.system)
    if content:
        yield openai.Message("system", content)


def _messages(message: Message) -> Iterator[openai.Message]:
    """One message of the assistant; or the results of tools, each its own, then what the user says."""
    if isinstance(message.content, str):
        yield openai.Message(message.role, message.content)
        return
    rest: list[AnyBlock] = []
    for block in message.content:
        if isinstance(block, ToolResultBlock):
            content = _content(block.content or "")
            yield openai.Message("tool", content, tool_call_id=block.tool_use_id)
        else:
            rest.append(block)
    calls = [{"id": block.id} for block in rest if isinstance(block, ToolUseBlock)]
    content = _content(rest)
    if content or calls:
        yield openai.Message(message.role, content, calls or None)


def _content(said: str | list[Any]) -> str | list[dict[str, Any]]:
    """Parts as they are for the prose, a single text as the text itself."""
    if isinstance(said, str):
        return said
    parts = [part for block in said if (part := _part(block)) is not None]
    if len(parts) == 1 and parts[0]["type"] == "text":
        return str(parts[0]["text"])
    return parts


def _part(block: AnyBlock) -> dict[str, Any] | None:
    match block:
        case TextBlock(text=text):
            return {"type": "text", "text": text}
        case ImageBlock(source=Address(url=url)):
            return {"type": "image_url", "image_url": {"url": url}}
        case ImageBlock(source=ImageBytes(media_type=media_type, data=data)):
            url = f"data:{media_type};base64,{data}"
            return {"type": "image_url", "image_url": {"url": url}}
        case DocumentBlock(title=title):
            return {"type": "text", "text": f"[document {title or 'without a title'}]"}
        case _:
            return None
