"""The functions that a model may call, and whether it must.

Converse has no word for calling nothing: then no function is shown. But a conversation in which calls were
made must show some, so there the model is asked in words to call none, and functions that the client has
dropped are shown by their bare names. A model that cannot be made to call is asked in words too; one that can
be made to call only some function is shown the one that is meant.
"""

from typing import Final

import msgspec

from adapters.bedrock.media import Json
from adapters.bedrock.message import cache_point
from adapters.bedrock.model import Traits
from adapters.dialect import BadCall
from adapters.middle.conversation import Conversation, Tool, ToolCall, ToolChoice, ToolResult

_NO_CALLS: Final = "Answer in words. Call no tool."
_SOME_CALL: Final = "Answer by calling one of the tools."
_LOST_TOOL: Final = "lost_tool"
_DEMANDS: Final = frozenset({"required", "named"})


class ToolPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is said about functions: `config` for Converse, `words` for the model, either may be missing.

    `forced`: a call is demanded by the configuration, and not only by words.
    """

    config: Json | None = None
    words: str | None = None
    forced: bool = False


def plan_tools(
    conversation: Conversation,
    traits: Traits,
    *,
    form_tool: Tool | None,
    choice: ToolChoice | None,
) -> ToolPlan:
    """Return what is said about functions. Raises `BadCall` if one is demanded that is not there.

    `form_tool`: the one in which the answer's form is asked for; `choice`: what is demanded of all.
    """
    tools = (*conversation.tools, *(() if form_tool is None else (form_tool,)))
    if not tools or (choice is not None and choice.mode == "none"):
        lost = tools or _lost_tools(conversation)
        if not _has_calls(conversation):
            return ToolPlan()
        return ToolPlan(config=_config(lost, traits), words=_NO_CALLS)
    if choice is None or choice.mode not in _DEMANDS:
        return ToolPlan(config=_config(tools, traits))
    if choice.mode == "named":
        return _demand_one(tools, choice.name or "", traits)
    if traits.demands == "no":
        return ToolPlan(config=_config(tools, traits), words=_SOME_CALL)
    return ToolPlan(config=_config(tools, traits, {"any": {}}), forced=True)


def _demand_one(tools: tuple[Tool, ...], name: str, traits: Traits) -> ToolPlan:
    meant = tuple(tool for tool in tools if tool.name == name)
    if not meant:
        raise BadCall("'tool_choice' names a function that is not there.", param="tool_choice")
    match traits.demands:
        case "named":
            return ToolPlan(config=_config(tools, traits, {"tool": {"name": name}}), forced=True)
        case "any":
            return ToolPlan(config=_config(meant, traits, {"any": {}}), forced=True)
        case "no":
            words = f"Answer by calling the tool '{name}'."
            return ToolPlan(config=_config(tools, traits), words=words)


def _config(tools: tuple[Tool, ...], traits: Traits, choice: Json | None = None) -> Json:
    said: list[Json] = []
    for tool in tools:
        said.append({"toolSpec": _tool(tool)})
        if traits.caches == "tools":
            said += cache_point(tool.cache, traits)
    return {"tools": said} if choice is None else {"tools": said, "toolChoice": choice}


def _tool(tool: Tool) -> Json:
    said: Json = {"name": tool.name, "inputSchema": {"json": tool.parameters}}
    return {**said, "description": tool.description} if tool.description else said


def _has_calls(conversation: Conversation) -> bool:
    parts = (part for turn in conversation.turns for part in turn.parts)
    return any(isinstance(part, ToolCall | ToolResult) for part in parts)


def _lost_tools(conversation: Conversation) -> tuple[Tool, ...]:
    """Return the functions that were called before, in the order of their first calls."""
    parts = (part for turn in conversation.turns for part in turn.parts)
    names = {part.name: None for part in parts if isinstance(part, ToolCall) and part.name}
    return tuple(Tool(name=name) for name in names or (_LOST_TOOL,))
