"""A client's request body, as far as it is the same in every face: one JSON object that names a model.

Every top-level field keeps its own bytes. A field that is `null` counts as absent, as wrappers of older SDKs
send it.
"""

from typing import Any, Final

import msgspec

from adapters.dialect import BadCall
from adapters.openai.foreign import NULL, UNREADABLE, check_utf8

_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_read_string: Final = msgspec.json.Decoder(str).decode


def read_object(body: bytes) -> dict[str, msgspec.Raw]:
    """Return the fields of a body. Raises `BadCall` for what is no JSON object."""
    if not body.strip():
        raise BadCall("The request body is empty; a JSON object was expected.", code="invalid_json")
    try:
        if not body.isascii():
            check_utf8(body)
        return _decode_fields(body)
    except msgspec.ValidationError:
        raise BadCall("The request body must be a JSON object.", code="invalid_json") from None
    except RecursionError:
        raise BadCall("The request body is nested too deeply.", code="invalid_json") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadCall(f"The request body is not valid JSON: {error}", code="invalid_json") from None


def read_model(fields: dict[str, msgspec.Raw]) -> str:
    """Return the model's name. Raises `BadCall` where there is none."""
    raw = fields.get("model", NULL)
    if raw == NULL:
        raise BadCall("Missing required parameter: 'model'.", param="model")
    model: str = read_field("model", "a string", raw, _read_string)
    if not model:
        raise BadCall("'model' must not be empty.", param="model")
    return model


def read_field(name: str, words: str, raw: msgspec.Raw, reader: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return what `reader` makes of a field. Raises `BadCall` that says in `words` what was expected."""
    try:
        return reader(raw)
    except UNREADABLE:
        raise BadCall(
            f"Invalid type for '{name}': {words} was expected.", param=name, code="invalid_type"
        ) from None


def is_absent(fields: dict[str, msgspec.Raw], name: str) -> bool:
    """Tell whether a field is missing or `null`."""
    return fields.get(name, NULL) == NULL
