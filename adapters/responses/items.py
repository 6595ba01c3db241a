"""The `input` of a request, read into the middle: a text, or a list of items.

What the assistant said in a row (reasoning, words, calls) lies in as many items and is one turn here; so are
the outputs of its calls. System and developer messages are collected, wherever they stand, because few other
dialects have a place for them but the beginning. An output names its call by id only, so the calls are
remembered to find the function's name.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

import msgspec

from adapters.dialect import BadCall
from adapters.middle.arguments import as_object
from adapters.middle.conversation import (
    Media,
    Part,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from adapters.middle.data_url import read_data_url
from adapters.middle.signature import split_signature
from adapters.openai.foreign import NULL, UNREADABLE
from adapters.responses.seal import unseal
from adapters.responses.tools import custom_arguments, offered_name

T = TypeVar("T")

_AUDIO_TYPES: Final = {"wav": "audio/wav", "mp3": "audio/mpeg"}
# The traces of tools that are left out, and what `tools` reads for itself.
_SKIPPED: Final = frozenset(
    {
        "additional_tools",
        "image_generation_call",
        "tool_search_call",
        "tool_search_output",
        "web_search_call",
    }
)


class _Audio(msgspec.Struct):
    data: str
    format: str


class _Part(msgspec.Struct):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    file_url: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    filename: str | None = None
    detail: str | None = None
    input_audio: _Audio | None = None


class _Item(msgspec.Struct):
    type: str | None = None
    role: str | None = None
    id: str | None = None
    content: msgspec.Raw = NULL
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: msgspec.Raw = NULL
    input: msgspec.Raw = NULL
    output: msgspec.Raw = NULL
    summary: msgspec.Raw = NULL
    encrypted_content: str | None = None


_Content = str | list[_Part] | None

_decode_input: Final = msgspec.json.Decoder(str | list[_Item]).decode
_decode_content: Final = msgspec.json.Decoder(_Content).decode
_decode_text: Final = msgspec.json.Decoder(str | None).decode


def read_input(given: msgspec.Raw) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    """Return the system's texts and the turns. Raises `BadCall` that says which item is at fault."""
    found = _decoded("input", _decode_input, given)
    if isinstance(found, str):
        return (), (Turn("user", (Text(text=found),)),)
    reader = _Reader()
    for index, item in enumerate(found):
        reader.read(item, f"input[{index}]")
    return tuple(reader.system), tuple(Turn(role, tuple(parts)) for role, parts in reader.turns)


class _Reader:
    """Reads item by item; `where` is the place of one, for errors."""

    def __init__(self) -> None:
        self.system: list[Text] = []
        self.turns: list[tuple[Role, list[Part]]] = []
        self._names: dict[str, str] = {}

    def read(self, item: _Item, where: str) -> None:
        match item.type:
            case None | "message":
                self._message(item, where)
            case "function_call" | "custom_tool_call":
                self._add("assistant", [self._call(item, where)])
            case "function_call_output" | "custom_tool_call_output":
                self._result(item, where)
            case "reasoning":
                self._reasoning(item, where)
            case "item_reference":
                raise _bad(where, "no item is stored here: send the item itself")
            case kind if kind not in _SKIPPED:
                raise _bad(where, f"an item of type '{kind}' is not supported here")

    def _add(self, role: Role, parts: Sequence[Part]) -> None:
        """Add to the turn that is going on if it is the assistant's, else begin one."""
        if role == "assistant" and self.turns and self.turns[-1][0] == role:
            self.turns[-1][1].extend(parts)
        elif parts:
            self.turns.append((role, list(parts)))

    def _message(self, item: _Item, where: str) -> None:
        parts = list(_content(item.content, f"{where}.content"))
        match item.role:
            case "system" | "developer":
                texts = [part for part in parts if isinstance(part, Text)]
                if len(texts) < len(parts):
                    raise _bad(f"{where}.content", "a system message can hold text only")
                self.system += texts
            case "user":
                self._add("user", parts)
            case "assistant":
                if any(isinstance(part, Media) for part in parts):
                    raise _bad(f"{where}.content", "the assistant's message can hold text only")
                self._add("assistant", parts)
            case role:
                raise _bad(f"{where}.role", f"unknown role '{role}'")

    def _call(self, item: _Item, where: str) -> ToolCall:
        if not item.call_id or not item.name:
            raise _bad(where, "a call needs 'call_id' and 'name'")
        call_id, signature = split_signature(item.call_id)
        name = self._names[call_id] = offered_name(item.name, item.namespace)
        if item.type == "custom_tool_call":
            said = _decoded(f"{where}.input", _decode_text, item.input) or ""
            arguments = custom_arguments(said)
        else:
            written = _decoded(f"{where}.arguments", _decode_text, item.arguments)
            arguments = as_object(written or "")
        return ToolCall(id=call_id, name=name, arguments=arguments, signature=signature)

    def _result(self, item: _Item, where: str) -> None:
        call_id, _ = split_signature(item.call_id or "")
        name = self._names.get(call_id)
        if name is None:
            raise _bad(f"{where}.call_id", "no call with this id precedes its output")
        said = _content(item.output, f"{where}.output")
        parts = tuple(part for part in said if isinstance(part, Text | Media))
        result = ToolResult(call_id=call_id, name=name, parts=parts)
        if self.turns and isinstance(self.turns[-1][1][-1], ToolResult):
            self.turns[-1][1].append(result)
        else:
            self._add("user", [result])

    def _reasoning(self, item: _Item, where: str) -> None:
        told = _thoughts(item.summary, f"{where}.summary")
        text = told or _thoughts(item.content, f"{where}.content")
        reasoning = unseal(text, item.id, item.encrypted_content)
        if reasoning is not None:
            self._add("assistant", [reasoning])


def _content(raw: msgspec.Raw, where: str) -> Iterator[Part]:
    content = _decoded(where, _decode_content, raw)
    if isinstance(content, str):
        if content:
            yield Text(text=content)
        return
    for index, part in enumerate(content or ()):
        yield _part(part, f"{where}[{index}]")


def _part(part: _Part, where: str) -> Part:
    match part:
        case _Part(type="input_text" | "output_text" | "text", text=str(text)):
            return Text(text=text)
        case _Part(type="refusal", refusal=str(text)):
            return Refusal(text=text)
        case _Part(type="input_image"):
            return _image(part, where)
        case _Part(type="input_file"):
            return _file(part, where)
        case _Part(type="input_audio", input_audio=_Audio(data=data, format=form)):
            media_type = _AUDIO_TYPES.get(form, f"audio/{form}")
            return Media(kind="audio", data=data, media_type=media_type)
    raise _bad(where, f"a part of type '{part.type}' is not supported, or has not what it needs")


def _image(part: _Part, where: str) -> Media:
    if part.image_url is None:
        if part.file_id is None:
            raise _bad(where, "an image needs 'image_url'")
        return Media(kind="image", file_id=part.file_id, detail=part.detail)
    inline = read_data_url(part.image_url)
    if inline is not None and inline[0]:
        media_type, data = inline
        return Media(kind="image", data=data, media_type=media_type, detail=part.detail)
    if not part.image_url.lower().startswith(("https://", "http://")):
        raise _bad(f"{where}.image_url", "an address or a data URL in base64 was expected")
    return Media(kind="image", url=part.image_url, detail=part.detail)


def _file(part: _Part, where: str) -> Media:
    if part.file_data is not None:
        media_type, data = read_data_url(part.file_data) or ("", part.file_data)
        media_type = media_type or "application/pdf"
        return Media(kind="file", data=data, media_type=media_type, name=part.filename)
    if part.file_url is not None:
        return Media(kind="file", url=part.file_url, name=part.filename)
    if part.file_id is None:
        raise _bad(where, "a file needs 'file_data', 'file_url' or 'file_id'")
    return Media(kind="file", file_id=part.file_id, name=part.filename)


def _thoughts(raw: msgspec.Raw, where: str) -> str:
    """Return the text of a summary, or of reasoning that was told in full."""
    told = _decoded(where, _decode_content, raw)
    return told if isinstance(told, str) else "\n\n".join([part.text or "" for part in told or ()])


def _decoded(where: str, decode: Callable[[msgspec.Raw], T], raw: msgspec.Raw) -> T:
    try:
        return decode(raw)
    except UNREADABLE as error:
        said, _, path = str(error).partition(" - at `$")
        raise _bad(where + path.rstrip("`"), said) from None


def _bad(where: str, said: str) -> BadCall:
    return BadCall(f"Invalid '{where}': {said}.", param=where)
