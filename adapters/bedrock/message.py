"""A conversation, written as Converse's messages.

Turns take turns: neighbours of one role become one message, and the first is the user's; so is the last to
a Claude that writes on from nobody's beginning. Results of tools go before what else a user says. Blank text
is refused and left out; a message with a document must hold text too. A mark for the cache is a block of its
own, behind what it marks.
"""

import re
import zlib
from typing import Final

import msgspec

from adapters.anthropic.upstream_messages import GO_ON
from adapters.bedrock.media import Json, MediaWriter
from adapters.bedrock.model import Traits
from adapters.dialect import BadCall
from adapters.middle.arguments import as_object
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

_FOREIGN_IN_ID: Final = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_ID: Final = 64
_CHECK_SIGNS: Final = 9
_OPENING: Final[Json] = {"text": "…"}
_LASTING: Final = "1h"


def messages_of(conversation: Conversation, traits: Traits) -> list[Json]:
    """Return the messages. Raises `BadCall` for what Converse has no words for."""
    merged: list[tuple[Role, list[Part]]] = []
    for turn in conversation.turns:
        parts = [part for part in turn.parts if not _is_blank(part)]
        if merged and merged[-1][0] == turn.role:
            merged[-1][1].extend(parts)
        elif parts:
            merged.append((turn.role, parts))
    writer = _Writer(traits)
    messages: list[Json] = [
        {"role": role, "content": writer.blocks(role, parts)} for role, parts in merged
    ]
    if not messages or messages[0]["role"] == "assistant":
        messages.insert(0, {"role": "user", "content": [_OPENING]})
    claude = traits.claude
    if messages[-1]["role"] == "assistant" and claude is not None and not claude.prefill:
        return [*messages, {"role": "user", "content": [{"text": GO_ON}]}]
    return _without_last_space(messages)


def system_of(conversation: Conversation, words: list[str], traits: Traits) -> list[Json]:
    """Return the blocks of the system's text, and behind them `words` of ours."""
    blocks: list[Json] = []
    for text in conversation.system:
        if text.text.strip():
            blocks += [{"text": text.text}, *cache_point(text.cache, traits)]
    return blocks + [{"text": said} for said in words]


def cache_point(mark: CacheMark | None, traits: Traits) -> list[Json]:
    """Return the block that marks for the cache what stands before it, if it is to be and can be."""
    if mark is None or traits.caches == "no":
        return []
    lasts = mark.ttl == _LASTING and traits.claude is not None and traits.claude.native_format
    ttl = {"ttl": _LASTING} if lasts else {}
    return [{"cachePoint": {"type": "default", **ttl}}]


class _Writer:
    def __init__(self, traits: Traits) -> None:
        self._traits = traits
        self._media = MediaWriter()

    def blocks(self, role: Role, parts: list[Part]) -> list[Json]:
        if role == "user":
            results = [part for part in parts if isinstance(part, ToolResult)]
            parts = [*results, *(part for part in parts if not isinstance(part, ToolResult))]
        blocks: list[Json] = []
        for part in parts:
            mark = None if isinstance(part, Reasoning | Refusal) else part.cache
            blocks += [self._block(part), *cache_point(mark, self._traits)]
        has_text = any("text" in block for block in blocks)
        if not has_text and any("document" in block for block in blocks):
            blocks.append(_OPENING)
        return blocks

    def _block(self, part: Part) -> Json:
        match part:
            case Text() | Refusal():
                return {"text": part.text}
            case Media():
                return self._media.block(part)
            case ToolCall():
                return {"toolUse": _call(part)}
            case ToolResult():
                return {"toolResult": self._result(part)}
            case Reasoning():
                return {"reasoningContent": _thought(part)}

    def _result(self, result: ToolResult) -> Json:
        inner = [self._block(part) for part in result.parts if not _is_blank(part)]
        if any("audio" in block for block in inner):
            raise BadCall("This model takes no sound as a tool's result.", param="messages")
        said: Json = {"toolUseId": _id_of(result.call_id), "content": inner}
        return {**said, "status": "error"} if result.is_error else said


def _is_blank(part: Part) -> bool:
    return isinstance(part, Text | Refusal) and not part.text.strip()


def _call(call: ToolCall) -> Json:
    arguments = msgspec.Raw(as_object(call.arguments).encode())
    return {"toolUseId": _id_of(call.id), "name": call.name, "input": arguments}


def _thought(thought: Reasoning) -> Json:
    if thought.redacted is not None:
        return {"redactedContent": thought.redacted}
    return {"reasoningText": {"text": thought.text, "signature": thought.signature}}


def _id_of(call_id: str) -> str:
    """Return an id as Converse takes it: another provider's may be longer, or have signs that it refuses."""
    if 0 < len(call_id) <= _LONGEST_ID and not _FOREIGN_IN_ID.search(call_id):
        return call_id
    plain = _FOREIGN_IN_ID.sub("_", call_id)[: _LONGEST_ID - _CHECK_SIGNS]
    return f"{plain}_{zlib.crc32(call_id.encode()):08x}"


def _without_last_space(messages: list[Json]) -> list[Json]:
    """Take the space from the end of an answer to be gone on with; models refuse it there."""
    last = messages[-1]
    blocks = last["content"]
    if last["role"] == "assistant" and isinstance(blocks, list) and "text" in blocks[-1]:
        blocks[-1] = {"text": blocks[-1]["text"].rstrip()}
    return messages
