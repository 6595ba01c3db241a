"""The rules of single blocks: one member each, nothing blank, media that are what they say.

Source: `ContentBlock` and what it consists of in the API reference of Amazon Bedrock Runtime, and the
messages of the real service.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final, Literal

from router.simulator.anthropic.block_rules import THOUGHT
from router.simulator.bedrock.blocks import (
    Block,
    Document,
    Image,
    Reasoning,
    ResultBlock,
    Source,
    ToolResult,
    members_of,
)
from router.simulator.bedrock.error import invalid
from router.simulator.signature import is_signature, sign

_MAGIC: Final = {
    "jpeg": (b"\xff\xd8\xff",),
    "png": (b"\x89PNG\r\n\x1a\n",),
    "gif": (b"GIF87a", b"GIF89a"),
    "webp": (b"RIFF",),
}
_DOCUMENT_NAME: Final = re.compile(r"[A-Za-z0-9()\[\]-]+(?: [A-Za-z0-9()\[\]-]+)*")
_ANSWERS: Final = frozenset({"toolUse", "reasoningContent", "citationsContent"})
_GIVEN: Final = frozenset({"toolResult", "image", "document", "video", "audio", "searchResult"})


def check_block(block: Block, role: Literal["user", "assistant"], place: str) -> None:
    """Raise Refusal for a block that is wrong, or in the turn of the wrong side."""
    members = members_of(block)
    if len(members) != 1:
        raise invalid(f"The ContentBlock object at {place} must set one of its members.")
    [member] = members
    if member in (_ANSWERS if role == "user" else _GIVEN):
        raise invalid(f"{place}: {member} blocks cannot be in the turn of the {role}.")
    if block.text is not None:
        check_text(block.text, place)
    _check_media(block, place)
    if block.tool_result is not None:
        _check_result(block.tool_result, f"{place}.toolResult")
    if block.reasoning_content is not None:
        _check_thought(block.reasoning_content, place)


def check_text(text: str, place: str) -> None:
    """Raise Refusal for a text that says nothing."""
    if not text.strip():
        told = f"The text field in the ContentBlock object at {place} is blank."
        raise invalid(f"{told} Add text to the text field, and try again.")


def check_documents(blocks: Sequence[Block], place: str, names: set[str]) -> None:
    """Raise Refusal for documents without words beside them, or with a name twice; notes the `names`."""
    documents = [block.document for block in blocks if block.document is not None]
    if documents and not any(block.text is not None for block in blocks):
        raise invalid(f"{place}: a text block must be included along with a document.")
    for document in documents:
        if document.name in names:
            raise invalid(f"Messages contain duplicate document names: {document.name}.")
        names.add(document.name)


def _check_result(result: ToolResult, place: str) -> None:
    if not result.content and result.status == "error":
        told = f"The content field at {place} cannot be empty when status value is error."
        raise invalid(told)
    for number, block in enumerate(result.content):
        if len(members_of(block)) != 1:
            raise invalid(f"The block at {place}.content.{number} must set one of its members.")
        _check_media(block, f"{place}.content.{number}")


def _check_media(block: Block | ResultBlock, place: str) -> None:
    if block.image is not None:
        _check_image(block.image, place)
    if block.document is not None:
        _check_document(block.document, place)
    if block.video is not None:
        _decoded(block.video.source, place)
    if isinstance(block, Block) and block.audio is not None:
        _decoded(block.audio.source, place)


def _check_image(image: Image, place: str) -> None:
    data = _decoded(image.source, place)
    if data is not None and not data.startswith(_MAGIC[image.format]):
        raise invalid(f"{place}.image: Could not process image as {image.format}.")


def _check_document(document: Document, place: str) -> None:
    if not _DOCUMENT_NAME.fullmatch(document.name):
        told = "The document file name can only contain alphanumeric characters, whitespace"
        raise invalid(f"{place}: {told} characters, hyphens, parentheses, and square brackets.")
    if document.source.text is None and document.source.content is None:
        _decoded(document.source, place)


def _decoded(source: Source, place: str) -> bytes | None:
    """The bytes of a medium, None where they are in a bucket."""
    if (source.bytes is None) == (source.s3_location is None):
        raise invalid(f"{place}.source must set one of its members.")
    if source.bytes is None:
        return None
    try:
        data = base64.b64decode(source.bytes, validate=True)
    except (binascii.Error, ValueError):
        raise invalid(f"{place}.source.bytes is not valid base64.") from None
    if not data:
        raise invalid(f"{place}.source.bytes is empty.")
    return data


def _check_thought(thought: Reasoning, place: str) -> None:
    if len(members_of(thought)) != 1:
        raise invalid(f"{place}.reasoningContent must set one of its members.")
    if thought.redacted_content is not None and not is_signature(thought.redacted_content):
        raise invalid(f"{place}: Invalid `data` in `redacted_thinking` block")
    text = thought.reasoning_text
    if text is not None and text.signature != sign(THOUGHT, text.text):
        raise invalid(f"{place}: Invalid `signature` in `thinking` block")
