"""An example value for a JSON schema: the least surprising one an obedient model would give.

Strings say "example", numbers are 1, an enumeration gives its first value, and bounds are kept
where that is simple. Schemas may refer to themselves: below a certain depth only what is required
is built, and the number of values is bounded, because a schema of a few lines can describe a tree
without end. Where the bound is reached stands null.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

Schema = Mapping[str, Any]
_FULL_DEPTH: Final = 6
_DEEPEST: Final = 32
_MOST_VALUES: Final = 2_000
_MOST_ITEMS: Final = 16
_LONGEST: Final = 1_000
_FORMATS: Final = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "duration": "PT1S",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000001",
}


def example(schema: Schema) -> object:
    """A value of the JSON types that fits the schema as far as its keywords are known here."""
    return _Builder(schema).value(schema, 0)


class _Builder:
    """Builds one value; counts the parts it has built and follows references into the root."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._left = _MOST_VALUES

    def value(self, schema: object, depth: int) -> object:
        self._left -= 1
        if depth > _DEEPEST or self._left < 0:
            return None
        if not isinstance(schema, Mapping):
            return "example"
        schema = self._resolved(schema, depth)
        if "const" in schema:
            return schema["const"]
        if values := _list(schema, "enum"):
            return values[0]
        if alternatives := _list(schema, "anyOf") or _list(schema, "oneOf"):
            return self.value(_alternative(alternatives, depth), depth + 1)
        return self._of_type(_type(schema), schema, depth)

    def _of_type(self, kind: str, schema: Schema, depth: int) -> object:
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, depth)
        return _scalar(kind, schema)

    def _object(self, schema: Schema, depth: int) -> dict[str, object]:
        properties = schema.get("properties")
        if not isinstance(properties, Mapping):
            return {}
        required = _list(schema, "required")
        return {
            name: self.value(inner, depth + 1)
            for name, inner in properties.items()
            if depth <= _FULL_DEPTH or name in required
        }

    def _array(self, schema: Schema, depth: int) -> list[object]:
        least = min(max(_integer(schema, "minItems", 1), 1), _MOST_ITEMS)
        if depth > _FULL_DEPTH or _integer(schema, "maxItems", least) < 1:
            return []
        return [self.value(schema.get("items", {}), depth + 1) for _ in range(least)]

    def _resolved(self, schema: Schema, depth: int) -> Schema:
        """The schema with references followed and the parts of its `allOf` merged into it."""
        for _ in range(_DEEPEST):
            if not isinstance(reference := schema.get("$ref"), str):
                break
            schema = self._referred(reference)
        merged: dict[str, Any] = {key: schema[key] for key in schema if key != "allOf"}
        for part in _list(schema, "allOf"):
            self._left -= 1
            if isinstance(part, Mapping) and depth <= _DEEPEST and self._left > 0:
                _merge(merged, self._resolved(part, depth + 1))
        return merged

    def _referred(self, reference: str) -> Schema:
        found: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) else {}


def _merge(merged: dict[str, Any], part: Schema) -> None:
    for key, value in part.items():
        known = merged.get(key)
        if isinstance(known, Mapping) and isinstance(value, Mapping):
            merged[key] = {**known, **value}
        elif isinstance(known, list) and isinstance(value, list):
            merged[key] = known + value
        else:
            merged[key] = value


def _alternative(alternatives: list[object], depth: int) -> object:
    # Deep down the way out of a schema that contains itself is its null.
    nulls = [one for one in alternatives if isinstance(one, Mapping) and one.get("type") == "null"]
    others = [one for one in alternatives if one not in nulls]
    first, second = (nulls, others) if depth > _FULL_DEPTH else (others, nulls)
    return (first or second)[0]


def _type(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
    return str(kind)


def _scalar(kind: str, schema: Schema) -> object:
    match kind:
        case "integer":
            return math.ceil(_number(schema))
        case "number":
            return _number(schema)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return _string(schema)


def _number(schema: Schema) -> int | float:
    return min(max(1, _bound(schema, "minimum", 1)), _bound(schema, "maximum", math.inf))


def _bound(schema: Schema, keyword: str, otherwise: float) -> int | float:
    value = schema.get(keyword)
    # JSON's true is a number in Python, and no bound.
    return value if isinstance(value, int | float) and value is not True else otherwise


def _string(schema: Schema) -> str:
    text = _FORMATS.get(str(schema.get("format")), "example")
    least = min(_integer(schema, "minLength", 0), _LONGEST)
    return text.ljust(least, "x")[: max(_integer(schema, "maxLength", _LONGEST), 0)]


def _integer(schema: Schema, keyword: str, otherwise: int) -> int:
    value = schema.get(keyword)
    return value if type(value) is int else otherwise


def _list(schema: Schema, keyword: str) -> list[Any]:
    value = schema.get(keyword)
    return value if isinstance(value, list) else []
