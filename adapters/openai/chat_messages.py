"""The messages of a chat, read into the middle: what every role may say, in all its forms.

Content is text or a list of parts in every role. System and developer messages are collected, wherever they
stand, because few other dialects have a place for them but the beginning; none is lost. A tool's message
names its call by id only, so the calls are remembered to find the function's name.

Reasoning has no place in OpenAI's book. It is read from `reasoning_details` (OpenRouter's form, which keeps
signatures), else from `reasoning_content` or `reasoning`.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from adapters.dialect import BadCall
from adapters.middle.arguments import as_object
from adapters.middle.conversation import (
    CacheMark,
    Media,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from adapters.middle.data_url import read_data_url
from adapters.middle.signature import owned, split_signature
from adapters.openai.foreign import UNREADABLE

_AUDIO_TYPES: Final = {"wav": "audio/wav", "mp3": "audio/mpeg"}


class _CacheControl(msgspec.Struct):
    ttl: str | None = None


class _ImageUrl(msgspec.Struct):
    url: str
    detail: str | None = None


class _Audio(msgspec.Struct):
    data: str
    format: str


class _File(msgspec.Struct):
    file_id: str | None = None
    file_data: str | None = None
    filename: str | None = None


class _Part(msgspec.Struct):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: _ImageUrl | str | None = None
    input_audio: _Audio | None = None
    file: _File | None = None
    cache_control: _CacheControl | None = None


class _Function(msgspec.Struct):
    name: str
    arguments: str | None = None


class _Google(msgspec.Struct):
    thought_signature: str | None = None


class _ExtraContent(msgspec.Struct):
    google: _Google | None = None


class _Call(msgspec.Struct):
    id: str
    function: _Function | None = None
    type: str | None = None
    extra_content: _ExtraContent | None = None


class _ReasoningDetail(msgspec.Struct):
    type: str
    text: str | None = None
    summary: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[_ReasoningDetail] | None = None
    cache_control: _CacheControl | None = None


_decode_messages: Final = msgspec.json.Decoder(list[_Message]).decode


def read_messages(messages: msgspec.Raw) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    """Return the system's texts and the turns. Raises `BadCall` that says which message is at fault."""
    try:
        found = _decode_messages(messages)
    except UNREADABLE as error:
        said, _, path = str(error).partition(" - at `$")
        raise _bad(path.rstrip("`"), said) from None
    reader = _Reader()
    for index, message in enumerate(found):
        reader.read(message, f"[{index}]")
    return tuple(reader.system), tuple(reader.turns)


class _Reader:
    """Reads message by message; `where` is the place of one, for errors."""

    def __init__(self) -> None:
        self.system: list[Text] = []
        self.turns: list[Turn] = []
        self._names: dict[str, str] = {}

    def read(self, message: _Message, where: str) -> None:
        parts = _with_mark(list(_content(message.content, where)), message.cache_control)
        match message.role:
            case "system" | "developer":
                self.system += _texts(parts, where)
            case "user":
                self.turns.append(Turn("user", tuple(parts)))
            case "assistant":
                self.turns.append(Turn("assistant", tuple(self._assistant(message, parts, where))))
            case "tool":
                self.turns.append(Turn("user", (self._result(message, parts, where),)))
            case role:
                raise _bad(f"{where}.role", f"Unknown role '{role}'")

    def _assistant(self, message: _Message, said: Sequence[Part], where: str) -> Iterator[Part]:
        if any(isinstance(part, Media) for part in said):
            raise _bad(f"{where}.content", "The assistant's message can hold text only")
        yield from _reasoning(message)
        yield from said
        if message.refusal:
            yield Refusal(text=message.refusal)
        for index, call in enumerate(message.tool_calls or ()):
            yield self._call(call, f"{where}.tool_calls[{index}]")

    def _call(self, call: _Call, where: str) -> ToolCall:
        if call.function is None:
            raise _bad(where, "Only calls of functions are supported")
        call_id, signature = split_signature(call.id)
        google = call.extra_content and call.extra_content.google
        if signature is None and google and google.thought_signature:
            signature = owned("gemini", google.thought_signature)
        self._names[call_id] = call.function.name
        return ToolCall(
            id=call_id,
            name=call.function.name,
            arguments=as_object(call.function.arguments or ""),
            signature=signature,
        )

    def _result(self, message: _Message, said: Sequence[Part], where: str) -> ToolResult:
        call_id, _ = split_signature(message.tool_call_id or "")
        name = self._names.get(call_id)
        if name is None:
            raise _bad(f"{where}.tool_call_id", "No tool call with this id precedes the message")
        return ToolResult(
            call_id=call_id,
            name=name,
            parts=tuple(part for part in said if isinstance(part, Text | Media)),
        )


def _content(content: str | list[_Part] | None, where: str) -> Iterator[Part]:
    if isinstance(content, str):
        if content:
            yield Text(text=content)
        return
    for index, part in enumerate(content or ()):
        yield _part(part, f"{where}.content[{index}]")


def _part(part: _Part, where: str) -> Part:
    mark = None if part.cache_control is None else CacheMark(part.cache_control.ttl)
    match part:
        case _Part(type="text", text=str(text)):
            return Text(text=text, cache=mark)
        case _Part(type="refusal", refusal=str(text)):
            return Refusal(text=text)
        case _Part(type="image_url", image_url=_ImageUrl(url=url, detail=detail)):
            return _image(url, detail, mark, where)
        case _Part(type="image_url", image_url=str(url)):
            return _image(url, None, mark, where)
        case _Part(type="input_audio", input_audio=_Audio(data=data, format=form)):
            media_type = _AUDIO_TYPES.get(form, f"audio/{form}")
            return Media(kind="audio", data=data, media_type=media_type, cache=mark)
        case _Part(type="file", file=_File() as file):
            return _file(file, mark, where)
    raise _bad(where, f"A part of type '{part.type}' is not supported, or has not what it needs")


def _image(url: str, detail: str | None, mark: CacheMark | None, where: str) -> Media:
    inline = read_data_url(url)
    if inline is not None and inline[0]:
        media_type, data = inline
        return Media(kind="image", data=data, media_type=media_type, detail=detail, cache=mark)
    if not url.lower().startswith(("https://", "http://")):
        raise _bad(f"{where}.image_url", "An address or a data URL in base64 was expected")
    return Media(kind="image", url=url, detail=detail, cache=mark)


def _file(file: _File, mark: CacheMark | None, where: str) -> Media:
    if file.file_id is not None:
        return Media(kind="file", file_id=file.file_id, name=file.filename, cache=mark)
    if file.file_data is None:
        raise _bad(f"{where}.file", "A file needs 'file_data' or 'file_id'")
    media_type, data = read_data_url(file.file_data) or ("", file.file_data)
    return Media(
        kind="file",
        data=data,
        media_type=media_type or "application/pdf",
        name=file.filename,
        cache=mark,
    )


def _reasoning(message: _Message) -> Iterator[Reasoning]:
    for detail in message.reasoning_details or ():
        if detail.type == "reasoning.encrypted" and detail.data:
            yield Reasoning(redacted=detail.data, id=detail.id)
        elif detail.text or detail.summary or detail.signature:
            text = detail.text or detail.summary or ""
            yield Reasoning(text=text, signature=detail.signature, id=detail.id)
    plain = message.reasoning_content or message.reasoning
    if plain and not message.reasoning_details:
        yield Reasoning(text=plain)


def _texts(parts: Sequence[Part], where: str) -> list[Text]:
    texts = [part for part in parts if isinstance(part, Text)]
    if len(texts) < len(parts):
        raise _bad(f"{where}.content", "A system message can hold text only")
    return texts


def _with_mark(parts: list[Part], control: _CacheControl | None) -> list[Part]:
    """Set the mark of a whole message on its last part."""
    if control is not None and parts and isinstance(parts[-1], Text | Media):
        parts[-1] = msgspec.structs.replace(parts[-1], cache=CacheMark(control.ttl))
    return parts


def _bad(path: str, said: str) -> BadCall:
    return BadCall(f"Invalid 'messages{path}': {said}.", param=f"messages{path}")
