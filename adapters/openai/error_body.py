"""The body of an error answer, read leniently.

The book's form is `{"error": {"message", "type", "param", "code"}}`. In the wild `error` is a plain
string, the object stands bare (vLLM), is called `detail` (FastAPI) or `errors`, lies in a list (Google),
or is no JSON at all (a proxy's page). Fields keep their own JSON here, since each may be of any form.
"""

from typing import Final, Literal

import msgspec

from adapters.openai.foreign import FALSY, NULL, UNREADABLE, starts_with

_MAX_MESSAGE_CHARACTERS: Final = 2000

_Name = Literal["type", "code", "param", "status", "status_code"]


class ErrorView(msgspec.Struct, frozen=True):
    """The fields of an error object, each as its own JSON; `msg` is FastAPI's name of the message."""

    message: msgspec.Raw = NULL
    msg: msgspec.Raw = NULL
    type: msgspec.Raw = NULL
    code: msgspec.Raw = NULL
    param: msgspec.Raw = NULL
    status: msgspec.Raw = NULL
    status_code: msgspec.Raw = NULL

    def message_text(self) -> str:
        """Return the message, empty if there is none; one that is no string keeps its JSON."""
        for raw in (self.message, self.msg):
            text = _text(raw) if starts_with(raw, b'"') or raw in FALSY else _json_of(raw)
            if text:
                return text[:_MAX_MESSAGE_CHARACTERS]
        return ""

    def text(self, name: _Name) -> str | None:
        """Return a field as text where it is a string or a number, else `None`."""
        return _text(getattr(self, name))

    def names(self) -> set[str]:
        """Return what the error calls itself: its type and its code."""
        return {name for name in (self.text("type"), self.text("code")) if name is not None}


class _Envelope(msgspec.Struct):
    error: msgspec.Raw = NULL
    errors: msgspec.Raw = NULL
    detail: msgspec.Raw = NULL


_decode_view: Final = msgspec.json.Decoder(ErrorView).decode
_decode_envelope: Final = msgspec.json.Decoder(_Envelope).decode
_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_value: Final = msgspec.json.Decoder(msgspec.Raw).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.encode

_NOTHING_SAID: Final = ErrorView()


def read_body(body: bytes) -> ErrorView:
    """Read a whole body, or a whole event's data. Never fails: what is no JSON is the message."""
    text = body.decode("utf-8", "replace")
    try:
        found = _first(_decode_value(text))
        if not starts_with(found, b"{"):
            return ErrorView(message=found)
        around = _decode_view(found)
        envelope = _decode_envelope(found)
    except UNREADABLE:
        return ErrorView(message=msgspec.Raw(_encode(text)))
    for inner in (envelope.error, envelope.errors, envelope.detail):
        if inner not in FALSY:
            return read_value(inner, around=around)
    return around


def read_value(error: msgspec.Raw, *, around: ErrorView = _NOTHING_SAID) -> ErrorView:
    """Read the value of an `error` field, valid JSON; if no object, it is the message of `around`."""
    try:
        first = _first(error)
        if starts_with(first, b"{"):
            return _decode_view(first)
    except UNREADABLE:  # valid, but nested too deep
        first = msgspec.Raw(_encode(_json_of(error)))
    return msgspec.structs.replace(around, message=first)


def _first(value: msgspec.Raw) -> msgspec.Raw:
    """Return the first item of a list, anything else as it is."""
    items = _decode_list(value) if starts_with(value, b"[") else []
    return items[0] if items else value


def _text(raw: msgspec.Raw) -> str | None:
    if starts_with(raw, b'"'):
        return _decode_text(raw).strip() or None
    is_number = bytes(memoryview(raw)[:1]) in b"-0123456789"
    return _json_of(raw) if is_number else None


def _json_of(raw: msgspec.Raw) -> str:
    return bytes(raw).decode("utf-8", "replace")
