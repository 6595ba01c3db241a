"""A client's request of Anthropic's form, read into the middle.

Tools that run at Anthropic itself (search, code execution, MCP servers) cannot run anywhere else and are
refused, since an answer without them would be another. Fields that no struct names stay in `extra`.
"""

from typing import Final, Literal

import msgspec

from adapters.anthropic.face_messages import CacheControl, read_messages
from adapters.dialect import BadCall, Call
from adapters.middle.conversation import (
    CacheMark,
    Conversation,
    Effort,
    OutputFormat,
    Thinking,
    Tool,
    ToolChoice,
)
from adapters.middle.schema import object_schema
from adapters.openai.foreign import NULL, UNREADABLE

_ONLY_ANTHROPIC: Final = ("container", "mcp_servers")
_MODES: Final[dict[str, Literal["auto", "none", "required", "named"]]] = {
    "auto": "auto",
    "none": "none",
    "any": "required",
    "tool": "named",
}


class _Tool(msgspec.Struct):
    name: str
    type: str | None = None
    description: str | None = None
    input_schema: msgspec.Raw = NULL
    strict: bool | None = None
    cache_control: CacheControl | None = None


class _ToolChoice(msgspec.Struct):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Thinking(msgspec.Struct):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class _Format(msgspec.Struct):
    type: str
    schema: msgspec.Raw = NULL


class _OutputConfig(msgspec.Struct):
    effort: Effort | None = None
    format: _Format | None = None


class _Metadata(msgspec.Struct):
    user_id: str | None = None


class _Fields(msgspec.Struct):
    """The fields that the middle has a place for; all may be absent or null."""

    max_tokens: int | None = None
    tools: list[_Tool] | None = None
    tool_choice: _ToolChoice | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None  # the same as above, before it had a place there
    metadata: _Metadata | None = None
    service_tier: str | None = None


_FIELDS: Final = frozenset(_Fields.__struct_fields__)
_KNOWN: Final = _FIELDS | {"model", "messages", "system", "stream"}

_decode_fields: Final = msgspec.json.Decoder(_Fields).decode
_encode: Final = msgspec.json.encode


def read_request(call: Call) -> Conversation:
    """Return the conversation of a call. Raises `BadCall` naming the field."""
    given = {name: raw for name, raw in call.fields.items() if raw != NULL}
    for name in _ONLY_ANTHROPIC:
        if name in given:
            raise BadCall(f"{name}: not supported by this model", param=name)
    fields = _read_fields(given)
    system, turns = read_messages(call.fields["messages"], call.fields.get("system", NULL))
    if not turns:
        raise BadCall("messages: at least one message is required", param="messages")
    config = fields.output_config or _OutputConfig()
    choice = fields.tool_choice
    serial = choice is not None and choice.disable_parallel_tool_use
    return Conversation(
        system=system,
        turns=turns,
        tools=tuple(_tool(tool, index) for index, tool in enumerate(fields.tools or ())),
        tool_choice=_tool_choice(fields),
        parallel_calls=False if serial else None,
        most_tokens=fields.max_tokens,
        temperature=fields.temperature,
        top_p=fields.top_p,
        top_k=fields.top_k,
        stop=tuple(fields.stop_sequences or ()),
        format=_format(config.format or fields.output_format),
        thinking=_thinking(fields.thinking, config.effort),
        user=None if fields.metadata is None else fields.metadata.user_id,
        service_tier=fields.service_tier,
        extra={name: raw for name, raw in given.items() if name not in _KNOWN},
    )


def _read_fields(given: dict[str, msgspec.Raw]) -> _Fields:
    try:
        return _decode_fields(
            _encode({name: raw for name, raw in given.items() if name in _FIELDS})
        )
    except UNREADABLE as error:
        said, _, path = str(error).partition(" - at `$.")
        param = path.rstrip("`")
        raise BadCall(f"{param}: {said}", param=param, code="invalid_type") from None


def _tool(tool: _Tool, index: int) -> Tool:
    where = f"tools[{index}]"
    if tool.type not in {None, "custom"}:
        raise BadCall(
            f"{where}: a tool of type '{tool.type}' is not supported by this model", param=where
        )
    try:
        parameters = object_schema(tool.input_schema)
    except ValueError as error:
        where += ".input_schema"
        raise BadCall(f"{where}: {error}", param=where) from None
    return Tool(
        name=tool.name,
        description=tool.description,
        parameters=parameters,
        strict=tool.strict,
        cache=None if tool.cache_control is None else CacheMark(tool.cache_control.ttl),
    )


def _tool_choice(fields: _Fields) -> ToolChoice | None:
    choice = fields.tool_choice
    if choice is None or not fields.tools:
        return None
    mode = _MODES.get(choice.type)
    if mode is None:
        raise BadCall(f"tool_choice: unknown type '{choice.type}'", param="tool_choice")
    return ToolChoice(mode, choice.name if mode == "named" else None)


def _format(wanted: _Format | None) -> OutputFormat | None:
    if wanted is None:
        return None
    if wanted.type != "json_schema" or wanted.schema == NULL:
        raise BadCall(
            "output_config.format: expected type 'json_schema' and a schema", param="output_config"
        )
    return OutputFormat(kind="json_schema", schema=wanted.schema, strict=True)


def _thinking(config: _Thinking | None, effort: Effort | None) -> Thinking | None:
    match config:
        case None:
            return None if effort is None else Thinking(effort=effort)
        case _Thinking(type="disabled" | "between_tools"):
            return Thinking(effort="none")
    return Thinking(effort=effort, budget_tokens=config.budget_tokens, summary=config.display)
