"""The older form of a schema: Google's own `Schema`, a part of OpenAPI 3.0's.

Every value has one type, and a value that may be null says so with a word of its own. A choice stands alone,
only texts can be listed, and an array says what is in it. An object within another must say something of what
is in it; one of which nothing is known gets a member that nobody needs. Source: `Schema` in Google's API
reference.
"""

from typing import Final

from adapters.gemini.reference import Json

TYPES: Final = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})

_NOTES: Final = ("title", "description")
_NEEDLESS: Final[Json] = {"type": "string", "nullable": True, "description": "Not needed."}
_FORMATS: Final[dict[str, frozenset[str]]] = {
    "string": frozenset({"date-time"}),
    "number": frozenset({"float", "double"}),
    "integer": frozenset({"int32", "int64"}),
}
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


def plain_schema(words: Json) -> Json:
    """Return known words in the older form; `nullable` may stand among them."""
    types = words.pop("type", None)
    types = types if isinstance(types, list) else [types] if types else []
    members = words.pop("anyOf", [])
    nullable = words.pop("nullable", False) or "null" in types
    types = [name for name in types if name != "null"]
    if not types and not members:
        types = [_implied_type(words)]
    if len(types) > 1 or (not types and len(members) > 1):
        choice = members if not types else [with_members(_of_type(name, words)) for name in types]
        result: Json = {"anyOf": choice}
    elif types:
        result = _of_type(types[0], words)
    elif "anyOf" in members[0]:
        result = members[0]
    else:
        result = {**members[0], **{name: words[name] for name in _NOTES if name in words}}
    return {**result, "nullable": True} if nullable else result


def with_members(schema: Json) -> Json:
    """Return a schema that stands within another, with a member in it if it is an object without any."""
    if schema.get("type") == "object" and not schema.get("properties"):
        return {**schema, "properties": {"note": dict(_NEEDLESS)}}
    members = schema.get("anyOf")
    return schema if members is None else {**schema, "anyOf": [*map(with_members, members)]}


def _of_type(name: str, words: Json) -> Json:
    """Return what the words say of a value of one type."""
    kept = {word: value for word, value in words.items() if _speaks_of(word, name)}
    if kept.get("format") not in _FORMATS.get(name, ()):
        kept.pop("format", None)
    if name != "string" or not all(isinstance(value, str) for value in kept.get("enum", ())):
        kept.pop("enum", None)
    if name == "array":
        kept.setdefault("items", {"type": "string"})
    if not kept.get("properties"):
        kept.pop("properties", None)
    return {"type": name, **kept}


def _speaks_of(word: str, name: str) -> bool:
    return name in _SPOKEN_OF.get(word, TYPES)


def _implied_type(words: Json) -> str:
    """Return the type of a value of which no type is said; a text can hold anything else."""
    if "properties" in words:
        return "object"
    if "items" in words:
        return "array"
    return "number" if "minimum" in words or "maximum" in words else "string"
