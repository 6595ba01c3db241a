"""A conversation, written as Anthropic's messages.

Turns take turns: neighbours of one role become one message, and the first is the user's. To a model that
writes on from nobody's beginning the last is the user's too. Results of tools go before what else a user
says. Blocks without text are refused by the provider and left out. Thoughts go back only with Anthropic's own
signature, unchanged; those of another model would be taken for a forgery.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Iterator
from typing import Final

import msgspec

from adapters.dialect import BadCall
from adapters.middle.conversation import (
    CacheMark,
    Conversation,
    Media,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from adapters.middle.signature import ANTHROPIC, own

Json = dict[str, object]

_IMAGE_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_FOREIGN_IN_ID: Final = re.compile(r"[^A-Za-z0-9_-]")
_OPENING: Final[Json] = {"type": "text", "text": "…"}
GO_ON: Final = "Go on from where your last message ends. Do not repeat anything of it."


def messages_of(conversation: Conversation, *, prefill: bool = True) -> list[Json]:
    """Return the messages; with `prefill` the last may be the assistant's.

    Raises `BadCall` for what Anthropic has no words for.
    """
    merged: list[tuple[Role, list[Part]]] = []
    for turn in conversation.turns:
        if merged and merged[-1][0] == turn.role:
            merged[-1][1].extend(turn.parts)
        else:
            merged.append((turn.role, list(turn.parts)))
    messages: list[Json] = []
    for role, parts in merged:
        blocks = _blocks(role, parts)
        if blocks:
            messages.append({"role": role, "content": blocks})
    if not messages or messages[0]["role"] == "assistant":
        messages.insert(0, {"role": "user", "content": [_OPENING]})
    if messages[-1]["role"] == "assistant" and not prefill:
        return [*messages, {"role": "user", "content": [{"type": "text", "text": GO_ON}]}]
    return _without_last_space(messages)


def text_block(text: Text) -> Json:
    """Return one block of text."""
    return {"type": "text", "text": text.text, **cache_field(text.cache)}


def cache_field(mark: CacheMark | None) -> Json:
    """Return the field that marks a block for the cache, if it is to be."""
    if mark is None:
        return {}
    ttl = {} if mark.ttl is None else {"ttl": mark.ttl}
    return {"cache_control": {"type": "ephemeral", **ttl}}


def _blocks(role: Role, parts: list[Part]) -> list[Json]:
    if role == "user":
        results = [part for part in parts if isinstance(part, ToolResult)]
        parts = [*results, *(part for part in parts if not isinstance(part, ToolResult))]
    return [block for part in parts for block in _block(part)]


def _block(part: Part) -> Iterator[Json]:
    match part:
        case Text():
            if part.text.strip():
                yield text_block(part)
        case Media():
            yield _media(part)
        case ToolCall():
            yield _call(part)
        case ToolResult():
            yield _result(part)
        case Reasoning():
            yield from _thought(part)
        case Refusal():
            yield {"type": "text", "text": part.text}


def _thought(thought: Reasoning) -> Iterator[Json]:
    redacted = own(ANTHROPIC, thought.redacted)
    signature = own(ANTHROPIC, thought.signature)
    if redacted is not None:
        yield {"type": "redacted_thinking", "data": redacted}
    elif signature is not None:
        yield {"type": "thinking", "thinking": thought.text, "signature": signature}


def _call(call: ToolCall) -> Json:
    return {
        "type": "tool_use",
        "id": _id_of(call.id),
        "name": call.name,
        "input": msgspec.Raw(call.arguments.encode()),
        **cache_field(call.cache),
    }


def _result(result: ToolResult) -> Json:
    inner = [block for part in result.parts for block in _block(part)]
    block: Json = {"type": "tool_result", "tool_use_id": _id_of(result.call_id)}
    if inner:
        block["content"] = inner
    if result.is_error:
        block["is_error"] = True
    return {**block, **cache_field(result.cache)}


def _id_of(call_id: str) -> str:
    """Return an id as Anthropic takes it: another provider's may have signs that it refuses."""
    if call_id and not _FOREIGN_IN_ID.search(call_id):
        return call_id
    return f"{_FOREIGN_IN_ID.sub('_', call_id)}_{zlib.crc32(call_id.encode()):08x}"


def _media(media: Media) -> Json:
    match media:
        case Media(kind="image"):
            return {"type": "image", "source": _image_source(media), **cache_field(media.cache)}
        case Media(kind="file"):
            title = {} if media.name is None else {"title": media.name}
            source = _document_source(media)
            return {"type": "document", "source": source, **title, **cache_field(media.cache)}
    raise _cannot("listen to sound")


def _image_source(image: Media) -> Json:
    if image.url is not None:
        return {"type": "url", "url": image.url}
    if image.data is None:
        raise _cannot("open a file by its id")
    media_type = "image/jpeg" if image.media_type == "image/jpg" else image.media_type
    if media_type not in _IMAGE_TYPES:
        raise _cannot(f"see an image of type '{media_type}'")
    return {"type": "base64", "media_type": media_type, "data": image.data}


def _document_source(file: Media) -> Json:
    if file.url is not None:
        return {"type": "url", "url": file.url}
    if file.data is None:
        raise _cannot("open a file by its id")
    if file.media_type == "application/pdf":
        return {"type": "base64", "media_type": file.media_type, "data": file.data}
    if not (file.media_type or "").startswith("text/"):
        raise _cannot(f"read a file of type '{file.media_type}'")
    try:
        text = base64.b64decode(file.data, validate=True).decode()
    except (binascii.Error, ValueError):
        raise BadCall("A text file must be UTF-8 in base64.", param="messages") from None
    return {"type": "text", "media_type": "text/plain", "data": text}


def _without_last_space(messages: list[Json]) -> list[Json]:
    """Take the space from the end of an answer to be gone on with; Anthropic refuses it there."""
    last = messages[-1]
    blocks = last["content"]
    if last["role"] == "assistant" and isinstance(blocks, list) and blocks[-1]["type"] == "text":
        blocks[-1] = {**blocks[-1], "text": blocks[-1]["text"].rstrip()}
    return messages


def _cannot(what: str) -> BadCall:
    return BadCall(f"This model cannot {what}.", param="messages")
