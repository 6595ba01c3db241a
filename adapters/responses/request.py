"""A request of the Responses API, read into the middle: its tools, its wishes, its limits.

What a client may leave to OpenAI's stored state or hosted tools has no meaning here: `store`, `metadata`,
`max_tool_calls` and `truncation` change nothing, and the answer says so. Log probabilities are refused, since
no answer would have them. Fields that no struct of the middle names stay in `extra`, in their own bytes.
"""

from collections.abc import Mapping
from typing import Final, Literal, cast, get_args

import msgspec

from adapters.dialect import BadCall, Call
from adapters.middle.conversation import (
    Conversation,
    Effort,
    OutputFormat,
    Text,
    Thinking,
    Tool,
    ToolChoice,
)
from adapters.openai.foreign import NULL, UNREADABLE, starts_with
from adapters.responses.items import read_input
from adapters.responses.tools import Offer, offered_name, read_tools

_EFFORTS: Final = get_args(Effort)
_LOGPROBS: Final = "message.output_text.logprobs"


class _NamedTool(msgspec.Struct):
    type: str = "function"
    name: str | None = None
    namespace: str | None = None


class _ToolChoice(msgspec.Struct):
    type: str
    name: str | None = None
    namespace: str | None = None
    mode: Literal["auto", "required"] = "auto"
    tools: list[_NamedTool] | None = None


class _Format(msgspec.Struct):
    type: str
    name: str = "answer"
    schema: msgspec.Raw = NULL
    strict: bool | None = None
    description: str | None = None


class _Text(msgspec.Struct):
    format: _Format | None = None
    verbosity: msgspec.Raw = NULL


class _Reasoning(msgspec.Struct):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class _Fields(msgspec.Struct):
    """The fields that the middle has a place for; all may be absent or null."""

    instructions: str | None = None
    tool_choice: Literal["auto", "none", "required"] | _ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    text: _Text | None = None
    reasoning: _Reasoning | None = None
    include: list[str] | None = None
    user: str | None = None
    service_tier: str | None = None


_FIELDS: Final = frozenset(_Fields.__struct_fields__)
_MEANINGLESS: Final = frozenset(
    {
        "background",
        "max_tool_calls",
        "metadata",
        "store",
        "stream_options",
        "truncation",
    }
)
_KNOWN: Final = _FIELDS | _MEANINGLESS | {"model", "input", "stream", "tools"}
_RANGES: Final[Mapping[str, tuple[float, float]]] = {"temperature": (0, 2), "top_p": (0, 1)}

_decode_fields: Final = msgspec.json.Decoder(_Fields).decode
_encode: Final = msgspec.json.encode


def read_request(call: Call) -> Conversation:
    """Return the conversation of a call. Raises `BadCall` naming the field."""
    given = {name: raw for name, raw in call.fields.items() if raw != NULL}
    fields = _read_fields(given)
    system, turns = read_input(given["input"])
    if not turns:
        raise BadCall("'input' must hold more than the system's messages.", param="input")
    if fields.instructions:
        system = (Text(text=fields.instructions), *system)
    tools, choice = _choose(read_tools(given), fields.tool_choice)
    text = fields.text or _Text()
    return Conversation(
        system=system,
        turns=turns,
        tools=tools,
        tool_choice=choice,
        parallel_calls=fields.parallel_tool_calls if tools else None,
        most_tokens=fields.max_output_tokens,
        temperature=fields.temperature,
        top_p=fields.top_p,
        format=_format(text.format),
        thinking=_thinking(fields.reasoning),
        user=fields.user,
        service_tier=fields.service_tier,
        extra=_extra(given, text),
    )


def _read_fields(given: Mapping[str, msgspec.Raw]) -> _Fields:
    try:
        fields = _decode_fields(
            _encode({name: raw for name, raw in given.items() if name in _FIELDS})
        )
    except UNREADABLE as error:
        said, _, path = str(error).partition(" - at `$.")
        param = path.rstrip("`")
        raise BadCall(f"Invalid '{param}': {said}.", param=param, code="invalid_type") from None
    for name, (least, most) in _RANGES.items():
        value = getattr(fields, name)
        if value is not None and not least <= value <= most:
            raise BadCall(f"'{name}' must be between {least} and {most}.", param=name)
    if fields.top_logprobs or _LOGPROBS in (fields.include or ()):
        param = "top_logprobs" if fields.top_logprobs else "include"
        raise BadCall(
            "Log probabilities are not available here; use chat completions.",
            param=param,
            code="unsupported_parameter",
        )
    return fields


def _extra(given: Mapping[str, msgspec.Raw], text: _Text) -> dict[str, msgspec.Raw]:
    extra = {name: raw for name, raw in given.items() if name not in _KNOWN}
    if text.verbosity != NULL:
        extra["verbosity"] = text.verbosity
    return extra


def _choose(
    offer: Offer, wanted: str | _ToolChoice | None
) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    """Return the tools that the model gets, and what it must do with them."""
    tools = tuple(offered.tool for offered in offer.values())
    match wanted:
        case None:
            return tools, None
        case "auto" | "none" | "required":
            return _demanded(tools, ToolChoice(wanted))
        case _ToolChoice(type="allowed_tools"):
            names = {_known(offer, one.type, one.name, one.namespace) for one in wanted.tools or ()}
            allowed = tuple(tool for tool in tools if tool.name in names)
            return _demanded(allowed, ToolChoice(wanted.mode))
        case _ToolChoice():
            name = _known(offer, wanted.type, wanted.name, wanted.namespace)
            return tools, ToolChoice("named", name)
    raise BadCall("Invalid 'tool_choice'.", param="tool_choice")


def _demanded(
    tools: tuple[Tool, ...], choice: ToolChoice
) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    if tools:
        return tools, choice
    if choice.mode == "required":
        raise BadCall(
            "'tool_choice' demands a call, but there is no tool that can run here.",
            param="tool_choice",
        )
    return tools, None


def _known(offer: Offer, kind: str, name: str | None, namespace: str | None) -> str:
    if kind not in {"function", "custom"} or name is None:
        raise BadCall(f"'tool_choice' of type '{kind}' cannot run here.", param="tool_choice")
    found = offered_name(name, namespace)
    if found not in offer:
        raise BadCall(f"'tool_choice' names no tool: '{name}'.", param="tool_choice")
    return found


def _format(wanted: _Format | None) -> OutputFormat | None:
    match wanted:
        case None | _Format(type="text"):
            return None
        case _Format(type="json_object"):
            return OutputFormat(kind="json_object")
        case _Format(type="json_schema") if starts_with(wanted.schema, b"{"):
            return OutputFormat(
                kind="json_schema",
                name=wanted.name,
                schema=wanted.schema,
                strict=wanted.strict,
                description=wanted.description,
            )
    raise BadCall(
        "'text.format' is of type 'text', 'json_object', or 'json_schema' with a schema.",
        param="text.format",
    )


def _thinking(wanted: _Reasoning | None) -> Thinking | None:
    if wanted is None:
        return None
    summary = wanted.summary or wanted.generate_summary
    if wanted.effort is None:
        return None if summary is None else Thinking(summary=summary)
    if wanted.effort not in _EFFORTS:
        known = ", ".join(_EFFORTS)
        raise BadCall(f"'reasoning.effort' must be one of {known}.", param="reasoning.effort")
    return Thinking(effort=cast("Effort", wanted.effort), summary=summary)
