"""Content blocks as Converse takes them: unions, of which exactly one member is there."""

from typing import Annotated, Any, Literal

import msgspec

Json = dict[str, Any]
ToolUseId = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_.:-]{1,64}$")]
ToolName = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """Takes no field that it does not know."""


class S3Location(Strict, frozen=True, kw_only=True):
    """A thing in a bucket."""

    uri: Annotated[str, msgspec.Meta(pattern=r"^s3://[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9](/.*)?$")]
    bucket_owner: str | None = None


class Source(Strict, frozen=True, kw_only=True):
    """Where the bytes of a medium are: here, in base64, or in a bucket. Documents may be text too."""

    bytes: str | None = None
    s3_location: S3Location | None = None
    text: str | None = None
    content: list[Json] | None = None


class Image(Strict, frozen=True, kw_only=True):
    """An image."""

    format: Literal["png", "jpeg", "gif", "webp"]
    source: Source


class Document(Strict, frozen=True, kw_only=True):
    """A document; the model reads its name."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    source: Source
    format: Literal["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"] | None = None
    context: str | None = None
    citations: Json | None = None


class Film(Strict, frozen=True, kw_only=True):
    """A film."""

    format: Literal["mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"]
    source: Source


class Sound(Strict, frozen=True, kw_only=True):
    """A sound."""

    format: Literal[
        "mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg",
        "mpga", "pcm", "webm",
    ]  # fmt: skip
    source: Source


class ToolUse(Strict, frozen=True, kw_only=True):
    """A call of a tool; its input may be any JSON, and models want an object."""

    tool_use_id: ToolUseId
    name: ToolName
    input: Json
    type: str | None = None


class ResultBlock(Strict, frozen=True, kw_only=True):
    """A part of what a tool answered."""

    json: Any = None
    text: str | None = None
    image: Image | None = None
    document: Document | None = None
    video: Film | None = None
    search_result: Json | None = None


class ToolResult(Strict, frozen=True, kw_only=True):
    """What a tool answered."""

    tool_use_id: ToolUseId
    content: list[ResultBlock]
    status: Literal["success", "error"] | None = None
    type: str | None = None


class CachePoint(Strict, frozen=True, kw_only=True):
    """A mark: the prompt up to here is to be cached."""

    type: Literal["default"]
    ttl: Literal["5m", "1h"] | None = None


class ReasoningText(Strict, frozen=True, kw_only=True):
    """A thought that comes back."""

    text: str
    signature: str | None = None


class Reasoning(Strict, frozen=True, kw_only=True):
    """A thought, or one that nobody may read."""

    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None


class Block(Strict, frozen=True, kw_only=True):
    """One block of a message."""

    text: str | None = None
    image: Image | None = None
    document: Document | None = None
    video: Film | None = None
    audio: Sound | None = None
    tool_use: ToolUse | None = None
    tool_result: ToolResult | None = None
    guard_content: Json | None = None
    cache_point: CachePoint | None = None
    reasoning_content: Reasoning | None = None
    citations_content: Json | None = None
    search_result: Json | None = None


class SystemBlock(Strict, frozen=True, kw_only=True):
    """One block of the system's text."""

    text: str | None = None
    guard_content: Json | None = None
    cache_point: CachePoint | None = None


def members_of(union: msgspec.Struct) -> list[str]:
    """The names of the members of a union that are there, as the wire has them."""
    return [
        encoded
        for name, encoded in zip(
            union.__struct_fields__, union.__struct_encode_fields__, strict=True
        )
        if getattr(union, name) is not None
    ]
