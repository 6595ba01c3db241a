"""What a model at Bedrock takes, told by its name.

Converse has one form for all models, but not all take all of it: some cannot be made to call a function,
some refuse marks for the cache, each is told to think in words of its own. A model that nothing is known of
gets only what all models take. What the Claudes take is the matter of `adapters.anthropic.model`.

An ARN of a profile does not say which model it stands for; then the gateway's own name of the model counts.
Source: "Supported models and model features" in the user guide of Amazon Bedrock.
"""

from typing import Final, Literal

import msgspec

from adapters.anthropic import model as anthropic

_OPAQUE: Final = "arn:"
_DEMANDABLE: Final = ("mistral", "ministral", "deepseek.v3", "deepseek-v3")


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What one model takes.

    `claude`: what it takes as a Claude, if it is one. `demands`: whether a call can be demanded, of `any`
    function or of a `named` one too. `caches`: where a mark for the cache may stand. `thinks`: how a model
    that is no Claude is told how much to think.
    """

    claude: anthropic.Traits | None = None
    demands: Literal["no", "any", "named"] = "no"
    caches: Literal["no", "prompt", "tools"] = "no"
    thinks: Literal["no", "reasoning_config", "reasoning_effort"] = "no"

    @property
    def form(self) -> anthropic.Traits:
        """What the model takes to answer in a form: a tool, or words where none can be demanded.

        Its native way is not used: Bedrock has it for single models only, and refuses it for others.
        """
        base = self.claude or anthropic.Traits(thinking="no")
        return msgspec.structs.replace(base, native_format=False, forced_tools=self.demands != "no")


def traits_of(upstream_model: str, served_model: str) -> Traits:
    """Return what the model of these names takes; the second counts if the first says nothing."""
    name = upstream_model.lower()
    if name.startswith(_OPAQUE) and not _is_known(name):
        name = served_model.lower()
    if "claude" in name:
        claude = anthropic.traits_of(name)
        demands: Literal["no", "named"] = "named" if claude.forced_tools else "no"
        return Traits(claude=claude, demands=demands, caches="tools")
    if "nova-" in name:
        thinks: Literal["no", "reasoning_config"] = "reasoning_config" if "nova-2" in name else "no"
        return Traits(demands="named", caches="prompt", thinks=thinks)
    if "gpt-oss" in name:
        return Traits(thinks="reasoning_effort")
    return Traits(demands="any" if any(word in name for word in _DEMANDABLE) else "no")


def _is_known(name: str) -> bool:
    return any(word in name for word in ("claude", "nova-", "gpt-oss", *_DEMANDABLE))
