"""The JSON schema of a function's parameters, made that of an object.

OpenAI takes a function without parameters, and schemas that leave out their type. The other dialects want an
object in any case.
"""

from typing import Final

import msgspec

_NO_PARAMETERS: Final = msgspec.Raw(b'{"type":"object","properties":{}}')
_NOTHING: Final = (msgspec.Raw(b""), msgspec.Raw(b"null"), msgspec.Raw(b"{}"))
_OBJECT: Final = msgspec.Raw(b'"object"')

_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode: Final = msgspec.json.encode


def object_schema(schema: msgspec.Raw) -> msgspec.Raw:
    """Return the schema as one of an object, in its own bytes where it is one.

    Raises `ValueError` for a schema of something else, or for what is no schema.
    """
    if schema in _NOTHING:
        return _NO_PARAMETERS
    try:
        fields = _decode_fields(schema)
    except (msgspec.DecodeError, RecursionError):
        raise ValueError("a JSON schema is an object") from None
    found = fields.get("type")
    if found is None or found == b"null":
        return msgspec.Raw(_encode({**fields, "type": _OBJECT}))
    if found != _OBJECT:
        raise ValueError("the parameters of a function are an object")
    return schema
