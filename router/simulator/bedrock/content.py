"""What is answered to a Converse request: the same as to an OpenAI one that says the same.

The request is put into the fields from which answers are made, so prose, calls and forms of answers follow
one set of rules in every dialect.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from router.simulator import fields as openai
from router.simulator.anthropic.model import abilities_of
from router.simulator.bedrock.blocks import Block, Image, ResultBlock
from router.simulator.bedrock.error import invalid
from router.simulator.bedrock.fields import ConverseFields, Message
from router.simulator.bedrock.settings import thinks
from router.simulator.bedrock.turns import results_of, uses_of
from router.simulator.choices import Choice, chat_choices, echoed, prefill_of
from router.simulator.circumstances import Circumstances
from router.simulator.thoughts import thoughts_on


def choice_for(fields: ConverseFields, model: str, around: Circumstances) -> Choice:
    """Make up the answer. Raises Refusal where the model takes no beginning of one."""
    asked = chat_fields(fields, model)
    prefill = prefill_of(asked)
    if prefill is not None and (around.prefill == "refuse" or not abilities_of(model).continues):
        told = "This model does not support assistant message prefill."
        raise invalid(f"{told} The conversation must end with a user message.")
    thoughts = thoughts_on(asked) if thinks(fields, model) else []
    limit = fields.inference_config.max_tokens
    if limit is not None:
        thoughts = thoughts[:limit]
        if limit == len(thoughts):
            return Choice(0, [], "length", thoughts=thoughts)
        asked = msgspec.structs.replace(asked, max_tokens=limit - len(thoughts))
    (choice,) = chat_choices(asked, tokens=around.tokens)
    if prefill is not None and around.prefill == "echo":
        choice = echoed(choice, asked)
    return msgspec.structs.replace(choice, thoughts=thoughts)


def chat_fields(fields: ConverseFields, model: str) -> openai.ChatFields:
    """The request as the fields from which answers are made, without any limit."""
    form = fields.form
    return openai.ChatFields(
        model=model,
        messages=[*_system(fields), *(one for said in fields.messages for one in _messages(said))],
        tools=[
            openai.Tool("function", openai.Function(tool.name, tool.input_schema.json))
            for tool in fields.tools
        ]
        or None,
        tool_choice=_tool_choice(fields),
        response_format=None
        if form is None
        else {"type": "json_schema", "json_schema": {"schema": form}},
        stop=list(fields.inference_config.stop_sequences),
    )


def _tool_choice(fields: ConverseFields) -> str | dict[str, Any] | None:
    choice = fields.tool_config.tool_choice if fields.tool_config is not None else None
    if choice is None or choice.auto is not None:
        return None
    if choice.tool is not None:
        return {"type": "function", "function": {"name": choice.tool.name}}
    return "required"


def _system(fields: ConverseFields) -> Iterator[openai.Message]:
    said = [block.text for block in fields.system if block.text is not None]
    if said:
        parts = [{"type": "text", "text": text} for text in said]
        yield openai.Message("system", said[0] if len(said) == 1 else parts)


def _messages(message: Message) -> Iterator[openai.Message]:
    """One message of the model; or the results of tools, each its own, then what the user says."""
    for result in results_of(message):
        content = _content(result.content)
        yield openai.Message("tool", content, tool_call_id=result.tool_use_id)
    calls = [{"id": use.tool_use_id} for use in uses_of(message)]
    content = _content(message.content)
    if content or calls:
        yield openai.Message(message.role, content, calls or None)


def _content(blocks: Sequence[Block | ResultBlock]) -> str | list[dict[str, Any]]:
    """Parts as they are for the prose, a single text as the text itself."""
    parts = [part for block in blocks if (part := _part(block)) is not None]
    if not parts:
        return ""
    if len(parts) == 1 and parts[0]["type"] == "text":
        return str(parts[0]["text"])
    return parts


def _part(block: Block | ResultBlock) -> dict[str, Any] | None:
    if block.text is not None:
        return {"type": "text", "text": block.text}
    if block.image is not None:
        return {"type": "image_url", "image_url": {"url": _url(block.image)}}
    if block.document is not None:
        return {"type": "text", "text": f"[document {block.document.name}]"}
    if isinstance(block, ResultBlock) and block.json is not None:
        return {"type": "text", "text": msgspec.json.encode(block.json).decode()}
    return None


def _url(image: Image) -> str:
    if image.source.bytes is not None:
        return f"data:image/{image.format};base64,{image.source.bytes}"
    return image.source.s3_location.uri if image.source.s3_location is not None else ""
