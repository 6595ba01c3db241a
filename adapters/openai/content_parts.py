"""Answers whose content is a list of parts, as Mistral's thinking models give it, made OpenAI's.

OpenAI's content of an answer is one text, and clients read nothing else; what was thought goes to
`reasoning_content`, where many look for it. Everything else keeps its own bytes, and so does an answer that
has its content in one text.
"""

from typing import Final

import msgspec

from adapters.openai.foreign import NULL, UNREADABLE, starts_with
from adapters.openai.rewrite import with_fields

_LISTS: Final = (b'"content":[', b'"content": [')
_PLACES: Final = ("delta", "message")

Fields = dict[str, msgspec.Raw]


class _Part(msgspec.Struct):
    type: str | None = None
    text: str | None = None
    thinking: "str | list[_Part] | None" = None

    def thought(self) -> str:
        """Return what was thought, which stands in parts of its own."""
        if isinstance(self.thinking, str):
            return self.thinking
        return "".join(part.text or "" for part in self.thinking or ())


class _Choices(msgspec.Struct):
    choices: list[Fields]


_decode_choices: Final = msgspec.json.Decoder(_Choices).decode
_decode_fields: Final = msgspec.json.Decoder(Fields).decode
_decode_parts: Final = msgspec.json.Decoder(list[_Part]).decode
_encode: Final = msgspec.json.encode


def in_one_text(data: bytes) -> bytes:
    """Return an answer, or a chunk of one, with its content as one text."""
    if not any(mark in data for mark in _LISTS):
        return data
    try:
        choices = [_choice(choice) for choice in _decode_choices(data).choices]
        return with_fields(data, {"choices": msgspec.Raw(_encode(choices))})
    except UNREADABLE:  # for whoever reads it next
        return data


def _choice(choice: Fields) -> Fields:
    changed = dict(choice)
    for place in _PLACES:
        said = choice.get(place, NULL)
        if starts_with(said, b"{"):
            changed[place] = msgspec.Raw(_encode(_said(_decode_fields(said))))
    return changed


def _said(fields: Fields) -> Fields:
    content = fields.get("content", NULL)
    if not starts_with(content, b"["):
        return fields
    parts = _decode_parts(content)
    text = "".join(part.text or "" for part in parts if part.type == "text")
    thought = "".join(part.thought() for part in parts if part.type == "thinking")
    changed = {**fields, "content": msgspec.Raw(_encode(text))}
    if thought:
        changed["reasoning_content"] = msgspec.Raw(_encode(thought))
    return changed
