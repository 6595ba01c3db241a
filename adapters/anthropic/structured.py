"""An answer in a form: natively where the model can, by a tool it must call, or in words.

The tool's input then becomes the answer's text, so that the client never sees it. Where the client has tools
of its own the model has to call one of all: its own calls go to the client, the form's is the answer. Any
JSON object without a schema is asked for in words, since a tool without parameters is called with nothing.
"""

from typing import Final

import msgspec

from adapters.anthropic.model import Traits
from adapters.anthropic.schema import closed_schema
from adapters.middle.conversation import Conversation, OutputFormat, Tool, ToolChoice
from adapters.middle.schema import object_schema

_NAME: Final = "give_answer"
_PURPOSE: Final = "Give the final answer, in this form. Call it once, after everything else."
_JSON_WORDS: Final = (
    "Answer with one JSON object and nothing else: no words around it, no code fence."
)
_SCHEMA_WORDS: Final = " It conforms to this JSON schema: "


class FormatPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How the form is asked for: by `schema` natively, by a `tool` with a `choice`, or by `words`."""

    schema: msgspec.Raw | None = None
    tool: Tool | None = None
    choice: ToolChoice | None = None
    words: str | None = None


def plan_format(conversation: Conversation, traits: Traits) -> FormatPlan:
    """Return how to ask this model for the answer's form."""
    wanted, choice = conversation.format, conversation.tool_choice
    if wanted is None or (choice is not None and choice.mode == "named"):
        return FormatPlan()
    if wanted.schema is None:
        return FormatPlan(words=_JSON_WORDS)
    if traits.native_format:
        schema = closed_schema(wanted.schema)
        if schema is not None:
            return FormatPlan(schema=schema)
    tool = _format_tool(conversation, wanted) if traits.forced_tools else None
    if tool is None:
        return FormatPlan(words=_JSON_WORDS + _SCHEMA_WORDS + bytes(wanted.schema).decode())
    free = conversation.tools and (choice is None or choice.mode != "none")
    return FormatPlan(
        tool=tool, choice=ToolChoice("required") if free else ToolChoice("named", tool.name)
    )


def format_tool_name(conversation: Conversation) -> str | None:
    """Return the name that a tool for the answer's form has, `None` where there can be none.

    An answer does not tell whether that tool was offered, but no other has its name.
    """
    if conversation.format is None or conversation.format.schema is None:
        return None
    name, taken = _NAME, {tool.name for tool in conversation.tools}
    while name in taken:
        name += "_"
    return name


def _format_tool(conversation: Conversation, wanted: OutputFormat) -> Tool | None:
    """Return the tool, `None` for a form that is no object."""
    name = format_tool_name(conversation)
    if name is None or wanted.schema is None:
        return None
    try:
        parameters = object_schema(wanted.schema)
    except ValueError:
        return None
    purpose = f"{_PURPOSE} {wanted.description}" if wanted.description else _PURPOSE
    return Tool(name=name, description=purpose, parameters=parameters)
