"""How much a Claude is to think: a budget for older models, an effort for newer ones.

The client's cap holds: a budget that does not fit in with room for the answer is made smaller, and below
Anthropic's least it is left out, for what a caller has not the means for must not be spent. A forced tool
excludes thinking, and the tool is the stronger wish. In a budget's mode the assistant's calls must come back
with their signed thoughts; where a client has lost them, this turn is answered without thinking.
"""

from typing import Final

import msgspec

from adapters.anthropic.model import Traits
from adapters.middle.conversation import Conversation, Effort, Reasoning, Thinking, ToolCall
from adapters.middle.signature import ANTHROPIC, own

LEAST_BUDGET: Final = 1024

_BUDGETS: Final[dict[Effort, int]] = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 28_000,
}
_DISABLED: Final[dict[str, object]] = {"type": "disabled"}


class ThinkingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is said about thinking. `on`: the model was asked to think, which excludes sampling."""

    config: dict[str, object] | None = None
    effort: Effort | None = None
    on: bool = False


def plan_thinking(
    conversation: Conversation, traits: Traits, *, cap: int, forced: bool
) -> ThinkingPlan:
    """Return how the request says how much to think. `cap`: most tokens; `forced`: a tool is demanded."""
    wish = conversation.thinking
    if forced:
        off = traits.thinks_unasked and traits.not_thinking == "disabled"
        return ThinkingPlan(config=_DISABLED if off else None)
    if wish is None or traits.thinking == "no":
        return ThinkingPlan()
    if wish.effort == "none":
        return _without(traits)
    by_budget = traits.thinking == "either" and wish.effort is None
    if traits.thinking == "budget" or (by_budget and wish.budget_tokens is not None):
        return _by_budget(conversation, wish, cap)
    return _adaptive(wish, traits)


def _without(traits: Traits) -> ThinkingPlan:
    if traits.not_thinking is None:
        return ThinkingPlan(effort="low")
    if traits.not_thinking == "unsaid":
        return ThinkingPlan()
    return ThinkingPlan(config={"type": traits.not_thinking})


def _by_budget(conversation: Conversation, wish: Thinking, cap: int) -> ThinkingPlan:
    budget = wish.budget_tokens or _BUDGETS[wish.effort or "medium"]
    budget = min(max(budget, LEAST_BUDGET), cap * 4 // 5)
    if budget < LEAST_BUDGET or _has_lost_thoughts(conversation):
        return ThinkingPlan()
    return ThinkingPlan(config={"type": "enabled", "budget_tokens": budget}, on=True)


def _adaptive(wish: Thinking, traits: Traits) -> ThinkingPlan:
    config: dict[str, object] = {"type": "adaptive"}
    if wish.summary is not None and not traits.samples:  # models that would leave the text out
        config["display"] = "omitted" if wish.summary == "omitted" else "summarized"
    effort = wish.effort
    if effort is None and wish.budget_tokens is not None:
        effort = next(
            (word for word, budget in _BUDGETS.items() if wish.budget_tokens <= budget), "max"
        )
    return ThinkingPlan(config=config, effort=_nearest(effort, traits), on=True)


def _nearest(effort: Effort | None, traits: Traits) -> Effort | None:
    if effort is None or effort in traits.efforts:
        return effort
    return "low" if effort == "minimal" else "high"


def _has_lost_thoughts(conversation: Conversation) -> bool:
    """Tell whether the calls that are being answered came without the thoughts that led to them."""
    last = next((turn for turn in reversed(conversation.turns) if turn.role == "assistant"), None)
    if last is None or not any(isinstance(part, ToolCall) for part in last.parts):
        return False
    return not any(
        isinstance(part, Reasoning)
        and (own(ANTHROPIC, part.signature) or own(ANTHROPIC, part.redacted))
        for part in last.parts
    )
