"""What a Claude model still takes, by the version in its name.

Each generation refuses something that the one before took, and a request is checked against the
model it names. A model that is no Claude takes everything, so that tests may name models as they
like. Source: Anthropic's migration guides.
"""

import re
from typing import Final

import msgspec

_VERSION: Final = re.compile(r"claude\D*?(\d{1,2})(?:[.-](\d{1,2}))?(?!\d)")
_NEWEST: Final = (99, 0)


class Abilities(msgspec.Struct, frozen=True):
    """What a model takes.

    `thinks` at all, `budgets` its thoughts in tokens, `adapts` them by itself, `samples` as told, by
    `both_samplers` at once, `continues` an answer that was begun for it, and `shows_thoughts` unasked.
    """

    thinks: bool = True
    budgets: bool = True
    adapts: bool = True
    samples: bool = True
    both_samplers: bool = True
    continues: bool = True
    shows_thoughts: bool = True


def abilities_of(model: str) -> Abilities:
    """Read them off the model's name; a Claude without a version counts as the newest."""
    name = model.lower()
    if "claude" not in name:
        return Abilities()
    found = _VERSION.search(name)
    version = (int(found[1]), int(found[2] or 0)) if found else _NEWEST
    return Abilities(
        thinks=version >= (3, 7),
        budgets=version < (4, 7),
        adapts=version >= (4, 6),
        samples=version < (4, 7),
        both_samplers=version < (4, 1),
        continues=version < (4, 6),
        shows_thoughts=version < (4, 7),
    )
