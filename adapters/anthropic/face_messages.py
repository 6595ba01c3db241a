"""A client's messages of Anthropic's form, read into the middle.

The system's words may stand in a field of their own, in messages of the role `system`, or in blocks amid a
message; they are collected in order. A result of a tool names its call by id only, so the calls are
remembered to find the tool's name.
"""

import base64
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal, TypeVar

import msgspec

from adapters.dialect import BadCall
from adapters.middle.arguments import NO_ARGUMENTS
from adapters.middle.conversation import (
    CacheMark,
    Media,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from adapters.middle.signature import split_signature
from adapters.openai.foreign import NULL, UNREADABLE

T = TypeVar("T")


class CacheControl(msgspec.Struct):
    """The mark of a block for the cache."""

    ttl: str | None = None


class _Source(msgspec.Struct):
    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None


class _Block(msgspec.Struct):
    type: str
    text: str | None = None
    source: _Source | None = None
    title: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = NULL
    tool_use_id: str | None = None
    content: "str | list[_Block] | None" = None
    is_error: bool | None = None
    cache_control: CacheControl | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Block]


_decode_messages: Final = msgspec.json.Decoder(list[_Message]).decode
_decode_system: Final = msgspec.json.Decoder(str | list[_Block]).decode
_decode_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_messages(
    messages: msgspec.Raw, system: msgspec.Raw
) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    """Return the system's texts and the turns. Raises `BadCall` that says which block is at fault."""
    reader = _Reader()
    if system != NULL:
        said = _decoded("system", _decode_system, system)
        reader.system += _texts(said, "system")
    for index, message in enumerate(_decoded("messages", _decode_messages, messages)):
        reader.read(message, f"messages[{index}]")
    return tuple(reader.system), tuple(reader.turns)


class _Reader:
    """Reads message by message; `where` is the place of one, for errors."""

    def __init__(self) -> None:
        self.system: list[Text] = []
        self.turns: list[Turn] = []
        self._names: dict[str, str] = {}

    def read(self, message: _Message, where: str) -> None:
        match message.role:
            case "system":
                self.system += _texts(message.content, where)
            case "user" | "assistant":
                parts = tuple(self._parts(message.content, where))
                self.turns.append(Turn(message.role, parts))
            case role:
                raise _bad(f"{where}.role", f"unknown role '{role}'")

    def _parts(self, content: str | list[_Block], where: str) -> Iterator[Part]:
        if isinstance(content, str):
            yield from _texts(content, where)
            return
        for index, block in enumerate(content):
            at = f"{where}.content[{index}]"
            match block.type:
                case "mid_conv_system":
                    self.system += _texts(block.content or "", at)
                case "tool_use":
                    yield self._call(block, at)
                case "tool_result":
                    yield self._result(block, at)
                case "thinking" | "redacted_thinking":
                    yield _thought(block)
                case _:
                    yield _said(block, at)

    def _call(self, block: _Block, where: str) -> ToolCall:
        call_id, signature = split_signature(block.id or "")
        name = block.name or ""
        self._names[call_id] = name
        arguments = NO_ARGUMENTS
        if block.input != NULL:
            _decoded(f"{where}.input", _decode_object, block.input)
            arguments = bytes(block.input).decode()
        return ToolCall(
            id=call_id,
            name=name,
            arguments=arguments,
            signature=signature,
            cache=_mark(block),
        )

    def _result(self, block: _Block, where: str) -> ToolResult:
        call_id, _ = split_signature(block.tool_use_id or "")
        name = self._names.get(call_id)
        if name is None:
            raise _bad(f"{where}.tool_use_id", "no tool_use with this id precedes the result")
        return ToolResult(
            call_id=call_id,
            name=name,
            parts=tuple(_inner(block.content or "", where)),
            is_error=bool(block.is_error),
            cache=_mark(block),
        )


def _inner(content: "str | list[_Block]", where: str) -> Iterator[Text | Media]:
    if isinstance(content, str):
        yield from _texts(content, where)
        return
    for index, block in enumerate(content):
        yield _said(block, f"{where}.content[{index}]")


def _said(block: _Block, where: str) -> Text | Media:
    match block:
        case _Block(type="text", text=str(text)):
            return Text(text=text, cache=_mark(block))
        case _Block(type="image", source=_Source() as source):
            return _media("image", source, block, where)
        case _Block(type="document", source=_Source() as source):
            return _media("file", source, block, where)
    raise _bad(where, f"a block of type '{block.type}' is not supported by this model")


def _media(kind: Literal["image", "file"], source: _Source, block: _Block, where: str) -> Media:
    match source:
        case _Source(type="base64", data=str(data), media_type=str(media_type)):
            found = Media(kind=kind, data=data, media_type=media_type)
        case _Source(type="url", url=str(url)):
            found = Media(kind=kind, url=url)
        case _Source(type="text", data=str(text)):
            plain = base64.b64encode(text.encode()).decode()
            found = Media(kind=kind, data=plain, media_type="text/plain")
        case _:
            raise _bad(f"{where}.source", f"'{source.type}' is not supported by this model")
    return msgspec.structs.replace(found, name=block.title, cache=_mark(block))


def _thought(block: _Block) -> Reasoning:
    if block.type == "redacted_thinking":
        return Reasoning(redacted=block.data or "")
    return Reasoning(text=block.thinking or "", signature=block.signature or None)


def _texts(content: str | Sequence[_Block], where: str) -> list[Text]:
    if isinstance(content, str):
        return [Text(text=content)] if content else []
    texts = [_said(block, f"{where}[{index}]") for index, block in enumerate(content)]
    found = [text for text in texts if isinstance(text, Text)]
    if len(found) < len(texts):
        raise _bad(where, "only text is possible here")
    return found


def _mark(block: _Block) -> CacheMark | None:
    return None if block.cache_control is None else CacheMark(block.cache_control.ttl)


def _decoded(where: str, decode: Callable[[msgspec.Raw], T], raw: msgspec.Raw) -> T:
    try:
        return decode(raw)
    except UNREADABLE as error:
        said, _, path = str(error).partition(" - at `$")
        raise _bad(where + path.rstrip("`"), said) from None


def _bad(where: str, said: str) -> BadCall:
    return BadCall(f"{where}: {said}", param=where)
