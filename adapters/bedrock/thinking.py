"""What a model thinks: what it is told about it, and its thoughts that go back to it.

Only a Claude wants its thoughts back, and only with a signature. One that it gave here or at Anthropic holds
in both places; what it thought in secret goes back only here, for it is written differently. The thoughts of
other models, and of other providers, stay behind.

Budgets and efforts of a Claude are the matter of `adapters.anthropic.thinking`. Amazon's Nova thinks hardest
only without any cap, so where the client set one, it thinks a little less.
"""

from typing import Final

import msgspec

from adapters.anthropic.thinking import ThinkingPlan, plan_thinking
from adapters.bedrock.model import Traits
from adapters.middle import signature
from adapters.middle.conversation import Conversation, Effort, Part, Reasoning, Turn

OWNER: Final = "bedrock"

_LEAST_EFFORT: Final[tuple[Effort, ...]] = ("minimal", "low")
_BUDGETS: Final = (("low", 4096), ("medium", 16_384))

Json = dict[str, object]


def with_own_thoughts(conversation: Conversation, traits: Traits) -> Conversation:
    """Return the conversation with those thoughts only that the model takes back, their owner's name off."""
    turns = tuple(
        Turn(turn.role, tuple(part for old in turn.parts for part in _kept(old, traits)))
        for turn in conversation.turns
    )
    return msgspec.structs.replace(conversation, turns=turns)


def _kept(part: Part, traits: Traits) -> tuple[Part, ...]:
    if not isinstance(part, Reasoning):
        return (part,)
    signed = signature.own(OWNER, part.signature) or signature.own(
        signature.ANTHROPIC, part.signature
    )
    secret = signature.own(OWNER, part.redacted)
    if traits.claude is None or (signed is None and secret is None):
        return ()
    return (msgspec.structs.replace(part, signature=signed, redacted=secret),)


def claude_thinking(
    conversation: Conversation, traits: Traits, *, cap: int, forced: bool
) -> ThinkingPlan:
    """Return how a Claude is told how much to think. `cap`: most tokens; `forced`: a tool is demanded."""
    if traits.claude is None:
        return ThinkingPlan()
    return plan_thinking(conversation, traits.claude, cap=cap, forced=forced)


def thinking_fields(conversation: Conversation, traits: Traits, plan: ThinkingPlan) -> Json:
    """Return the fields of the model's own that say how much to think."""
    fields: Json = {}
    if plan.config is not None:
        fields["thinking"] = plan.config
    if plan.effort is not None:
        fields["output_config"] = {"effort": plan.effort}
    effort = _plain_effort(conversation)
    if effort is None or traits.thinks == "no":
        return fields
    if traits.thinks == "reasoning_effort":
        return {"reasoning_effort": "low" if effort == "none" else effort}
    if effort == "none":
        return {"reasoningConfig": {"type": "disabled"}}
    if effort == "high" and conversation.most_tokens is not None:
        effort = "medium"
    return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}


def thinks_freely(fields: Json) -> bool:
    """Tell whether a model that is told this refuses to be told how to sample."""
    config = fields.get("reasoningConfig")
    return isinstance(config, dict) and config.get("maxReasoningEffort") == "high"


def _plain_effort(conversation: Conversation) -> str | None:
    """Return the wish as `none`, `low`, `medium` or `high`, `None` where there is none."""
    wish = conversation.thinking
    if wish is None:
        return None
    if wish.effort is None:
        if wish.budget_tokens is None:
            return "medium"
        fitting = (effort for effort, budget in _BUDGETS if wish.budget_tokens <= budget)
        return "none" if wish.budget_tokens <= 0 else next(fitting, "high")
    if wish.effort in _LEAST_EFFORT:
        return "low"
    return wish.effort if wish.effort in {"none", "medium"} else "high"
