"""Content blocks as Anthropic takes them; a field that a block does not have is refused."""

from typing import Annotated, Any, Literal

import msgspec

ToolUseId = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]+$")]
ImageType = Literal["image/jpeg", "image/png", "image/gif", "image/webp"]


class CacheControl(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mark: the prompt up to here is to be cached."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class Block(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", kw_only=True
):
    """What all blocks have in common."""


class Markable(Block, frozen=True, kw_only=True):
    """A block at which the cached part of the prompt may end."""

    cache_control: CacheControl | None = None


class TextBlock(Markable, frozen=True, kw_only=True, tag="text"):
    """Text."""

    text: str
    citations: list[dict[str, Any]] | None = None


class ImageBytes(Block, frozen=True, kw_only=True, tag="base64"):
    """An image in the request itself."""

    media_type: ImageType
    data: str


class Address(Block, frozen=True, kw_only=True, tag="url"):
    """An image or document that the provider fetches."""

    url: str


class ImageBlock(Markable, frozen=True, kw_only=True, tag="image"):
    """An image."""

    source: ImageBytes | Address


class DocumentBytes(Block, frozen=True, kw_only=True, tag="base64"):
    """A PDF in the request itself."""

    media_type: Literal["application/pdf"]
    data: str


class DocumentText(Block, frozen=True, kw_only=True, tag="text"):
    """A document of plain text."""

    media_type: Literal["text/plain"]
    data: str


class DocumentBlock(Markable, frozen=True, kw_only=True, tag="document"):
    """A document."""

    source: DocumentBytes | DocumentText | Address
    title: str | None = None
    context: str | None = None
    citations: dict[str, Any] | None = None


class ThinkingBlock(Block, frozen=True, kw_only=True, tag="thinking"):
    """A thought that comes back."""

    thinking: str
    signature: str


class RedactedThinkingBlock(Block, frozen=True, kw_only=True, tag="redacted_thinking"):
    """A thought that nobody may read, and that comes back."""

    data: str


class ToolUseBlock(Markable, frozen=True, kw_only=True, tag="tool_use"):
    """A call of a tool."""

    id: ToolUseId
    name: str
    input: dict[str, Any]
    caller: dict[str, Any] | None = None


ResultContent = TextBlock | ImageBlock | DocumentBlock


class ToolResultBlock(Markable, frozen=True, kw_only=True, tag="tool_result"):
    """What a tool answered."""

    tool_use_id: ToolUseId
    content: str | list[ResultContent] | None = None
    is_error: bool | None = None


AnyBlock = (
    TextBlock
    | ImageBlock
    | DocumentBlock
    | ThinkingBlock
    | RedactedThinkingBlock
    | ToolUseBlock
    | ToolResultBlock
)
