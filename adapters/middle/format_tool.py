"""A form of the answer beside functions, for models that take only one of the two.

Older Gemini and Cohere refuse a request with both functions and a form. The form is then offered as one more
function, which the model calls to give its answer; with some function it must answer, and its call of this
one becomes the answer's text.
"""

from typing import Final

from adapters.middle.conversation import Conversation, Tool

_NAME: Final = "give_answer"
_PURPOSE: Final = (
    "Give the final answer to the user, in this form. Call it once, after everything else."
)


def format_tool_name(conversation: Conversation) -> str | None:
    """Return the name which a function for the answer's form has, `None` where none can be needed.

    The answer does not tell whether that function was offered, but no other has its name.
    """
    wanted = conversation.format
    forbidden = conversation.tool_choice is not None and conversation.tool_choice.mode == "none"
    if wanted is None or wanted.schema is None or not conversation.tools or forbidden:
        return None
    name, taken = _NAME, {tool.name for tool in conversation.tools}
    while name in taken:
        name += "_"
    return name


def format_tool(conversation: Conversation) -> Tool | None:
    """Return the function by which the model gives its answer."""
    name, wanted = format_tool_name(conversation), conversation.format
    if name is None or wanted is None or wanted.schema is None:
        return None
    purpose = f"{_PURPOSE} {wanted.description}" if wanted.description else _PURPOSE
    return Tool(name=name, description=purpose, parameters=wanted.schema)
