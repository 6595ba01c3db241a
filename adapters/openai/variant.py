"""How a provider's chat departs from OpenAI's: other names, missing words, rules of its own for the history.

Many providers speak OpenAI's dialect and few speak all of it. Where one refuses what clients send by habit,
or worse ignores a limit under a name that it does not know, the request is adapted on its way out: fields get
the provider's names, those that only guide and mean nothing there are left out, and what it cannot do is
refused here in clear words. All else keeps its own bytes. Of answers only those are adapted whose content is
no text.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

import msgspec

from adapters.dialect import BadCall, Endpoint
from adapters.openai.call_ids import with_ids
from adapters.openai.content_parts import in_one_text
from adapters.openai.foreign import EMPTY, FALSY, NULL, UNREADABLE, starts_with

Message = dict[str, msgspec.Raw]
Fields = dict[str, msgspec.Raw]

_SHORT_ID: Final = re.compile(r"[A-Za-z0-9]{9}")
_SHORT_ID_SIGNS: Final = 9
_TEXT_PARTS: Final = frozenset({"text", "refusal"})
_ASSISTANT: Final = msgspec.Raw(b'"assistant"')
_UNSAID: Final = msgspec.Raw(b'" "')  # an empty text counts as none
_JSON_OBJECT: Final = msgspec.Raw(b'{"type":"json_object"}')
_SCHEMA_WORDS: Final = (
    "Answer with one JSON object and nothing else. It conforms to this JSON schema: "
)


class _Part(msgspec.Struct):
    type: str | None = None


class _JsonSchema(msgspec.Struct):
    schema: msgspec.Raw = NULL


class _Format(msgspec.Struct):
    type: str | None = None
    json_schema: _JsonSchema | None = None


_decode_objects: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_decode_parts: Final = msgspec.json.Decoder(list[_Part]).decode
_decode_format: Final = msgspec.json.Decoder(_Format).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_number: Final = msgspec.json.Decoder(float).decode
_decode_count: Final = msgspec.json.Decoder(int | None).decode
_encode: Final = msgspec.json.encode


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One provider's departures.

    `renamed` and `dropped` are fields of a request, `refused` those that it cannot fulfil, with the words for
    it. `roles` replace those of messages, and of a message of a role in `message_fields` only these fields
    are sent. `short_call_ids`: ids of calls have nine letters and digits. `text_only`: it sees no images.
    `schemas_in_words`: it takes a JSON schema of its answer only in the prompt. `one_choice`: one at a time.
    `wants_thoughts`: in a history with calls each message of the assistant must have its reasoning.
    `highest_temperature`: what lies above becomes this. `answers_in_parts`: content may be a list.
    """

    renamed: Mapping[str, str] = {}
    dropped: frozenset[str] = frozenset()
    refused: Mapping[str, str] = {}
    roles: Mapping[str, str] = {}
    message_fields: Mapping[str, frozenset[str]] = {}
    short_call_ids: bool = False
    text_only: bool = False
    schemas_in_words: bool = False
    one_choice: bool = False
    wants_thoughts: bool = False
    highest_temperature: float | None = None
    answers_in_parts: bool = False

    def adapted(self, endpoint: Endpoint, fields: Fields) -> Fields:
        """Return the fields of a request as this provider takes them. Raises `BadCall`."""
        for name, words in self.refused.items():
            if fields.get(name, NULL) not in FALSY:
                raise BadCall(words, param=name)
        gone = self.dropped | self.refused.keys()
        kept = {name: raw for name, raw in fields.items() if name not in gone}
        for name, other in self.renamed.items():
            found = kept.pop(name, NULL)
            if found != NULL:
                kept[other] = found
        if kept.get("tools", NULL) in EMPTY:
            kept.pop("tools", None)
        if self.highest_temperature is not None:
            _limit(kept, "temperature", self.highest_temperature)
        return self._chat(kept) if endpoint == "chat" else kept

    def read(self, data: bytes) -> bytes:
        """Return an answer, or a chunk of one, as OpenAI would write it."""
        return in_one_text(data) if self.answers_in_parts else data

    def _chat(self, fields: Fields) -> Fields:
        if self.one_choice and (_decode_count(fields.get("n", NULL)) or 1) > 1:
            raise BadCall("This model gives one choice at a time.", param="n")
        try:
            messages = [self._message(one) for one in _decode_objects(fields["messages"])]
        except UNREADABLE as error:
            raise BadCall(f"'messages' cannot be read: {error}.", param="messages") from None
        if self.wants_thoughts and any("tool_calls" in message for message in messages):
            messages = [_with_thought(message) for message in messages]
        if self.schemas_in_words:
            fields, instructions = _without_schema(fields)
            messages = [*instructions, *messages]
        return {**fields, "messages": msgspec.Raw(_encode(messages))}

    def _message(self, message: Message) -> Message:
        role = _decode_text(message.get("role", msgspec.Raw(b'""')))
        if role in self.roles:
            role = self.roles[role]
            message = {**message, "role": msgspec.Raw(_encode(role))}
        known = self.message_fields.get(role)
        if known is not None:
            message = {name: raw for name, raw in message.items() if name in known}
        if message.get("tool_calls", NULL) in EMPTY:
            message = {name: raw for name, raw in message.items() if name != "tool_calls"}
        if self.text_only:
            _check_text(message.get("content", NULL))
        return with_ids(message, _short_id) if self.short_call_ids else message


def _limit(fields: Fields, name: str, most: float) -> None:
    if fields.get(name, NULL) != NULL and _decode_number(fields[name]) > most:
        fields[name] = msgspec.Raw(_encode(most))


def _check_text(content: msgspec.Raw) -> None:
    parts = _decode_parts(content) if starts_with(content, b"[") else []
    if any(part.type not in _TEXT_PARTS for part in parts):
        raise BadCall("This model takes text only.", param="messages")


def _short_id(call_id: str) -> str:
    """Return an id of nine letters and digits, the same for the same id; one that is so stays."""
    if _SHORT_ID.fullmatch(call_id):
        return call_id
    return sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:_SHORT_ID_SIGNS]


def _with_thought(message: Message) -> Message:
    """Return a message of the assistant with its reasoning, or with next to none where a client lost it."""
    if message.get("role") != _ASSISTANT:
        return message
    thought = next(
        (
            message[name]
            for name in ("reasoning_content", "reasoning")
            if message.get(name, NULL) not in EMPTY
        ),
        _UNSAID,
    )
    return {**message, "reasoning_content": thought}


def _without_schema(fields: Fields) -> tuple[Fields, list[Message]]:
    """Return the fields that ask for any object in place of a schema's, and the message that says which."""
    try:
        wanted = _decode_format(fields.get("response_format", msgspec.Raw(b"{}")))
    except UNREADABLE:
        return fields, []
    if wanted.type != "json_schema" or wanted.json_schema is None:
        return fields, []
    words = _SCHEMA_WORDS + bytes(wanted.json_schema.schema).decode()
    told = {"role": msgspec.Raw(b'"system"'), "content": msgspec.Raw(_encode(words))}
    return {**fields, "response_format": _JSON_OBJECT}, [told]
