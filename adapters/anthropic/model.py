"""What a Claude model takes, told by its name.

From one generation to the next the models have come to refuse what older ones took: fixed thinking budgets,
sampling, forced tools, even not to think. A request that one takes is a 400 at another, so it is written for
the model it goes to. The name holds family and version, in whichever way its host writes it
(`claude-3-5-sonnet-20241022`, `us.anthropic.claude-opus-4-6-v1:0`, `claude-sonnet-5.5`); a Claude without a
version counts as the newest, and a model that is no Claude, at a provider that imitates this API, as one
that takes everything old.

Source: Anthropic's migration guides and pages on thinking, effort and tool use (November 2026).
"""

import re
from typing import Final, Literal

import msgspec

from adapters.middle.conversation import Effort

Version = tuple[int, int]

_FAMILIES: Final = ("opus", "sonnet", "haiku", "fable", "mythos")
_NUMBER: Final = re.compile(r"(?<![0-9a-z])([0-9]{1,2})(?:[.-]([0-9]{1,2}))?(?![0-9])")
_NEWEST: Final[Version] = (99, 0)


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What one model takes.

    `thinking`: by a budget in tokens, adaptively, either way, or not at all. `not_thinking` is how it is told
    not to think: by saying nothing, by a type of its own, or (`None`) not at all. `forced_tools`: a tool may
    be demanded; `thinks_unasked`: and then thinking must be turned off first. `one_sampler`: temperature
    excludes `top_p`. `prefill`: it writes on from an assistant's message that stands last. `cap`: the most
    tokens of an answer that we ask for when the client sets no limit.
    """

    thinking: Literal["no", "budget", "either", "adaptive"]
    efforts: tuple[Effort, ...] = ()
    not_thinking: Literal["unsaid", "disabled", "between_tools"] | None = "unsaid"
    thinks_unasked: bool = False
    forced_tools: bool = True
    samples: bool = True
    one_sampler: bool = False
    native_format: bool = False
    prefill: bool = True
    cap: int = 32_000


def traits_of(model: str) -> Traits:
    """Return what the model of this name takes."""
    name = model.lower()
    family = next((family for family in _FAMILIES if family in name), None)
    if family is None and "claude" not in name:
        return Traits(thinking="budget", cap=8192)
    version = _version_of(name)
    if version < (4, 6):
        return _older(version)
    return _newer(family, version)


def _version_of(name: str) -> Version:
    """Return the first number of one or two parts in the name; dates are longer and count for none."""
    _, _, after = name.rpartition("claude")
    found = _NUMBER.search(after)
    return (int(found[1]), int(found[2] or 0)) if found else _NEWEST


def _older(version: Version) -> Traits:
    return Traits(
        thinking="budget" if version >= (3, 7) else "no",
        one_sampler=version >= (4, 1),
        native_format=version >= (4, 5),
        cap=32_000 if version >= (4, 0) else 8192 if version >= (3, 5) else 4096,
    )


def _newer(family: str | None, version: Version) -> Traits:
    deepest: tuple[Effort, ...] = ("max",) if version < (4, 7) else ("xhigh", "max")
    tame = family == "haiku" or (family in {"opus", "sonnet"} and version < (5, 5))
    return Traits(
        thinking="adaptive" if version >= (4, 7) else "either",
        efforts=("low", "medium", "high", *deepest),
        not_thinking=_not_thinking(family, version, tame=tame),
        thinks_unasked=version >= (5, 0) and family != "haiku",
        forced_tools=tame,
        samples=version < (4, 7),
        one_sampler=True,
        native_format=True,
        prefill=False,
    )


def _not_thinking(
    family: str | None, version: Version, *, tame: bool
) -> Literal["unsaid", "disabled", "between_tools"] | None:
    if family in {"opus", "sonnet"} and version < (5, 0):
        return "unsaid"
    if tame:
        return "disabled"
    return "between_tools" if family == "sonnet" else None
