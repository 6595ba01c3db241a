"""A chat request, read into the middle: its tools, its wishes, its limits.

A field that is `null` counts as absent. Ranges that OpenAI's reference states are checked here, because the
provider behind may have others and would then be asked for something else than the client meant. Fields that
no struct of the middle names stay in `extra`, in their own bytes.
"""

from collections.abc import Mapping
from typing import Final, Literal, cast, get_args

import msgspec

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
from adapters.openai.chat_messages import read_messages
from adapters.openai.foreign import NULL, UNREADABLE, starts_with

_EFFORTS: Final = get_args(Effort)
_TO_BE_READ: Final = "auto"
_UNSUPPORTED: Final = {
    "functions": "use 'tools' instead",
    "function_call": "use 'tool_choice' instead",
    "audio": "this model answers in text only",
    "web_search_options": "this model has no search of its own",
}


class _CacheControl(msgspec.Struct):
    ttl: str | None = None


class _Function(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: msgspec.Raw = NULL
    strict: bool | None = None
    cache_control: _CacheControl | None = None


class _Tool(msgspec.Struct):
    type: str
    function: _Function | None = None
    cache_control: _CacheControl | None = None


class _Name(msgspec.Struct):
    name: str


class _ToolChoice(msgspec.Struct):
    type: str
    function: _Name | None = None


class _JsonSchema(msgspec.Struct):
    name: str = "answer"
    schema: msgspec.Raw = NULL
    strict: bool | None = None
    description: str | None = None


class _ResponseFormat(msgspec.Struct):
    type: str
    json_schema: _JsonSchema | None = None


class _Reasoning(msgspec.Struct):
    effort: str | None = None
    max_tokens: int | None = None
    enabled: bool | None = None
    exclude: bool | None = None
    summary: str | None = None


class _Thinking(msgspec.Struct):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class _Fields(msgspec.Struct):
    """The fields that the middle has a place for; all may be absent or null."""

    tools: list[_Tool] | None = None
    tool_choice: Literal["auto", "none", "required"] | _ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_format: _ResponseFormat | None = None
    reasoning_effort: str | None = None
    reasoning: _Reasoning | None = None
    thinking: _Thinking | None = None
    user: str | None = None
    service_tier: str | None = None


_KNOWN: Final = frozenset(_Fields.__struct_fields__) | {
    "model",
    "messages",
    "stream",
    "stream_options",
}
_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
    "n": (1, 128),
    "top_logprobs": (0, 20),
}

_decode_fields: Final = msgspec.json.Decoder(_Fields).decode
_encode: Final = msgspec.json.encode


def read_request(call: Call) -> Conversation:
    """Return the conversation of a chat call. Raises `BadCall` naming the field."""
    given = {name: raw for name, raw in call.fields.items() if raw != NULL}
    for name, advice in _UNSUPPORTED.items():
        if name in given:
            raise BadCall(f"'{name}' is not supported here: {advice}.", param=name)
    fields = _read_fields(given)
    system, turns = read_messages(call.fields["messages"])
    if not turns:
        raise BadCall("'messages' must hold more than the system's.", param="messages")
    tools = tuple(_tool(tool, index) for index, tool in enumerate(fields.tools or ()))
    return Conversation(
        system=system,
        turns=turns,
        tools=tools,
        tool_choice=_tool_choice(fields, tools),
        parallel_calls=fields.parallel_tool_calls,
        most_tokens=_first(fields.max_completion_tokens, fields.max_tokens),
        temperature=fields.temperature,
        top_p=fields.top_p,
        top_k=fields.top_k,
        stop=(fields.stop,) if isinstance(fields.stop, str) else tuple(fields.stop or ()),
        seed=fields.seed,
        frequency_penalty=fields.frequency_penalty,
        presence_penalty=fields.presence_penalty,
        choices=_first(fields.n, 1) or 1,
        logprobs=(fields.top_logprobs or 0) if fields.logprobs else None,
        format=_format(fields.response_format),
        thinking=_thinking(fields),
        user=fields.user,
        service_tier=fields.service_tier,
        extra={name: raw for name, raw in given.items() if name not in _KNOWN},
    )


def _read_fields(given: Mapping[str, msgspec.Raw]) -> _Fields:
    known = {name: raw for name, raw in given.items() if name in _Fields.__struct_fields__}
    try:
        fields = _decode_fields(_encode(known))
    except UNREADABLE as error:
        said, _, path = str(error).partition(" - at `$.")
        param = path.rstrip("`")
        raise BadCall(f"Invalid '{param}': {said}.", param=param, code="invalid_type") from None
    for name, (least, most) in _RANGES.items():
        value = getattr(fields, name)
        if value is not None and not least <= value <= most:
            raise BadCall(f"'{name}' must be between {least} and {most}.", param=name)
    return fields


def _tool(tool: _Tool, index: int) -> Tool:
    function = tool.function
    if tool.type != "function" or function is None:
        raise BadCall(
            f"'tools[{index}]' is of type '{tool.type}', but this model supports functions only.",
            param=f"tools[{index}]",
        )
    try:
        parameters = object_schema(function.parameters)
    except ValueError as error:
        where = f"tools[{index}].function.parameters"
        raise BadCall(f"Invalid '{where}': {error}.", param=where) from None
    mark = tool.cache_control or function.cache_control
    return Tool(
        name=function.name,
        description=function.description,
        parameters=parameters,
        strict=function.strict,
        cache=None if mark is None else CacheMark(mark.ttl),
    )


def _tool_choice(fields: _Fields, tools: tuple[Tool, ...]) -> ToolChoice | None:
    choice = fields.tool_choice
    if not tools:
        for name in ("tool_choice", "parallel_tool_calls"):
            if getattr(fields, name) is not None and choice != "none":
                raise BadCall(f"'{name}' is only allowed when 'tools' are given.", param=name)
        return None
    if choice is None or isinstance(choice, str):
        return None if choice is None else ToolChoice(choice)
    if choice.type != "function" or choice.function is None:
        raise BadCall(
            f"'tool_choice' of type '{choice.type}' is not supported by this model.",
            param="tool_choice",
        )
    if choice.function.name not in {tool.name for tool in tools}:
        raise BadCall(
            f"'tool_choice' names no tool: '{choice.function.name}'.", param="tool_choice"
        )
    return ToolChoice("named", choice.function.name)


def _format(wanted: _ResponseFormat | None) -> OutputFormat | None:
    match wanted:
        case None | _ResponseFormat(type="text"):
            return None
        case _ResponseFormat(type="json_object"):
            return OutputFormat(kind="json_object")
        case _ResponseFormat(type="json_schema", json_schema=_JsonSchema() as described):
            return OutputFormat(
                kind="json_schema",
                name=described.name,
                schema=_schema(described.schema),
                strict=described.strict,
                description=described.description,
            )
    raise BadCall(
        "'response_format' is of type 'text', 'json_object', or 'json_schema' with a schema.",
        param="response_format",
    )


def _schema(schema: msgspec.Raw) -> msgspec.Raw:
    if not starts_with(schema, b"{"):
        where = "response_format.json_schema.schema"
        raise BadCall(f"'{where}' must be an object.", param=where)
    return schema


def _thinking(fields: _Fields) -> Thinking | None:
    """Return how much to think, said in OpenAI's way, in OpenRouter's, or in Anthropic's.

    Clients that know the latter two mean to read the thoughts, unless they say otherwise.
    """
    wished, budgeted = fields.reasoning, fields.thinking
    if fields.reasoning_effort is not None:
        return Thinking(effort=_effort(fields.reasoning_effort, "reasoning_effort"))
    if wished is not None:
        if wished.enabled is False:
            return Thinking(effort="none")
        effort = None if wished.effort is None else _effort(wished.effort, "reasoning.effort")
        summary = None if wished.exclude else wished.summary or _TO_BE_READ
        return Thinking(effort=effort, budget_tokens=wished.max_tokens, summary=summary)
    if budgeted is not None:
        if budgeted.type == "disabled":
            return Thinking(effort="none")
        return Thinking(
            budget_tokens=budgeted.budget_tokens, summary=budgeted.display or _TO_BE_READ
        )
    return None


def _effort(effort: str, param: str) -> Effort:
    if effort not in _EFFORTS:
        raise BadCall(f"'{param}' must be one of {', '.join(_EFFORTS)}.", param=param)
    return cast("Effort", effort)


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)
