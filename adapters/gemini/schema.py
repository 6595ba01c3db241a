"""JSON schemas as Gemini takes them.

Newer models take JSON Schema itself, but only some of its words; older ones take Google's own `Schema`, which
is a part of OpenAPI's. Either refuses, or worse misreads, what it does not know, so a schema is written anew
from the words that are known. References are resolved, `const` becomes an `enum` of one, and `oneOf` is said
as `anyOf`.

The rule for all the rest: a constraint that cannot be said is left out, so that the cleaned schema allows
everything which the client's allows. (The older form wants a type everywhere, and where none is told it gets
that of text.) Only words that stand for constraints are cleaned; a property may have any name.
Sources: `responseJsonSchema`, `parametersJsonSchema` and `Schema` in Google's API reference.
"""

from typing import Any, Final

import msgspec

from adapters.dialect import BadCall
from adapters.gemini.plain_schema import TYPES, plain_schema, with_members
from adapters.gemini.reference import Followed, Json, References
from adapters.openai.foreign import UNREADABLE

_MOST_SCHEMAS: Final = 10_000  # a few references to references can stand for millions
_DEEPEST: Final = 60

_NAMES_OF_TYPES: Final[dict[type, str]] = {
    type(None): "null",
    bool: "boolean",
    str: "string",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
}
_TEXTS: Final = ("title", "description", "format")
_NUMBERS: Final = ("minimum", "maximum")
_COUNTS: Final = ("minItems", "maxItems")
_PLAIN_COUNTS: Final = ("minLength", "maxLength", "minProperties", "maxProperties")

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
            return self._finished({}, depth)
        whole, seen = self._references.followed(schema, seen)
        words = _said(whole, self._newer)
        words |= self._object_words(whole, seen, depth + 1)
        words |= self._array_words(whole, seen, depth + 1)
        words |= self._choice_words(whole, seen, depth + 1)
        return self._finished(words, depth)

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
        # Names that a pattern allows cannot be said, so nothing may be said of all the other names either.
        additional = None if "patternProperties" in schema else schema.get("additionalProperties")
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

    def _choice_words(self, schema: Json, seen: Followed, depth: int) -> Json:
        """Return the choice, and beside it that the value may be null; a choice can say so in two ways."""
        members = _list(schema, "anyOf") or _list(schema, "oneOf")
        possible = [member for member in members if member is not False]
        values = [member for member in possible if not _is_null(member)]
        choice = [self.cleaned(member, seen, depth) for member in values]
        if self._newer:  # a reference may lead to null, or a `const` say it
            choice = [member for member in choice if not _is_null(member)]
        may_be_null = len(choice) < len(possible) or (
            bool(values) and "type" not in schema and schema.get("nullable") is True
        )
        if may_be_null and self._newer:
            choice.append({"type": "null"})
        words: Json = {"nullable": True} if may_be_null and not self._newer else {}
        return {**words, "anyOf": choice} if choice else words

    def _finished(self, words: Json, depth: int) -> Json:
        if self._newer:
            return _with_null_apart(words)
        plain = plain_schema(words)
        return with_members(plain) if depth else plain


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


def _with_null_apart(words: Json) -> Json:
    """Return a list of values without the null that may stand for them all, which cannot be listed."""
    types = words.get("type")
    if "enum" not in words or not isinstance(types, list) or "null" not in types:
        return words
    if "anyOf" in words:
        return {name: value for name, value in words.items() if name != "enum"}
    notes: Json = {name: words[name] for name in ("title", "description") if name in words}
    others = [name for name in types if name != "null"]
    value = {name: value for name, value in words.items() if name not in notes}
    value["type"] = others[0] if len(others) == 1 else others
    return {**notes, "anyOf": [value, {"type": "null"}]}


def _types(schema: Json) -> list[str]:
    said = schema.get("type")
    names = said if isinstance(said, list) else [said]
    types = [name.lower() for name in names if isinstance(name, str)]
    types = [name for name in dict.fromkeys(types) if name in TYPES]
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
    return _NAMES_OF_TYPES[type(value)]


def _list(schema: Json, name: str) -> list[Any]:
    found = schema.get(name)
    return found if isinstance(found, list) else []


def _is_null(schema: object) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "null"


def _is_name(name: object, properties: Json) -> bool:
    return isinstance(name, str) and name in properties


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
