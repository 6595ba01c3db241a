"""The rules of a conversation: it begins with the user, the sides take turns, every call is answered at once.

Source: "Converse" in the API reference of Amazon Bedrock Runtime, its guide to tool use, and the messages of
the real service.
"""

from collections.abc import Sequence

from router.simulator.bedrock.block_rules import check_block, check_documents
from router.simulator.bedrock.blocks import ToolResult, ToolUse
from router.simulator.bedrock.error import invalid
from router.simulator.bedrock.fields import ConverseFields, Message


def check_turns(fields: ConverseFields) -> None:
    """Raise Refusal for a conversation that breaks a rule."""
    messages = fields.messages
    if messages[0].role != "user":
        told = "A conversation must start with a user message."
        raise invalid(f"{told} Try again with a conversation that starts with a user message.")
    names: set[str] = set()
    for number, message in enumerate(messages):
        if number and message.role == messages[number - 1].role:
            told = "A conversation must alternate between user and assistant roles."
            raise invalid(f"{told} Make sure the conversation alternates and try again.")
        place = f"messages.{number}.content"
        if not message.content:
            told = f"The content field in the Message object at messages.{number} is empty."
            raise invalid(f"{told} Add a ContentBlock object to the content field and try again.")
        for at, block in enumerate(message.content):
            check_block(block, message.role, f"{place}.{at}")
        check_documents(message.content, place, names)
    _check_calls(messages)
    if fields.tool_config is None and any(uses_of(one) or results_of(one) for one in messages):
        told = "The toolConfig field must be defined when using toolUse and toolResult content"
        raise invalid(f"{told} blocks.")


def uses_of(message: Message) -> list[ToolUse]:
    """The calls of a turn."""
    return [block.tool_use for block in message.content if block.tool_use is not None]


def results_of(message: Message) -> list[ToolResult]:
    """The answers to calls in a turn."""
    return [block.tool_result for block in message.content if block.tool_result is not None]


def _check_calls(messages: Sequence[Message]) -> None:
    seen: set[str] = set()
    before: Message | None = None
    for number, message in enumerate(messages):
        place = f"messages.{number}.content"
        called = [use.tool_use_id for use in uses_of(before)] if before is not None else []
        answered = [result.tool_use_id for result in results_of(message)]
        _check_answers(called, answered, place)
        for use in uses_of(message):
            if use.tool_use_id in seen:
                raise invalid(f"{place}: toolUse ids must be unique.")
            seen.add(use.tool_use_id)
        before = message
    if before is not None and uses_of(before):
        raise _unanswered([use.tool_use_id for use in uses_of(before)], f"messages.{len(messages)}")


def _check_answers(called: Sequence[str], answered: Sequence[str], place: str) -> None:
    if len(answered) > len(called):
        told = f"The number of toolResult blocks at {place} exceeds the number of toolUse blocks"
        raise invalid(f"{told} of previous turn.")
    missing = [one for one in called if one not in answered]
    if missing:
        raise _unanswered(missing, place)
    if len(set(answered)) < len(answered) or not set(answered) <= set(called):
        raise invalid(f"The toolResult blocks at {place} answer no toolUse block of previous turn.")


def _unanswered(missing: Sequence[str], place: str) -> Exception:
    return invalid(f"Expected toolResult blocks at {place} for the following Ids: {missing}")
