"""The two forms of an embedding: a list of numbers, and base64 of little-endian float32.

SDKs ask for base64 on their own, and old ones decode whatever comes as base64, while some upstreams
ignore the wish and send numbers. So what the client asked for is made here where the upstream did not
make it. Any other `encoding_format` is between client and upstream, and stays as it is.
"""

import base64
import math
import sys
from array import array
from typing import Final

import msgspec

from adapters.dialect import Call
from adapters.openai.foreign import NULL, starts_with

_NUMBERS: Final = (NULL, msgspec.Raw(b'"float"'))

_decode_items: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_decode_numbers: Final = msgspec.json.Decoder(list[float]).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.encode


def in_asked_form(call: Call, data: msgspec.Raw) -> msgspec.Raw | None:
    """Return an answer's `data` with each embedding as the call wants it; `None`: it already is.

    Raises `msgspec.DecodeError` when the data holds no embeddings.
    """
    items = _decode_items(data)
    if any("embedding" not in item for item in items):
        raise msgspec.DecodeError("an item of 'data' has no 'embedding'")
    if not call.base64_embeddings and call.fields.get("encoding_format", NULL) not in _NUMBERS:
        return None
    wrong = [
        item for item in items if starts_with(item["embedding"], b'"') != call.base64_embeddings
    ]
    for item in wrong:
        convert = _to_base64 if call.base64_embeddings else _to_numbers
        item["embedding"] = msgspec.Raw(convert(item["embedding"]))
    return msgspec.Raw(_encode(items)) if wrong else None


def _to_base64(embedding: msgspec.Raw) -> bytes:
    numbers = _checked(array("f", _decode_numbers(embedding)))
    if sys.byteorder == "big":
        numbers.byteswap()
    return b'"' + base64.b64encode(numbers.tobytes()) + b'"'


def _to_numbers(embedding: msgspec.Raw) -> bytes:
    try:
        numbers = array("f", base64.b64decode(_decode_text(embedding), validate=True))
    except ValueError as error:
        raise msgspec.DecodeError(f"bad base64: {error}") from None
    if sys.byteorder == "big":
        numbers.byteswap()
    return _encode(_checked(numbers).tolist())


def _checked(numbers: "array[float]") -> "array[float]":
    if not all(map(math.isfinite, numbers)):
        raise msgspec.DecodeError("a value is not a finite float32")
    return numbers
