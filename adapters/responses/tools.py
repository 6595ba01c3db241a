"""The tools of a request, made functions, which is all that every provider knows.

A custom tool takes free text; it becomes a function with that text as its one argument, and its calls go
back to the client as calls of a custom tool. Functions of a namespace get its name in front. Tools that
OpenAI runs itself run nowhere else: those which agents offer by habit (`LEFT_OUT`) are left out, so that the
model answers without, and are missing from the `tools` of the answer; any other is refused.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from adapters.dialect import BadCall
from adapters.middle.arguments import NO_ARGUMENTS
from adapters.middle.conversation import Tool
from adapters.middle.schema import object_schema
from adapters.openai.foreign import NULL, UNREADABLE, starts_with

LEFT_OUT: Final = frozenset(
    {
        "image_generation",
        "tool_search",
        "web_search",
        "web_search_2025_08_26",
        "web_search_preview",
        "web_search_preview_2025_03_11",
    }
)
_FREE_TEXT: Final = msgspec.Raw(
    b'{"type":"object","properties":{"input":{"type":"string","description":"The whole input, as it is."}},'
    b'"required":["input"],"additionalProperties":false}'
)


class _Format(msgspec.Struct):
    type: str
    syntax: str | None = None
    definition: str | None = None


class _Tool(msgspec.Struct):
    type: str
    name: str | None = None
    description: str | None = None
    parameters: msgspec.Raw = NULL
    strict: bool | None = None
    format: _Format | None = None
    tools: "list[_Tool] | None" = None


class _MoreTools(msgspec.Struct):
    type: str | None = None
    tools: list[msgspec.Raw] | None = None


class _CustomInput(msgspec.Struct):
    input: str


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """A tool as its provider knows it (`tool`), and as the client does."""

    tool: Tool
    name: str
    namespace: str | None = None
    is_custom: bool = False


Offer = Mapping[str, Offered]  # by the name that the provider knows

_decode_tools: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_tool: Final = msgspec.json.Decoder(_Tool).decode
_decode_more: Final = msgspec.json.Decoder(list[_MoreTools]).decode
_decode_input: Final = msgspec.json.Decoder(_CustomInput).decode
_encode: Final = msgspec.json.encode


def offered_name(name: str, namespace: str | None) -> str:
    """Return the name under which a provider gets a tool."""
    return name if namespace is None else f"{namespace.rstrip('_')}__{name}"


def read_tools(fields: Mapping[str, msgspec.Raw]) -> Offer:
    """Return the tools of a request by the names that a provider gets. Raises `BadCall`."""
    offer: dict[str, Offered] = {}
    for index, raw in enumerate(_all_tools(fields)):
        where = f"tools[{index}]"
        for offered in _offered(_read(raw, where), None, where):
            offer[offered.tool.name] = offered
    return offer


def usable_tools(fields: Mapping[str, msgspec.Raw]) -> list[msgspec.Raw]:
    """Return the tools of a request as its client wrote them, without those that are left out."""
    return [raw for raw in _all_tools(fields) if _read(raw, "tools").type not in LEFT_OUT]


def custom_arguments(text: str) -> str:
    """Return the arguments of a custom tool's function for this input."""
    return _encode({"input": text}).decode()


def custom_input(arguments: str) -> str:
    """Return the input in the arguments of a custom tool's function; if they are none, what they are."""
    if arguments == NO_ARGUMENTS:
        return ""
    try:
        return _decode_input(arguments).input
    except UNREADABLE:
        return arguments


def _all_tools(fields: Mapping[str, msgspec.Raw]) -> list[msgspec.Raw]:
    """Return the tools of the request, and those that its items bring along."""
    tools = fields.get("tools", NULL)
    found = [] if tools == NULL else _decode_tools(tools)
    items = fields.get("input", NULL)
    if starts_with(items, b"[") and b'"additional_tools"' in bytes(items):
        try:
            more = _decode_more(items)
        except UNREADABLE as error:
            raise BadCall(f"Invalid 'input': {error}.", param="input") from None
        for item in more:
            if item.type == "additional_tools":
                found += item.tools or ()
    return found


def _read(raw: msgspec.Raw, where: str) -> _Tool:
    try:
        return _decode_tool(raw)
    except UNREADABLE as error:
        said, _, path = str(error).partition(" - at `$")
        raise _bad(where + path.rstrip("`"), said) from None


def _offered(tool: _Tool, namespace: str | None, where: str) -> Iterator[Offered]:
    if tool.type in LEFT_OUT:
        return
    if tool.name is None or tool.type not in {"function", "custom", "namespace"}:
        raise _bad(
            where, f"a tool of type '{tool.type}' cannot run here; give the model a function"
        )
    if tool.type == "namespace":
        for index, inner in enumerate(tool.tools or ()):
            yield from _offered(inner, tool.name, f"{where}.tools[{index}]")
        return
    is_custom = tool.type == "custom"
    name = offered_name(tool.name, namespace)
    made = _custom(tool, name) if is_custom else _function(tool, name, where)
    yield Offered(tool=made, name=tool.name, namespace=namespace, is_custom=is_custom)


def _function(tool: _Tool, name: str, where: str) -> Tool:
    try:
        parameters = object_schema(tool.parameters)
    except ValueError as error:
        raise _bad(f"{where}.parameters", str(error)) from None
    return Tool(name=name, description=tool.description, parameters=parameters, strict=tool.strict)


def _custom(tool: _Tool, name: str) -> Tool:
    told = tool.description or ""
    if tool.format is not None and tool.format.definition:
        told += f"\n\nThe input must follow this {tool.format.syntax} grammar:\n"
        told += tool.format.definition
    return Tool(name=name, description=told.strip() or None, parameters=_FREE_TEXT)


def _bad(where: str, said: str) -> BadCall:
    return BadCall(f"Invalid '{where}': {said}.", param=where)
