"""Whole answers in OpenAI's dialect: checked, given the gateway's model id, usage read.

An answer passes through as it came but for `model`; only embeddings may change form: SDKs ask for
base64 on their own and old ones decode whatever comes as base64, while some upstreams ignore the wish
and send numbers. The form is little-endian float32, as OpenAI's.
"""

import base64
import sys
from array import array
from typing import Any, Final

import msgspec

from adapters.dialect import Answer, BadAnswer, Call, Failure, FailureKind, Target
from adapters.openai.error import classify_object
from adapters.openai.rewrite import ModelName, with_fields
from adapters.openai.usage import UsageView


class _AnswerView(msgspec.Struct):
    model: str | None = None
    usage: UsageView | None = None
    error: Any = None
    choices: msgspec.Raw = msgspec.Raw(b"null")
    data: msgspec.Raw = msgspec.Raw(b"null")


_decode_view: Final = msgspec.json.Decoder(_AnswerView).decode
_decode_items: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_decode_numbers: Final = msgspec.json.Decoder(list[float]).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.encode


def decode_answer(call: Call, target: Target, body: bytes) -> Answer:
    """Read the body of a 200 answer. Raises `BadAnswer` when it is none, or holds an error."""
    try:
        view = _decode_view(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _invalid(f"The provider's answer cannot be read: {error}") from None
    if view.error:
        raise BadAnswer(classify_object(view.error))
    if call.endpoint == "embeddings":
        body = _in_asked_form(body, bytes(view.data), as_base64=call.base64_embeddings)
    elif not bytes(view.choices).startswith(b"["):
        raise _invalid("The provider's answer has no 'choices'.")
    body = ModelName(target.served_model).replace(body, view.model)
    return Answer(body, view.usage.to_usage() if view.usage is not None else None)


def _in_asked_form(body: bytes, data: bytes, *, as_base64: bool) -> bytes:
    try:
        items = _decode_items(data)
        changed = [item for item in items if _is_base64(item["embedding"]) != as_base64]
        for item in changed:
            convert = _to_base64 if as_base64 else _to_numbers
            item["embedding"] = msgspec.Raw(convert(item["embedding"]))
    except (msgspec.DecodeError, KeyError, ValueError) as error:
        raise _invalid(f"The provider's embeddings cannot be read: {error}") from None
    if not changed:
        return body
    return with_fields(body, {"data": msgspec.Raw(_encode(items))})


def _is_base64(embedding: msgspec.Raw) -> bool:
    return bytes(embedding).startswith(b'"')


def _to_base64(embedding: msgspec.Raw) -> bytes:
    numbers = array("f", _decode_numbers(embedding))
    if sys.byteorder == "big":
        numbers.byteswap()
    return b'"' + base64.b64encode(numbers.tobytes()) + b'"'


def _to_numbers(embedding: msgspec.Raw) -> bytes:
    numbers = array("f", base64.b64decode(_decode_text(embedding), validate=True))
    if sys.byteorder == "big":
        numbers.byteswap()
    return _encode(numbers.tolist())


def _invalid(message: str) -> BadAnswer:
    return BadAnswer(Failure(kind=FailureKind.INVALID, status=200, message=message))
