"""A tier: a named set of models, and the limits of each key whose account is in it.

The models are glob patterns over the ids that clients use: `*` stands for any text, slashes too,
`?` for one character, `[ab]` for one of those. Case matters, as it does in the ids.
"""

import fnmatch
import re
from collections.abc import Iterable
from typing import Final

import msgspec

from limiter.demand import Limits

DEFAULT_TIER: Final = "default"
_MOST_REMEMBERED: Final = 4096


class ModelPatterns:
    """A set of glob patterns, compiled once; equal to another with the same `globs`."""

    __slots__ = ("_match", "_remembered", "globs")

    def __init__(self, globs: Iterable[str]) -> None:
        self.globs = tuple(globs)
        # The translation binds each star for good, so no id makes it try all combinations. Without
        # any glob nothing matches.
        alternatives = "|".join(fnmatch.translate(glob) for glob in self.globs) or r"(?!)"
        self._match = re.compile(alternatives).match
        self._remembered: dict[str, bool] = {}

    def match(self, model: str) -> bool:
        """Tell whether one of the patterns is for this id."""
        known = self._remembered.get(model)
        if known is None:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            known = self._remembered[model] = self._match(model) is not None
        return known

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelPatterns) and self.globs == other.globs

    def __hash__(self) -> int:
        return hash(self.globs)

    def __repr__(self) -> str:
        return f"ModelPatterns({self.globs!r})"


EVERY_MODEL: Final = ModelPatterns(["*"])


class Tier(msgspec.Struct, frozen=True):
    """One tier. `limits` are those of each key, where it has none of its own."""

    name: str
    models: ModelPatterns = EVERY_MODEL
    limits: Limits = Limits()

    def allows(self, model: str) -> bool:
        """Tell whether the tier has the model with this id."""
        return self.models.match(model)


EMBEDDED_TIER: Final = Tier(DEFAULT_TIER)
