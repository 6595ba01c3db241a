"""JSON schemas as Gemini takes them.

Newer models take JSON Schema itself, but only some of its words; older ones take Google's own `Schema`, which
is a part of OpenAPI's. Either refuses, or worse misreads, what it does not know, so a schema is written anew
from the words that are known. References are resolved, `const` becomes an `enum` of one, `oneOf` is said as `anyOf`.

The rule for all the rest: a constraint that cannot be said is left out, so that the cleaned schema allows
everything which the client's allows. Only words that stand for constraints are cleaned; a property may have
any name. Sources: `responseJsonSchema`, `parametersJsonSchema` and `Schema` in Google's API reference.
"""

from typing import Any, Final

import msgspec

from adapters.dialect import BadCall
from adapters.gemini.reference import Followed, Json, References
from adapters.openai.foreign import UNREADABLE

_MOST_SCHEMAS: Final = 10_000  # a few references to references can stand for millions
_DEEPEST: Final = 60

_TYPES: Final = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
_TEXTS: Final = ("title", "description", "format")
_NUMBERS: Final = ("minimum", "maximum")
_COUNTS: Final = ("minItems", "maxItems")
_PLAIN_COUNTS: Final = ("minLength", "maxLength", "minProperties", "maxProperties")
_PLAIN_FORMATS: Final[dict[str, frozenset[str]]] = {
    "string": frozenset({"date-time"}),
    "number": frozenset({"float", "double"}),
    "integer": frozenset({"int32", "int64"}),
}

_decode: Final = msgspec.json.Decoder().decode


def clean_schema(schema: msgspec.Raw, *, takes_json_schema: bool, param: str) -> Json:
    """Write a client's schema anew. Raises `BadCall` naming `param` for one that cannot be said."""
    try:
        root = _decode(schema)
        return _Cleaning(root, takes_json_schema, param).cleaned(root, frozenset(), 0)
    except UNREADABLE:
        raise BadCall("A JSON schema cannot be read.", param=param) from None


class _Cleaning:
    """The cleaning of one schema."""

    def __init__(self, root: object, takes_json_schema: bool, param: str) -> None:  # noqa: FBT001 - passed on
        self._references = References(root, param)
        self._newer = takes_json_schema
        self._param = param
        self._schemas = 0

    def cleaned(self, schema: object, seen: Followed, depth: int) -> Json:
        self._schemas += 1
        if self._schemas > _MOST_SCHEMAS or depth > _DEEPEST:
            raise BadCall("A JSON schema is too large for this model.", param=self._param)
        if not isinstance(schema, dict):  # `true`, or nothing that could be understood
            return self._finished({})
        whole, seen = self._references.followed(schema, seen)
        words = _said(whole, self._newer)
        words |= self._object_words(whole, seen, depth + 1)
        words |= self._array_words(whole, seen, depth + 1)
        choice = [
            self.cleaned(member, seen, depth + 1)
            for member in _list(whole, "anyOf") or _list(whole, "oneOf")
            if member is not False
        ]
        if choice:
            words["anyOf"] = choice
        return self._finished(words)

    def _object_words(self, schema: Json, seen: Followed, depth: int) -> Json:
        words: Json = {}
        properties = schema.get("properties")
        if isinstance(properties, dict):
            words["properties"] = {
                name: self.cleaned(value, seen, depth)
                for name, value in properties.items()
                if value is not False
            }
        named = words.get("properties", {})
        required = [name for name in _list(schema, "required") if _is_name(name, named)]
        if required:
            words["required"] = list(dict.fromkeys(required))
        additional = schema.get("additionalProperties")
        if self._newer and isinstance(additional, bool):
            words["additionalProperties"] = additional
        elif self._newer and isinstance(additional, dict):
            words["additionalProperties"] = self.cleaned(additional, seen, depth)
        return words

    def _array_words(self, schema: Json, seen: Followed, depth: int) -> Json:
        items = schema.get("items")
        first = items if isinstance(items, list) else _list(schema, "prefixItems")
        places = [self.cleaned(item, seen, depth) for item in first]
        rest = self.cleaned(items, seen, depth) if isinstance(items, dict) else None
        if self._newer:
            words: Json = {"prefixItems": places} if places else {}
            return words if rest is None else {**words, "items": rest}
        every = [*places, *([] if rest is None else [rest])]
        if not every:
            return {}
        return {"items": every[0] if len(every) == 1 else {"anyOf": every}}

    def _finished(self, words: Json) -> Json:
        return words if self._newer else _plain(words)


def _said(schema: Json, newer: bool) -> Json:  # noqa: FBT001 - one of two forms
    """Return the words about the value itself that are known and well-formed."""
    words: Json = {name: schema[name] for name in _TEXTS if isinstance(schema.get(name), str)}
    counts = _COUNTS if newer else (*_COUNTS, *_PLAIN_COUNTS)
    words |= {name: schema[name] for name in counts if type(schema.get(name)) is int}
    words |= {name: schema[name] for name in _NUMBERS if _is_number(schema.get(name))}
    if not newer and isinstance(schema.get("pattern"), str):
        words["pattern"] = schema["pattern"]
    types = _types(schema)
    values = [schema["const"]] if "const" in schema else _list(schema, "enum")
    if values:
        types, known = _types_of_values(types, values)
        if known:
            words["enum"] = known
    if types:
        words["type"] = types[0] if len(types) == 1 else types
    return words


def _types(schema: Json) -> list[str]:
    said = schema.get("type")
    names = said if isinstance(said, list) else [said]
    types = [name.lower() for name in names if isinstance(name, str)]
    types = [name for name in dict.fromkeys(types) if name in _TYPES]
    if types and schema.get("nullable") is True and "null" not in types:
        types.append("null")
    return types


def _types_of_values(types: list[str], values: list[Any]) -> tuple[list[str], list[Any]]:
    """Return the types of the values that are allowed, and those that can be listed.

    Texts and numbers can, and a null is said by its type. Where others are allowed nothing is listed.
    """
    found = list(dict.fromkeys(_type_of(value) for value in values))
    listed = [value for value in values if value is not None]
    if not set(found) <= {"string", "number", "integer", "null"}:
        listed = []
    return types or found, listed


def _type_of(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "string"
        case int():
            return "integer"
        case float():
            return "number"
        case list():
            return "array"
        case _:
            return "object"


def _plain(words: Json) -> Json:
    """Return a schema in the older form: one type each, a choice alone, only texts listed."""
    types = words.pop("type", None)
    types = types if isinstance(types, list) else [types] if types else []
    members = words.pop("anyOf", [])
    nullable = "null" in types or any(member.get("type") == "null" for member in members)
    types = [name for name in types if name != "null"]
    members = [member for member in members if member.get("type") != "null"]
    if not types and not members:
        types = [_implied_type(words)]
    if len(types) > 1 or (not types and len(members) > 1):
        choice = members if not types else [_of_type(name, words) for name in types]
        result: Json = {"anyOf": choice}
    elif types:
        result = _of_type(types[0], words)
    else:
        result = {**members[0], **{name: words[name] for name in _TEXTS[:2] if name in words}}
    return {**result, "nullable": True} if nullable else result


def _of_type(name: str, words: Json) -> Json:
    """Return what the words say of a value of one type."""
    kept = {word: value for word, value in words.items() if _speaks_of(word, name)}
    if kept.get("format") not in _PLAIN_FORMATS.get(name, ()):
        kept.pop("format", None)
    if name != "string" or not all(isinstance(value, str) for value in kept.get("enum", ())):
        kept.pop("enum", None)
    if name == "array":
        kept.setdefault("items", {"type": "string"})
    if not kept.get("properties"):
        kept.pop("properties", None)
    return {"type": name, **kept}


def _speaks_of(word: str, name: str) -> bool:
    return name in _SPOKEN_OF.get(word, _TYPES)


_SPOKEN_OF: Final[dict[str, frozenset[str]]] = {
    "properties": frozenset({"object"}),
    "required": frozenset({"object"}),
    "minProperties": frozenset({"object"}),
    "maxProperties": frozenset({"object"}),
    "items": frozenset({"array"}),
    "minItems": frozenset({"array"}),
    "maxItems": frozenset({"array"}),
    "minLength": frozenset({"string"}),
    "maxLength": frozenset({"string"}),
    "pattern": frozenset({"string"}),
    "minimum": frozenset({"number", "integer"}),
    "maximum": frozenset({"number", "integer"}),
}


def _implied_type(words: Json) -> str:
    """Return the type of a value of which no type is said; a text can hold anything else."""
    if "properties" in words:
        return "object"
    if "items" in words:
        return "array"
    return "number" if "minimum" in words or "maximum" in words else "string"


def _list(schema: Json, name: str) -> list[Any]:
    found = schema.get(name)
    return found if isinstance(found, list) else []


def _is_name(name: object, properties: Json) -> bool:
    return isinstance(name, str) and name in properties


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
