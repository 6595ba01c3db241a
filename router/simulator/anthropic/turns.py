"""The rules of a conversation: who speaks when, what is answered where, what may stand in a turn.

Neighbouring messages of one role are one turn. Every call of the assistant's turn is answered in the
user's turn right after it, before anything else is said there. Source: Anthropic's API reference,
"Create a Message", its guide to tool use, and the messages of the real service.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from router.simulator.anthropic.block_rules import blocks_of, check_block, check_marks
from router.simulator.anthropic.blocks import AnyBlock, TextBlock, ToolResultBlock, ToolUseBlock
from router.simulator.anthropic.error import invalid
from router.simulator.anthropic.fields import Message, Prompt


class Turn(msgspec.Struct):
    """All that one side says before the other one does; `at` is the number of its first message."""

    role: Literal["user", "assistant"]
    at: int
    blocks: list[AnyBlock]

    def uses(self) -> list[ToolUseBlock]:
        """The calls."""
        return [block for block in self.blocks if isinstance(block, ToolUseBlock)]

    def results(self) -> list[ToolResultBlock]:
        """The answers to calls."""
        return [block for block in self.blocks if isinstance(block, ToolResultBlock)]


def turns_of(messages: Sequence[Message]) -> list[Turn]:
    """The messages, neighbours of one role merged."""
    turns: list[Turn] = []
    for number, message in enumerate(messages):
        blocks = blocks_of(message)
        if turns and turns[-1].role == message.role:
            turns[-1].blocks.extend(blocks)
        else:
            turns.append(Turn(message.role, number, blocks))
    return turns


def check_turns(fields: Prompt) -> None:
    """Raise Refusal for a conversation that breaks a rule."""
    messages = fields.messages
    if not messages:
        raise invalid("messages: at least one message is required")
    if messages[0].role != "user":
        raise invalid('messages: first message must use the "user" role')
    for number, message in enumerate(messages):
        is_last = number == len(messages) - 1
        if not message.content and not (is_last and message.role == "assistant"):
            told = (
                "all messages must have non-empty content except for the optional final assistant"
            )
            raise invalid(f"messages.{number}: {told} message")
        for place, block in enumerate(blocks_of(message)):
            check_block(block, message.role, f"messages.{number}.content.{place}")
    _check_last(messages[-1])
    _check_calls(turns_of(messages))
    check_marks(fields)


def _check_last(message: Message) -> None:
    """An answer that is begun for the model must not end with white space."""
    blocks = blocks_of(message)
    if message.role == "user" or not blocks:
        return
    last = blocks[-1]
    if isinstance(last, TextBlock) and last.text != last.text.rstrip():
        raise invalid("messages: final assistant content cannot end with trailing whitespace")


def _check_calls(turns: Sequence[Turn]) -> None:
    seen: set[str] = set()
    before: Turn | None = None
    for number, turn in enumerate(turns):
        for use in turn.uses():
            if use.id in seen:
                raise invalid(f"messages.{turn.at}: `tool_use` ids must be unique")
            seen.add(use.id)
        if turn.role == "assistant" and turn.uses():
            _check_answered(turn, turns[number + 1] if number + 1 < len(turns) else None)
        if turn.role == "user":
            _check_called(turn, before)
        before = turn


def _check_answered(turn: Turn, after: Turn | None) -> None:
    first = list(_leading_results(after)) if after is not None else []
    missing = [use.id for use in turn.uses() if use.id not in first]
    if missing:
        told = "`tool_use` ids were found without `tool_result` blocks immediately after"
        more = "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
        raise invalid(f"messages.{turn.at}: {told}: {', '.join(missing)}. {more}")


def _check_called(turn: Turn, before: Turn | None) -> None:
    called = {use.id for use in before.uses()} if before is not None else set()
    answered: set[str] = set()
    for place, block in enumerate(turn.blocks):
        if not isinstance(block, ToolResultBlock):
            continue
        where, known = f"messages.{turn.at}.content.{place}", block.tool_use_id
        if known not in called:
            told = "unexpected `tool_use_id` found in `tool_result` blocks"
            more = "Each `tool_result` block must have a corresponding `tool_use` block in the previous"
            raise invalid(f"{where}: {told}: {known}. {more} message.")
        if known in answered:
            told = "each tool_use must have a single result. Found multiple `tool_result` blocks with id"
            raise invalid(f"{where}: {told}: {known}")
        answered.add(known)


def _leading_results(turn: Turn) -> Iterator[str]:
    for block in turn.blocks:
        if not isinstance(block, ToolResultBlock):
            return
        yield block.tool_use_id
