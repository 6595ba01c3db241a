"""The JSON schema of an answer, in the form that Anthropic's structured output takes.

Every object must be closed, and constraints on lengths and numbers are refused. An object is closed here if
its author left that open: an answer that fits the closed schema fits the open one. What cannot be enforced
moves into the description, where the model reads it. Objects that are open on purpose, and schemas that
contain themselves, cannot be said; the answer's form is then asked for in another way.

Source: Anthropic's documentation of structured outputs, "JSON Schema limitations".
"""

from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec

from adapters.openai.foreign import UNREADABLE

_FORMATS: Final = frozenset(
    {
        "date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid",
    }
)  # fmt: skip
_KEPT: Final = frozenset(
    {"type", "enum", "const", "description", "title", "default", "required", "$ref"}
)
_MAPS: Final = ("properties", "$defs", "definitions")
_LISTS: Final = ("anyOf", "allOf")

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode
_encode: Final = msgspec.json.encode

_Schema = dict[str, Any]


class _CannotBeSaid(Exception):
    """Anthropic has no words for this schema."""


def closed_schema(schema: msgspec.Raw) -> msgspec.Raw | None:
    """Return the schema as Anthropic takes it, `None` where it cannot."""
    try:
        whole = _decode(schema)
        _check_references(whole)
        return msgspec.Raw(_encode(_closed(whole)))
    except (_CannotBeSaid, *UNREADABLE):
        return None


def _closed(schema: object) -> _Schema:
    if not isinstance(schema, dict):  # `true` and `false` are schemas too
        raise _CannotBeSaid
    found = cast("_Schema", schema)
    said = {name: value for name, value in found.items() if name in _KEPT}
    for name in _MAPS:
        if isinstance(found.get(name), dict):
            said[name] = {key: _closed(inner) for key, inner in found[name].items()}
    for name in _LISTS:
        if isinstance(found.get(name), list):
            said[name] = [_closed(inner) for inner in found[name]]
    if isinstance(found.get("oneOf"), list):
        said["anyOf"] = [_closed(inner) for inner in found["oneOf"]]
    if "items" in found:
        said["items"] = _closed(found["items"])
    return _with_limits(found, said)


def _with_limits(found: _Schema, said: _Schema) -> _Schema:
    kinds = found["type"] if isinstance(found.get("type"), list) else [found.get("type")]
    if "object" in kinds or "properties" in found:
        if found.get("additionalProperties", False) is not False or "patternProperties" in found:
            raise _CannotBeSaid
        said["additionalProperties"] = False
    if found.get("format") in _FORMATS:
        said["format"] = found["format"]
    if found.get("minItems") in {0, 1}:
        said["minItems"] = found["minItems"]
    handled = {*said, "oneOf", "additionalProperties", "$schema", "$id"}
    limits = {name: value for name, value in found.items() if name not in handled}
    if limits:
        words = ", ".join(f"{name}: {_encode(value).decode()}" for name, value in limits.items())
        said["description"] = f"{found.get('description', '')} ({words})".strip()
    return said


def _check_references(whole: Mapping[str, Any]) -> None:
    """Raise `_CannotBeSaid` for a schema that contains itself."""
    named = {
        f"#/{name}/{key}": _references(inner)
        for name in ("$defs", "definitions")
        for key, inner in (whole.get(name) or {}).items()
    }
    rest = {name: value for name, value in whole.items() if name not in {"$defs", "definitions"}}
    if "#" in _references(rest):
        raise _CannotBeSaid
    while named:
        leaves = {name for name, wanted in named.items() if not wanted & named.keys()}
        if not leaves:
            raise _CannotBeSaid
        named = {name: wanted for name, wanted in named.items() if name not in leaves}


def _references(schema: object) -> set[str]:
    if isinstance(schema, dict):
        found = cast("_Schema", schema)
        own = {found["$ref"]} if isinstance(found.get("$ref"), str) else set()
        return own.union(*(_references(inner) for inner in found.values()))
    if isinstance(schema, list):
        return set().union(*(_references(inner) for inner in schema))
    return set()
