"""The rules of single blocks: nothing empty, media that are what they say, thoughts unchanged.

Source: Anthropic's API reference, its guides to vision, caching and thinking, and the messages of the
real service.
"""

import base64
import binascii
from collections.abc import Iterator
from typing import Final, Literal

from router.simulator.anthropic.blocks import (
    Address,
    AnyBlock,
    CacheControl,
    DocumentBlock,
    ImageBlock,
    ImageBytes,
    Markable,
    RedactedThinkingBlock,
    ResultContent,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from router.simulator.anthropic.error import invalid
from router.simulator.anthropic.fields import Message, Prompt
from router.simulator.signature import is_signature, sign

THOUGHT: Final = "anthropic thinking"
"""What signatures of thoughts are made for, beside the thought itself."""
MOST_MARKS: Final = 4
_MAGIC: Final = {
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
}


def blocks_of(message: Message) -> list[AnyBlock]:
    """The blocks of a message; a text is one, an empty one none."""
    if isinstance(message.content, str):
        return [TextBlock(text=message.content)] if message.content else []
    return list(message.content)


def check_block(block: AnyBlock, role: Literal["user", "assistant"], place: str) -> None:
    """Raise Refusal for a block that is wrong, or in the turn of the wrong side."""
    is_answer = isinstance(block, ThinkingBlock | RedactedThinkingBlock | ToolUseBlock)
    is_given = isinstance(block, ToolResultBlock | ImageBlock)
    if (is_answer and role == "user") or (is_given and role == "assistant"):
        raise invalid(f"{place}: a block of this type cannot be in the turn of the {role}")
    match block:
        case TextBlock():
            check_text(block, place)
        case ImageBlock() | DocumentBlock():
            _check_media(block, place)
        case ThinkingBlock() | RedactedThinkingBlock():
            _check_thought(block, place)
        case ToolResultBlock():
            for number, inner in enumerate(_inner(block)):
                check_block(inner, role, f"{place}.content.{number}")


def check_text(block: TextBlock, place: str) -> None:
    """Raise Refusal for a text that says nothing."""
    if not block.text:
        if block.cache_control is not None:
            raise invalid(f"{place}: cache_control cannot be set for empty text blocks")
        raise invalid(f"{place}: text content blocks must be non-empty")
    if not block.text.strip():
        raise invalid(f"{place}: text content blocks must contain non-whitespace text")


def check_marks(fields: Prompt) -> None:
    """Raise Refusal for too many marks of the cache."""
    marks = sum(mark is not None for mark in _marks(fields))
    if marks > MOST_MARKS:
        told = (
            f"A maximum of {MOST_MARKS} blocks with cache_control may be provided. Found {marks}."
        )
        raise invalid(told)


def _check_thought(block: ThinkingBlock | RedactedThinkingBlock, place: str) -> None:
    if isinstance(block, RedactedThinkingBlock):
        if not is_signature(block.data):
            raise invalid(f"{place}: Invalid `data` in `redacted_thinking` block")
    elif block.signature != sign(THOUGHT, block.thinking):
        raise invalid(f"{place}: Invalid `signature` in `thinking` block")


def _check_media(block: ImageBlock | DocumentBlock, place: str) -> None:
    source = block.source
    if isinstance(source, Address):
        if not source.url.startswith("https://"):
            raise invalid(f"{place}.source.url: Only HTTPS URLs are supported.")
        return
    if not source.data:
        raise invalid(f"{place}.source.data: cannot be empty")
    if source.media_type == "text/plain":
        return
    try:
        data = base64.b64decode(source.data, validate=True)
    except (binascii.Error, ValueError):
        raise invalid(f"{place}.source.data: The data is not valid base64") from None
    if isinstance(source, ImageBytes) and not data.startswith(_MAGIC[source.media_type]):
        told = f"Image does not match the provided media type {source.media_type}"
        raise invalid(f"{place}.source: {told}")


def _inner(result: ToolResultBlock) -> list[ResultContent]:
    return result.content if isinstance(result.content, list) else []


def _marks(fields: Prompt) -> Iterator[CacheControl | None]:
    yield fields.cache_control
    yield from (tool.cache_control for tool in fields.tools)
    if isinstance(fields.system, list):
        yield from (block.cache_control for block in fields.system)
    for message in fields.messages:
        for block in blocks_of(message):
            if isinstance(block, Markable):
                yield block.cache_control
            if isinstance(block, ToolResultBlock):
                yield from (inner.cache_control for inner in _inner(block))
