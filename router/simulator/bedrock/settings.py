"""The rules of everything but the conversation: tools, the answer's length, and what the model itself says.

A Claude checks its own fields at Bedrock as it does at Anthropic; other models have fields of other names.
Source: the user guide of Amazon Bedrock, "Use a tool" and "Inference parameters".
"""

from typing import Any, Final

from router.simulator.anthropic.model import Abilities, abilities_of
from router.simulator.bedrock.blocks import members_of
from router.simulator.bedrock.error import invalid
from router.simulator.bedrock.fields import ConverseFields

LEAST_BUDGET: Final = 1024
_CLAUDES: Final = frozenset(
    {"thinking", "top_k", "tool_choice", "output_config", "anthropic_beta", "stop_sequences"}
)


def check_settings(fields: ConverseFields, model: str) -> None:
    """Raise Refusal for settings that break a rule."""
    for number, block in enumerate(fields.system):
        if len(members_of(block)) != 1 or (block.text is not None and not block.text.strip()):
            raise invalid(f"The text field in the SystemContentBlock object at {number} is blank.")
    _check_tools(fields)
    if any(not text.strip() for text in fields.inference_config.stop_sequences):
        raise invalid("stopSequences: each stop sequence must contain non-whitespace.")
    if fields.form is not None and not isinstance(fields.form, dict):
        raise invalid("outputConfig.textFormat: the schema must be an object.")
    if "claude" in model:
        _check_claude(fields, abilities_of(model))
    _check_last(fields)


def thinks(fields: ConverseFields, model: str) -> bool:
    """Whether the model thinks before it answers: because it was told to, or because it always does."""
    own = fields.own
    if "gpt-oss" in model or "deepseek.r1" in model:
        return True
    for name in ("thinking", "reasoningConfig"):
        config = own.get(name)
        if isinstance(config, dict) and config.get("type") in ("enabled", "adaptive"):
            return True
    return False


def _check_tools(fields: ConverseFields) -> None:
    config = fields.tool_config
    if config is None:
        return
    for number, tool in enumerate(config.tools):
        if len(members_of(tool)) != 1:
            raise invalid(f"toolConfig.tools.{number} must set one of its members.")
    names = [tool.name for tool in fields.tools]
    if not names:
        raise invalid("toolConfig.tools must hold a tool.")
    if len(set(names)) < len(names):
        raise invalid("The provided tools contain duplicate names.")
    for number, spec in enumerate(fields.tools):
        if spec.input_schema.json.get("type") != "object":
            told = "The value at toolConfig.tools.{}.toolSpec.inputSchema.json.type must be one of"
            raise invalid(f"{told.format(number)} the following: object.")
    choice = config.tool_choice
    if choice is not None and len(members_of(choice)) != 1:
        raise invalid("toolConfig.toolChoice must set one of its members.")
    if choice is not None and choice.tool is not None and choice.tool.name not in names:
        raise invalid(f"The tool {choice.tool.name} was not found in the provided tools.")


def _check_claude(fields: ConverseFields, abilities: Abilities) -> None:
    own, config = fields.own, fields.inference_config
    unknown = sorted(own.keys() - _CLAUDES)
    if unknown:
        raise invalid(f"{unknown[0]}: Extra inputs are not permitted")
    for name in ("temperature", "top_p"):
        if getattr(config, name) is not None and not abilities.samples:
            raise invalid(f"`{name}` is deprecated for this model.")
    if None not in {config.temperature, config.top_p} and not abilities.both_samplers:
        raise invalid("`temperature` and `top_p` cannot both be specified for this model.")
    thinking = own.get("thinking")
    if isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive"):
        _check_thinking(fields, thinking, abilities)


def _check_thinking(fields: ConverseFields, told: dict[str, Any], abilities: Abilities) -> None:
    config = fields.inference_config
    choice = fields.tool_config.tool_choice if fields.tool_config is not None else None
    if not abilities.thinks:
        raise invalid("thinking: Extra inputs are not permitted")
    if choice is not None and choice.auto is None:
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.")
    if config.temperature not in {None, 1}:
        raise invalid("`temperature` may only be set to 1 when thinking is enabled.")
    if told["type"] == "adaptive":
        if not abilities.adapts:
            raise invalid("adaptive thinking is not supported on this model")
        return
    if not abilities.budgets:
        raise invalid('"thinking.type.enabled" is not supported for this model.')
    budget = told.get("budget_tokens")
    if not isinstance(budget, int) or budget < LEAST_BUDGET:
        raise invalid("thinking.enabled.budget_tokens: Input should be at least 1024")
    if config.max_tokens is not None and budget >= config.max_tokens:
        raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")


def _check_last(fields: ConverseFields) -> None:
    """An answer that is begun for the model must not end with white space."""
    last = fields.messages[-1]
    text = last.content[-1].text
    if last.role == "assistant" and text is not None and text != text.rstrip():
        raise invalid("messages: final assistant content cannot end with trailing whitespace")
