"""References inside a JSON schema, followed to what they stand for.

Google takes references only in part, so each is replaced by its schema. One that leads back into itself
cannot be: it is cut to the bare kind of value, which allows more than the schema did and forbids nothing
that it allowed. Source: JSON Schema 2020-12, sections 8.2.3 and 10.2.1.1; JSON Pointer, RFC 6901.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from adapters.dialect import BadCall

Json = dict[str, Any]
Followed = frozenset[str]


class References:
    """The references into one schema. `param` is the request field that a bad one is blamed on."""

    def __init__(self, root: object, param: str) -> None:
        self._root = root
        self._param = param

    def followed(self, schema: Json, seen: Followed) -> tuple[Json, Followed]:
        """Return a schema without reference and without `allOf`, and which references led to it.

        `seen`: the references that lead to the place where the schema stands. What stands beside a
        reference holds as well, and so does every member of `allOf`.
        """
        while isinstance(reference := schema.get("$ref"), str):
            beside = {name: value for name, value in schema.items() if name != "$ref"}
            target = self._target(reference)
            if reference in seen:
                return _both(_bare(target), _bare(beside)), seen
            seen |= {reference}
            schema = _both(target, beside)
        members = schema.get("allOf")
        if isinstance(members, list):
            schema = {name: value for name, value in schema.items() if name != "allOf"}
            for member in members:
                if isinstance(member, dict):
                    flat, seen = self.followed(member, seen)
                    schema = _both(schema, flat)
        return schema, seen

    def _target(self, reference: str) -> Json:
        found: object = self._root
        if not reference.startswith("#"):
            raise self._bad(reference)
        for step in unquote(reference[1:]).split("/")[1:]:
            found = _inside(found, step.replace("~1", "/").replace("~0", "~"))
        if isinstance(found, bool):
            return {}
        if not isinstance(found, dict):
            raise self._bad(reference)
        return found

    def _bad(self, reference: str) -> BadCall:
        told = f"A JSON schema refers to '{reference[:200]}', which is not in it."
        return BadCall(told, param=self._param)


def _inside(found: object, step: str) -> object:
    if isinstance(found, dict):
        return found.get(step)
    if isinstance(found, list) and step.isdecimal() and int(step) < len(found):
        return found[int(step)]
    return None


def _bare(schema: Mapping[str, Any]) -> Json:
    return {name: schema[name] for name in ("type", "nullable", "description") if name in schema}


def _both(first: Json, second: Json) -> Json:
    """Return a schema that demands what two demand; where they differ in one word, the second's."""
    merged = {**first, **second}
    # Whether it may be null belongs to the type that is said with it.
    if "type" in first and "type" not in second:
        merged["nullable"] = first.get("nullable", False)
    elif "type" in second:
        merged["nullable"] = second.get("nullable", False)
    for name in ("properties", "$defs", "definitions"):
        one, other = first.get(name), second.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            merged[name] = {**one, **other}
    one, other = first.get("required"), second.get("required")
    if isinstance(one, list) and isinstance(other, list):
        merged["required"] = [*one, *(item for item in other if item not in one)]
    if first.get("additionalProperties") is False or second.get("additionalProperties") is False:
        merged["additionalProperties"] = False
    return merged
