"""How much a model is to think.

The second generation takes a budget in tokens, the third a level in words, and older ones refuse both. The
budgets of the efforts are those of Google's own OpenAI-compatible interface. What a model cannot do becomes
the nearest that it can: some cannot stop thinking, some have no middle.
"""

from typing import Final, Literal

from adapters.gemini.model import Size, Traits
from adapters.middle.conversation import Effort, Thinking

Level = Literal["MINIMAL", "LOW", "MEDIUM", "HIGH"]

_BUDGETS: Final[dict[Effort, int]] = {
    "none": 0,
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
    "max": 32768,
}
_LEVELS: Final[dict[Effort, Level]] = {
    "none": "MINIMAL",
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
    "max": "HIGH",
}
_RANGES: Final[dict[Size, tuple[int, int]]] = {
    "pro": (128, 32768),
    "flash": (1, 24576),
    "lite": (512, 24576),
}


def thinking_config(thinking: Thinking | None, model: Traits) -> dict[str, object]:
    """Return `thinkingConfig`, empty where there is nothing to say or the model knows none."""
    if thinking is None or model.generation < 2.5:
        return {}
    said: dict[str, object] = {"includeThoughts": True} if thinking.summary is not None else {}
    if model.generation >= 3:
        level = _level(thinking, model)
        return said if level is None else {**said, "thinkingLevel": level}
    budget = _budget(thinking, model)
    return said if budget is None else {**said, "thinkingBudget": budget}


def _budget(thinking: Thinking, model: Traits) -> int | None:
    wanted = thinking.budget_tokens
    if wanted is None and thinking.effort is not None:
        wanted = _BUDGETS[thinking.effort]
    if wanted is None:
        return None
    least, most = _RANGES[model.size]
    if wanted <= 0:
        return least if model.size == "pro" else 0
    return min(max(wanted, least), most)


def _level(thinking: Thinking, model: Traits) -> Level | None:
    if thinking.budget_tokens is not None:
        level = _level_of_budget(thinking.budget_tokens)
    elif thinking.effort is not None:
        level = _LEVELS[thinking.effort]
    else:
        return None
    if model.size != "pro":
        return level
    if level == "MINIMAL":
        return "LOW"
    return "HIGH" if level == "MEDIUM" and model.generation < 3.1 else level


def _level_of_budget(tokens: int) -> Level:
    if tokens <= 0:
        return "MINIMAL"
    if tokens <= _BUDGETS["low"]:
        return "LOW"
    return "MEDIUM" if tokens <= _BUDGETS["medium"] else "HIGH"
