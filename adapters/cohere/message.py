"""The turns of a conversation as Cohere's messages.

A tool's result is a message of its own, behind the turn that called it. What the model thought goes back as
its thinking, or as the plan for its calls where it made some; Cohere signs nothing, so thoughts that bear a
signature are another provider's and stay behind. Images go by data URL or address; there is nothing else.
"""

from collections.abc import Iterable, Sequence

from adapters.dialect import BadCall
from adapters.middle.arguments import as_object
from adapters.middle.conversation import (
    Media,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from adapters.middle.data_url import data_url

Wire = dict[str, object]


def messages_of(system: Iterable[Text], turns: Iterable[Turn]) -> list[Wire]:
    """Return the messages. Raises `BadCall` for media that Cohere does not take."""
    messages: list[Wire] = []
    instructions = [text.text for text in system if text.text]
    if instructions:
        messages.append({"role": "system", "content": "\n\n".join(instructions)})
    for turn in turns:
        messages += _assistant(turn.parts) if turn.role == "assistant" else _user(turn.parts)
    return messages


def _assistant(parts: Sequence[Part]) -> list[Wire]:
    calls = [_call(part) for part in parts if isinstance(part, ToolCall)]
    thoughts = [
        part.text
        for part in parts
        if isinstance(part, Reasoning) and part.text and part.signature is None
    ]
    content: list[Wire] = []
    message: Wire = {"role": "assistant"}
    if calls and thoughts:
        message["tool_plan"] = "".join(thoughts)
    else:
        content += [{"type": "thinking", "thinking": thought} for thought in thoughts]
    for part in parts:
        match part:
            case Text() | Refusal():
                content += [{"type": "text", "text": part.text}] if part.text else []
            case Media():
                raise BadCall("This model takes no media of the assistant's.", param="messages")
            case ToolResult():
                raise BadCall("A tool's result cannot be the assistant's.", param="messages")
            case _:
                continue
    if content:
        message["content"] = content
    if calls:
        message["tool_calls"] = calls
    return [message] if content or calls else []


def _call(call: ToolCall) -> Wire:
    function = {"name": call.name, "arguments": as_object(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}


def _user(parts: Sequence[Part]) -> list[Wire]:
    messages: list[Wire] = []
    content: list[Wire] = []
    for part in parts:
        match part:
            case ToolResult():
                messages.append(_result(part))
            case Text():
                content += [{"type": "text", "text": part.text}] if part.text else []
            case Media():
                content.append(_image(part))
            case _:
                raise BadCall("Only the assistant calls, thinks and refuses.", param="messages")
    return [*messages, {"role": "user", "content": content}] if content else messages


def _result(result: ToolResult) -> Wire:
    if any(isinstance(part, Media) for part in result.parts):
        raise BadCall("This model takes only text as a tool's result.", param="messages")
    text = "".join(part.text for part in result.parts if isinstance(part, Text))
    return {"role": "tool", "tool_call_id": result.call_id, "content": text}


def _image(media: Media) -> Wire:
    if media.kind != "image" or media.file_id is not None:
        raise BadCall("This model takes images by bytes or address only.", param="messages")
    if media.data is not None:
        url = data_url(media.media_type or "image/jpeg", media.data)
    else:
        url = media.url or ""
    detail = {} if media.detail is None else {"detail": media.detail}
    return {"type": "image_url", "image_url": {"url": url, **detail}}
