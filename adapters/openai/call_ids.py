"""Ids of calls as OpenAI takes them: at most forty characters, and no thoughts of other providers in them.

A client that has spoken with one provider goes on with another. The ids in its history may then be longer
than OpenAI takes, most of all where a signature of thought travels in them (see `adapters.middle.signature`).
They are made fit, the same for a call and its result, and those that fit stay as they are.
"""

import zlib
from collections.abc import Callable
from typing import Final

import msgspec

from adapters.middle.signature import MARK, split_signature
from adapters.openai.foreign import NULL, UNREADABLE

Fields = dict[str, msgspec.Raw]
Change = Callable[[str], str]

_LONGEST: Final = 40
_CHECK_SIGNS: Final = 9

_decode_objects: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.encode


def fitting_id(call_id: str) -> str:
    """Return an id that OpenAI takes; one that fits stays."""
    if len(call_id) <= _LONGEST:
        return call_id
    digest = zlib.crc32(call_id.encode("utf-8", "surrogatepass"))
    return f"{call_id[: _LONGEST - _CHECK_SIGNS]}_{digest:08x}"


def without_thoughts(messages: msgspec.Raw) -> msgspec.Raw:
    """Return the messages without signatures in their ids; in their own bytes where there is none."""
    if MARK not in bytes(messages):
        return messages
    try:
        return msgspec.Raw(_encode([with_ids(one, _plain_id) for one in _decode_objects(messages)]))
    except UNREADABLE:  # for the provider to judge
        return messages


def with_ids(message: Fields, change: Change) -> Fields:
    """Return a message with its ids changed. Raises `msgspec.DecodeError` for calls that are none."""
    changed = dict(message)
    if message.get("tool_calls", NULL) != NULL:
        calls = [_with_id(call, "id", change) for call in _decode_objects(message["tool_calls"])]
        changed["tool_calls"] = msgspec.Raw(_encode(calls))
    return _with_id(changed, "tool_call_id", change)


def _with_id(fields: Fields, name: str, change: Change) -> Fields:
    if fields.get(name, NULL) == NULL:
        return fields
    return {**fields, name: msgspec.Raw(_encode(change(_decode_text(fields[name]))))}


def _plain_id(call_id: str) -> str:
    return fitting_id(split_signature(call_id)[0])
