"""Thoughts of other models in a history that goes on at Anthropic.

A client of Messages keeps the thinking of whoever answered, and Anthropic takes back only what it has signed
itself. What others thought is left out on the way there; everything else keeps its own bytes.
"""

import operator
from typing import Final

import msgspec

from adapters.middle.signature import ANTHROPIC, own
from adapters.openai.foreign import UNREADABLE, starts_with

_TYPE: Final = b'thinking"'

_decode_messages: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_decode_blocks: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode: Final = msgspec.json.encode


class _Block(msgspec.Struct):
    type: str | None = None
    signature: str | None = None
    data: str | None = None

    def is_foreign(self) -> bool:
        if self.type == "thinking":
            return own(ANTHROPIC, self.signature) is None
        return self.type == "redacted_thinking" and own(ANTHROPIC, self.data) is None


_decode_block: Final = msgspec.json.Decoder(_Block).decode


def without_foreign_thoughts(messages: msgspec.Raw) -> msgspec.Raw:
    """Return the messages without what other models thought; in their own bytes where nothing is left out."""
    if _TYPE not in bytes(messages):
        return messages
    try:
        found = _decode_messages(messages)
        kept = [one for one in map(_message, found) if one is not None]
    except UNREADABLE:  # for the provider to judge
        return messages
    if len(kept) == len(found) and all(map(operator.is_, kept, found)):
        return messages
    return msgspec.Raw(_encode(kept))


def _message(message: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw] | None:
    """Return a message without foreign thoughts, `None` if it was nothing else; itself if it has none."""
    content = message.get("content")
    if content is None or not starts_with(content, b"[") or _TYPE not in bytes(content):
        return message
    blocks = _decode_blocks(content)
    kept = [block for block in blocks if not _decode_block(block).is_foreign()]
    if len(kept) == len(blocks):
        return message
    return {**message, "content": msgspec.Raw(_encode(kept))} if kept else None
