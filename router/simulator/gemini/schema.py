"""Schemas as Google takes them, in two kinds.

`parameters` and `responseSchema` are its own `Schema`, a part of OpenAPI's: one type a value, only
texts in an `enum`, and no keyword that is not on the list. `parametersJsonSchema` and
`responseJsonSchema` are JSON Schema, of which only some words are taken. Source: `Schema`,
`FunctionDeclaration` and `GenerationConfig` in Google's API reference.
"""

from collections.abc import Iterator
from typing import Any, Final

from router.simulator.gemini.error import invalid

_TYPES: Final = frozenset({"STRING", "NUMBER", "INTEGER", "BOOLEAN", "OBJECT", "ARRAY", "NULL"})
_WORDS: Final = frozenset(
    {
        "type", "format", "title", "description", "nullable", "enum", "maxItems", "minItems",
        "properties", "required", "minProperties", "maxProperties", "minLength", "maxLength",
        "pattern", "example", "anyOf", "propertyOrdering", "default", "items", "minimum", "maximum",
    }
)  # fmt: skip
_JSON_WORDS: Final = frozenset(
    {
        "$schema", "$id", "$defs", "$ref", "$anchor", "type", "format", "title", "description",
        "const", "enum", "default", "items", "prefixItems", "minItems", "maxItems", "minimum",
        "maximum", "anyOf", "oneOf", "properties", "additionalProperties", "required",
        "propertyOrdering",
    }
)  # fmt: skip
_TEXT_FORMATS: Final = frozenset({"enum", "date-time"})
_DEEPEST: Final = 60


def check_schema(schema: object, place: str, depth: int = 0) -> None:
    """Raise Refusal for a schema that is not Google's own kind."""
    if not isinstance(schema, dict) or depth > _DEEPEST:
        raise invalid(f"Invalid value at '{place}' (type.googleapis.com/Schema)")
    for word in schema:
        if word not in _WORDS:
            told = f"Unknown name \"{word}\" at '{place}': Cannot find field."
            raise invalid(f"Invalid JSON payload received. {told}")
    _check_type(schema, place)
    _check_object(schema, place, depth)
    if "items" in schema:
        check_schema(schema["items"], f"{place}.items", depth + 1)
    for number, inner in enumerate(_list(schema, "anyOf", place)):
        check_schema(inner, f"{place}.any_of[{number}]", depth + 1)


def check_json_schema(schema: object, place: str, depth: int = 0) -> None:
    """Raise Refusal for a JSON schema with words that Google does not take."""
    if isinstance(schema, bool) and depth:
        return
    if not isinstance(schema, dict) or depth > _DEEPEST:
        raise invalid(f"{place}: must be a JSON schema")
    for word in schema:
        if word not in _JSON_WORDS:
            raise invalid(f"{place}: the keyword '{word}' is not supported.")
    if "$ref" in schema and any(not word.startswith("$") for word in schema):
        raise invalid(f"{place}: beside $ref only properties starting with $ may be set.")
    for inner, path in _within(schema, place):
        check_json_schema(inner, path, depth + 1)


def _within(schema: dict[str, Any], place: str) -> Iterator[tuple[object, str]]:
    """The schemas that stand directly in a JSON schema, each with its place."""
    for name in ("properties", "$defs"):
        inner = schema.get(name, {})
        if not isinstance(inner, dict):
            raise invalid(f"{place}.{name}: must be an object")
        yield from ((one, f"{place}.{name}[{key}]") for key, one in inner.items())
    for name in ("anyOf", "oneOf", "prefixItems"):
        for number, one in enumerate(_list(schema, name, place)):
            yield one, f"{place}.{name}[{number}]"
    for name in ("items", "additionalProperties"):
        if name in schema:
            yield schema[name], f"{place}.{name}"


def _check_type(schema: dict[str, Any], place: str) -> None:
    said = schema.get("type")
    if isinstance(said, list):
        told = (
            f"Unknown name \"type\" at '{place}': Proto field is not repeating, cannot start list."
        )
        raise invalid(f"Invalid JSON payload received. {told}")
    kind = str(said).upper()
    if said is None and "anyOf" not in schema:
        raise invalid(f"{place}.type: must be specified")
    if said is not None and kind not in _TYPES:
        raise invalid(f"Invalid value at '{place}.type' (TYPE_ENUM), \"{said}\"")
    values = _list(schema, "enum", place)
    if values and kind != "STRING":
        raise invalid(f"{place}.enum: only allowed for STRING type")
    for number, value in enumerate(values):
        if not isinstance(value, str):
            raise invalid(f"Invalid value at '{place}.enum[{number}]' (TYPE_STRING), {value}")
        if not value:
            raise invalid(f"{place}.enum[{number}]: cannot be empty")
    if kind == "ARRAY" and "items" not in schema:
        raise invalid(f"{place}.items: missing field.")
    if kind == "STRING" and schema.get("format", "enum") not in _TEXT_FORMATS:
        raise invalid(f"{place}.format: only 'enum' and 'date-time' are supported for STRING type")


def _check_object(schema: dict[str, Any], place: str, depth: int) -> None:
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        raise invalid(f"Invalid value at '{place}.properties'")
    if str(schema.get("type")).upper() == "OBJECT" and not properties:
        raise invalid(f"{place}.properties: should be non-empty for OBJECT type")
    for name, inner in properties.items():
        check_schema(inner, f"{place}.properties[{name}]", depth + 1)
    for number, name in enumerate(_list(schema, "required", place)):
        if name not in properties:
            raise invalid(f"{place}.required[{number}]: property is not defined")


def _list(schema: dict[str, Any], name: str, place: str) -> list[Any]:
    found = schema.get(name, [])
    if not isinstance(found, list):
        raise invalid(f"Invalid value at '{place}.{name}': must be a list")
    return found
