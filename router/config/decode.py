"""Decoding a configuration whole or not at all, and telling everything that is wrong with it.

msgspec stops at the first mistake and names the members of a table only as `[...]`. Whoever fixes a
file by hand wants all mistakes at once, each with its full path and the name that was probably
meant. So a walk over the types, side by side with the data, collects them; a tree without a finding
is then decoded by msgspec in one piece.
"""

import difflib
import re
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

T = TypeVar("T")
KeyPath = tuple[str | int, ...]
Hook = Callable[[type[Any], Any], Any]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong: where, what, and the valid name nearest to what was written."""

    path: str
    message: str
    suggestion: str | None = None

    def __str__(self) -> str:
        hint = f"; did you mean `{self.suggestion}`?" if self.suggestion else ""
        return f"{self.path}: {self.message}{hint}" if self.path else f"{self.message}{hint}"


class ConfigError(Exception):
    """The configuration was refused: every `Problem` found, and the `source` it was read from."""

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__(self.source, self.problems)

    def __str__(self) -> str:
        count = len(self.problems)
        heading = f"{count} problem{'s' if count != 1 else ''} in {self.source}:"
        return "\n".join([heading, *(f"  {problem}" for problem in self.problems)])


class Check:
    """A rule for a piece of text, attached to its type by `Annotated`.

    `rule` takes the text and raises `ValueError` with a message that does not repeat it.
    """

    __slots__ = ("rule",)

    def __init__(self, rule: Callable[[str], None]) -> None:
        self.rule = rule


def convert(tree: object, schema: type[T], *, source: str, hook: Hook) -> T:
    """Return the tree as a `schema`; `hook` decodes the types msgspec does not know.

    Raises `ConfigError`.
    """
    try:
        return msgspec.convert(tree, schema, dec_hook=hook)
    except msgspec.ValidationError as error:
        raise ConfigError(source, [Problem("", str(error))]) from None


def find_problems(
    value: object, schema: object, *, hook: Hook, at: KeyPath = ()
) -> Iterator[Problem]:
    """Yield everything in `value` that does not fit the type `schema`, in the order of the file."""
    typed, kind, checks = _narrow(schema, value)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield from _in_struct(value, kind, hook=hook, at=at)
    elif get_origin(kind) is dict and isinstance(value, dict):
        name_kind, member_kind = get_args(kind)
        for name, member in value.items():
            yield from find_problems(name, name_kind, hook=hook, at=(*at, name))
            yield from find_problems(member, member_kind, hook=hook, at=(*at, name))
    elif get_origin(kind) is list and isinstance(value, list) and value:
        for index, member in enumerate(value):
            yield from find_problems(member, get_args(kind)[0], hook=hook, at=(*at, index))
    else:
        yield from _in_leaf(value, typed, checks, hook=hook, at=at)


def unknown_name(
    name: str, valid: Iterable[str], *, at: KeyPath, what: str = "unknown key"
) -> Problem:
    """Return the problem of a name that is none of the `valid` ones."""
    names = sorted(valid)
    near = difflib.get_close_matches(name.lower(), names, n=1)
    message = what if near else f"{what}; valid here: {', '.join(names)}"
    return Problem(show(at), message, near[0] if near else None)


def show(at: KeyPath) -> str:
    """Return a path as TOML writes it, quotes where a name needs them, and `[0]` for places."""
    text = ""
    for step in at:
        if isinstance(step, int):
            text += f"[{step}]"
            continue
        name = step if _BARE_KEY.fullmatch(step) else msgspec.json.encode(step).decode()
        text += f".{name}" if text else name
    return text


def _in_struct(
    value: object, kind: type[msgspec.Struct], *, hook: Hook, at: KeyPath
) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(show(at), f"expected a table, got {_toml_name(value)}")
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name, member in value.items():
        if name in fields:
            yield from find_problems(member, fields[name].type, hook=hook, at=(*at, name))
        else:
            yield unknown_name(name, fields, at=(*at, name))
    for name, field in fields.items():
        if field.required and name not in value:
            yield Problem(show((*at, name)), "missing")


def _in_leaf(
    value: object, schema: object, checks: list[Check], *, hook: Hook, at: KeyPath
) -> Iterator[Problem]:
    try:
        decoded = msgspec.convert(value, schema, dec_hook=hook)
        for check in checks:
            check.rule(decoded)
    except (msgspec.ValidationError, ValueError) as error:
        choices = _choices(schema)
        if choices and isinstance(value, str):
            yield unknown_name(value, choices, at=at, what="not a valid value")
        else:
            yield Problem(show(at), _plain(str(error)))


def _narrow(schema: object, value: object) -> tuple[object, object, list[Check]]:
    """Choose the member of a union that such a value is meant for, and take its annotations off.

    Returns the member as annotated (for msgspec), the member alone, and its checks.
    """
    checks: list[Check] = []
    typed = schema
    while True:
        if get_origin(schema) is Annotated:
            schema, *extras = get_args(schema)
            checks += [extra for extra in extras if isinstance(extra, Check)]
        elif get_origin(schema) in {Union, types.UnionType}:
            typed = schema = _meant(get_args(schema), value)
        else:
            return typed, schema, checks


def _meant(members: tuple[object, ...], value: object) -> object:
    wanted = [member for member in members if member is not types.NoneType]
    holders = [
        member for member in wanted if _holds_members(member) == isinstance(value, dict | list)
    ]
    return (holders or wanted)[0]


def _holds_members(kind: object) -> bool:
    is_struct = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    return is_struct or get_origin(kind) in {dict, list}


def _choices(schema: object) -> tuple[str, ...]:
    return get_args(schema) if get_origin(schema) is Literal else ()


def _plain(message: str) -> str:
    """Put msgspec's words into those of a TOML file."""
    return (
        message.replace("Expected", "expected")
        .replace("`object`", "a table")
        .replace("`str`", "a string")
        .replace("`int`", "a whole number")
        .replace("`float`", "a number")
        .replace("`bool`", "true or false")
        .replace("`array`", "a list")
        .replace("`null`", "nothing")
    )


def _toml_name(value: object) -> str:
    if isinstance(value, list):
        return "a list"
    return {str: "a string", bool: "true or false", int: "a number", float: "a number"}.get(
        type(value), "another kind of value"
    )
