"""A streamed answer in the middle: the same story as a `WholeAnswer`, told piece by piece.

`Begun` comes first and once. The parts of a choice are numbered from 0 in the order in which they begin; a
part begins with `PartBegun`, grows by `Grown` and ends with `PartEnded`, and parts of one choice do not
overlap unless their provider lets them. `Stopped` ends a choice, `UsageTold` may come any number of times
with the totals so far (never with increments), and `Ended` comes last and once.
"""

from typing import Literal

import msgspec

from adapters.dialect import Failure, Usage
from adapters.middle.answer import StopReason

PartKind = Literal["text", "reasoning", "redacted", "call", "refusal"]


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """The answer begins; `id` and `created` as the provider told them."""

    id: str | None = None
    created: int | None = None


class PartBegun(msgspec.Struct, frozen=True, kw_only=True):
    """A part begins. `id` and `name` are those of a call."""

    choice: int = 0
    part: int
    kind: PartKind
    id: str | None = None
    name: str | None = None


class Grown(msgspec.Struct, frozen=True, kw_only=True):
    """A part grows: by text, by a fragment of a call's arguments, or by its signature.

    A call's signature comes with its first growth at the latest, since it goes into the id that clients get
    (see `adapters.middle.signature`). The text of a redacted part is what only its provider can read.
    """

    choice: int = 0
    part: int
    text: str = ""
    signature: str | None = None


class PartEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A part is whole."""

    choice: int = 0
    part: int


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """A choice is whole."""

    choice: int = 0
    stop: StopReason
    stop_sequence: str | None = None


class UsageTold(msgspec.Struct, frozen=True):
    """What the answer took so far, in all."""

    usage: Usage


class Alive(msgspec.Struct, frozen=True):
    """Nothing new; the provider says that it still works."""


class Failed(msgspec.Struct, frozen=True):
    """The provider reports an error in the middle of its stream."""

    failure: Failure


class Malformed(msgspec.Struct, frozen=True):
    """An event that cannot be read."""


class Ended(msgspec.Struct, frozen=True):
    """The provider says that nothing follows."""


MiddleEvent = (
    Begun | PartBegun | Grown | PartEnded | Stopped | UsageTold | Alive | Failed | Malformed | Ended
)
