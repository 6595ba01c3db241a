"""JSON schemas as Anthropic takes them: loosely for a tool's input, narrowly for an answer's form.

Sources: its guide to tool use, "JSON Schema limitations" of its guide to structured outputs, and the
messages of the real service.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from router.simulator.anthropic.error import invalid

_PROPERTY: Final = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_CHOICES: Final = ("oneOf", "allOf", "anyOf")
_REFUSED: Final = frozenset(
    {
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength",
        "maxLength", "pattern", "maxItems", "uniqueItems", "minProperties", "maxProperties", "oneOf",
        "not", "if", "then", "else", "patternProperties", "propertyNames", "prefixItems", "contains",
        "dependentRequired", "dependentSchemas", "unevaluatedProperties", "unevaluatedItems",
    }
)  # fmt: skip
_DEEPEST: Final = 60

Schema = dict[str, Any]


def check_input_schema(schema: Schema, place: str) -> None:
    """Raise Refusal for a tool's schema that is no object's."""
    if "type" not in schema:
        raise invalid(f"{place}.type: Field required")
    if schema["type"] != "object":
        raise invalid(f"{place}.type: Input should be 'object'")
    for choice in _CHOICES:
        if choice in schema:
            told = "input_schema does not support oneOf, allOf, or anyOf at the top level"
            raise invalid(f"{place}: {told}")
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, dict):
        raise invalid(f"{place}.properties: Input should be a valid dictionary")
    for name, inner in properties.items():
        if not _PROPERTY.fullmatch(name):
            told = f"Property keys should match pattern '^{_PROPERTY.pattern}$'"
            raise invalid(f"{place}.properties: {told}")
        if not isinstance(inner, dict | bool):
            raise invalid(
                f"{place}: JSON schema is invalid. It must match JSON Schema draft 2020-12"
            )
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise invalid(f"{place}: JSON schema is invalid. It must match JSON Schema draft 2020-12")


def check_output_schema(schema: Schema) -> None:
    """Raise Refusal for a schema that an answer cannot be held to."""
    place = "output_config.format.schema"
    for inner in _schemas(schema, 0):
        kind = inner.get("type", "value")
        refused = sorted(_REFUSED & inner.keys())
        if refused:
            told = f"For '{kind}' type, property '{refused[0]}' is not supported"
            raise invalid(f"{place}: {told}")
        is_object = kind == "object" or "properties" in inner
        if is_object and inner.get("additionalProperties") is not False:
            told = "For 'object' type, 'additionalProperties' must be explicitly set to false"
            raise invalid(f"{place}: {told}")
        if inner.get("minItems", 0) not in {0, 1}:
            raise invalid(
                f"{place}: For 'array' type, 'minItems' values other than 0 or 1 are not supported"
            )


def _schemas(schema: object, depth: int) -> Iterator[Schema]:
    """The schema and all within it; what is a name or a value is not taken for one."""
    if depth > _DEEPEST:
        raise invalid("output_config.format.schema: nested too deeply")
    if not isinstance(schema, dict):
        return
    yield schema
    for name in ("properties", "$defs", "definitions"):
        inner = schema.get(name)
        for one in inner.values() if isinstance(inner, dict) else ():
            yield from _schemas(one, depth + 1)
    for name in ("anyOf", "allOf"):
        inner = schema.get(name)
        for one in inner if isinstance(inner, list) else ():
            yield from _schemas(one, depth + 1)
    yield from _schemas(schema.get("items"), depth + 1)
