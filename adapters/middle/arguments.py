"""A call's arguments as an object, whatever a model or a client made of them.

OpenAI's dialect has arguments as a text, and a model that was cut short leaves half of one; the others have
an object and take nothing else. A text that is no object is kept as it is, under a name that says so.
"""

from typing import Final

import msgspec

NO_ARGUMENTS: Final = "{}"
_BROKEN: Final = "malformed_arguments"

_decode_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode: Final = msgspec.json.encode


def as_object(text: str) -> str:
    """Return the JSON of an object: the text itself where it is one, `{}` where it says nothing."""
    if not text.strip():
        return NO_ARGUMENTS
    try:
        _decode_object(text)
    except (msgspec.DecodeError, RecursionError):
        return _encode({_BROKEN: text}).decode()
    return text
