"""The rules of everything but the conversation: tools, thinking, sampling, the form of the answer.

Many of them tie two fields together, which is why they are not in the types of the fields. Source:
Anthropic's API reference and guides, and the messages of the real service.
"""

from typing import Final

from router.simulator.anthropic.block_rules import check_text
from router.simulator.anthropic.blocks import TextBlock, ToolUseBlock
from router.simulator.anthropic.error import invalid
from router.simulator.anthropic.fields import (
    Adaptive,
    Enabled,
    MessagesFields,
    Named,
    Prompt,
    Some,
)
from router.simulator.anthropic.model import Abilities, abilities_of
from router.simulator.anthropic.schema import check_input_schema, check_output_schema
from router.simulator.anthropic.turns import turns_of

LEAST_BUDGET: Final = 1024
_LEAST_TOP_P: Final = 0.95
_NEEDS_THOUGHT: Final = (
    "When `thinking` is enabled, a final `assistant` message must start with a thinking block "
    "(preceding the last set of `tool_use` and `tool_result` blocks)."
)


def check_prompt(fields: Prompt) -> None:
    """Raise Refusal for a prompt that breaks a rule beside those of the conversation."""
    if isinstance(fields.system, list):
        for number, block in enumerate(fields.system):
            check_text(block, f"system.{number}")
    _check_tools(fields)
    if fields.output_config is not None and fields.output_config.format is not None:
        check_output_schema(fields.output_config.format.schema)
    abilities = abilities_of(fields.model)
    if isinstance(fields.thinking, Enabled | Adaptive):
        _check_thinking(fields, abilities)
    last = fields.messages[-1]
    if last.role == "assistant" and not abilities.continues:
        told = "This model does not support assistant message prefill."
        raise invalid(f"{told} The conversation must end with a user message.")


def check_sampling(fields: MessagesFields) -> None:
    """Raise Refusal for a cap or a way of sampling that the model does not take."""
    thinking = fields.thinking
    if isinstance(thinking, Enabled) and thinking.budget_tokens >= fields.max_tokens:
        raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if any(not text.strip() for text in fields.stop_sequences):
        raise invalid("stop_sequences: each stop sequence must contain non-whitespace")
    abilities = abilities_of(fields.model)
    for name in ("temperature", "top_p", "top_k"):
        if getattr(fields, name) is not None and not abilities.samples:
            raise invalid(f"`{name}` is deprecated for this model.")
    both = fields.temperature is not None and fields.top_p is not None
    if both and not abilities.both_samplers:
        told = "`temperature` and `top_p` cannot both be specified for this model."
        raise invalid(f"{told} Please use only one.")
    if isinstance(thinking, Enabled | Adaptive):
        _check_sampling_while_thinking(fields)


def _check_sampling_while_thinking(fields: MessagesFields) -> None:
    if fields.temperature not in {None, 1}:
        raise invalid("`temperature` may only be set to 1 when thinking is enabled.")
    if fields.top_p is not None and fields.top_p < _LEAST_TOP_P:
        raise invalid("`top_p` must be greater than or equal to 0.95 when thinking is enabled.")
    if fields.top_k is not None:
        raise invalid("`top_k` must be unset when thinking is enabled.")


def _check_tools(fields: Prompt) -> None:
    names = [tool.name for tool in fields.tools]
    if len(set(names)) < len(names):
        raise invalid("tools: Tool names must be unique.")
    for number, tool in enumerate(fields.tools):
        check_input_schema(tool.input_schema, f"tools.{number}.custom.input_schema")
    choice = fields.tool_choice
    if choice is not None and not fields.tools:
        raise invalid("tool_choice may only be specified while providing tools.")
    if isinstance(choice, Named) and choice.name not in names:
        raise invalid(f"Tool '{choice.name}' not found in provided tools")


def _check_thinking(fields: Prompt, abilities: Abilities) -> None:
    thinking = fields.thinking
    if not abilities.thinks:
        raise invalid(f"'{fields.model}' does not support thinking.")
    if isinstance(fields.tool_choice, Some | Named):
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.")
    if isinstance(thinking, Adaptive) and not abilities.adapts:
        raise invalid("adaptive thinking is not supported on this model")
    if not isinstance(thinking, Enabled):
        return
    if not abilities.budgets:
        told = '"thinking.type.enabled" is not supported for this model.'
        raise invalid(f'{told} Use "thinking.type.adaptive" and "output_config.effort".')
    if thinking.budget_tokens < LEAST_BUDGET:
        told = f"Input should be greater than or equal to {LEAST_BUDGET}"
        raise invalid(f"thinking.enabled.budget_tokens: {told}")
    _check_thoughts_come_back(fields)


def _check_thoughts_come_back(fields: Prompt) -> None:
    """While the model thinks by budget, the calls being answered need the thought before them."""
    turns = turns_of(fields.messages)
    answers = [turn for turn in turns if turn.role == "assistant"]
    if not answers or not (answers[-1].uses() or turns[-1] is answers[-1]):
        return
    first = answers[-1].blocks[0] if answers[-1].blocks else None
    if isinstance(first, TextBlock | ToolUseBlock):
        kind = "tool_use" if isinstance(first, ToolUseBlock) else "text"
        place = f"messages.{answers[-1].at}.content.0.type"
        told = f"Expected `thinking` or `redacted_thinking`, but found `{kind}`."
        raise invalid(f"{place}: {told} {_NEEDS_THOUGHT}")
