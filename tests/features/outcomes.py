"""What the gateway may do with a feature, and how a test recognises what it stands for in a request.

`Said` holds the words that a provider must find in its request; what else is in there does not matter. The
other outcomes need no words: a request that drops a wish is the same as one that never had it, and a refused
one is not sent.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple


class Other(Enum):
    """An outcome without words. `NOTHING`: the provider has no such thing to tell."""

    DROPPED = "dropped"
    REFUSED = "refused"
    NOTHING = "none"


class Said(NamedTuple):
    """The feature reaches the other side; `words` are a part of the JSON in which it does."""

    words: Any


Outcome = Said | Other

DROPPED, REFUSED, NOTHING = Other.DROPPED, Other.REFUSED, Other.NOTHING


class _Absent:
    """Stands for a field that must not be there."""


ABSENT = _Absent()


class Within(NamedTuple):
    """Stands for any text that has this one in it."""

    text: str


def words_for(outcome: Outcome) -> str:
    """Return what a cell of the page says."""
    return "yes" if isinstance(outcome, Said) else outcome.value


def holds(found: Any, wanted: Any) -> bool:
    """Tell whether the wanted words are a part of what was found.

    An object may have more fields, and a list more items before, between and behind.
    """
    match wanted:
        case Within(text):
            return isinstance(found, str) and text in found
        case dict():
            return isinstance(found, dict) and all(
                name not in found
                if value is ABSENT
                else name in found and holds(found[name], value)
                for name, value in wanted.items()
            )
        case list():
            return isinstance(found, list) and _in_order(iter(found), wanted)
        case _:
            return type(found) is type(wanted) and bool(found == wanted)


def _in_order(found: Iterator[Any], wanted: list[Any]) -> bool:
    return all(any(holds(item, one) for item in found) for one in wanted)
