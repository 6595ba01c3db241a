"""When the simulated model calls a tool, and with which arguments.

The rules, in order. Forced (`required`, or a named function): it calls, always. `none`, or no
tools: it never does. Otherwise it calls only in answer to a user's message: every function whose
name stands in the text (with `_` read as a space too), or else the only tool there is, provided
the conversation holds no tool result yet. So an agent's loop comes to its end: the result of a
call is answered with text.
"""

from collections.abc import Sequence

import msgspec

from router.simulator.fields import ChatFields, Function, Message
from router.simulator.prose import text_of
from router.simulator.refusal import Refusal
from router.simulator.schema_example import example
from router.simulator.words import fingerprint, split_tokens


class ToolCall(msgspec.Struct, frozen=True):
    """One call; its arguments, joined, are JSON."""

    id: str
    name: str
    fragments: list[str]


def tool_calls(fields: ChatFields, *, key: bytes, index: int) -> list[ToolCall]:
    """The calls of choice `index`, none when it answers with text.

    Raises Refusal for a tool choice that cannot be followed.
    """
    return [
        ToolCall(
            id="call_" + fingerprint(key.hex(), index, position).hex()[:24],
            name=function.name,
            fragments=split_tokens(_arguments(function)),
        )
        for position, function in enumerate(_chosen(fields))
    ]


def _arguments(function: Function) -> str:
    value = example(function.parameters or {"type": "object"})
    return msgspec.json.encode(value).decode()


def _chosen(fields: ChatFields) -> list[Function]:
    functions = [tool.function for tool in fields.tools or () if tool.function is not None]
    match fields.tool_choice:
        case {"type": "function", "function": {"name": name}}:
            return [_named(functions, name)]
        case "none":
            return []
        case "required":
            return _mentioned(functions, fields)[:1] or functions[:1]
        case None | "auto":
            calls = _wanted(functions, fields)
            return calls[:1] if fields.parallel_tool_calls is False else calls
    message = "'tool_choice' must be 'none', 'auto', 'required' or a named function."
    raise Refusal(400, message, param="tool_choice", code="invalid_value")


def _named(functions: Sequence[Function], name: object) -> Function:
    for function in functions:
        if function.name == name:
            return function
    message = f"Tool choice '{name}' not found in 'tools'."
    raise Refusal(400, message, param="tool_choice", code="invalid_value")


def _wanted(functions: Sequence[Function], fields: ChatFields) -> list[Function]:
    if fields.messages[-1].role != "user":
        return []
    if mentioned := _mentioned(functions, fields):
        return mentioned
    answered = any(_is_result(message) for message in fields.messages)
    return list(functions) if len(functions) == 1 and not answered else []


def _is_result(message: Message) -> bool:
    return message.role in {"tool", "function"}


def _mentioned(functions: Sequence[Function], fields: ChatFields) -> list[Function]:
    text = text_of(fields.messages[-1].content).lower()
    return [
        function
        for function in functions
        if function.name.lower() in text or function.name.lower().replace("_", " ") in text
    ]
