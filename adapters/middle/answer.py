"""A whole answer in the middle: its choices, and what it took."""

from typing import Literal

import msgspec

from adapters.dialect import Usage
from adapters.middle.conversation import Part

StopReason = Literal["stop", "length", "tool_calls", "content_filter"]


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. Its parts are text, reasoning, calls and refusals, in the order in which they were said.

    `stop_sequence`: which of the client's stop texts ended it, where the provider tells.
    """

    parts: tuple[Part, ...]
    stop: StopReason
    stop_sequence: str | None = None


class WholeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider answered. `id` and `created` (unix seconds) are `None` where it told nothing."""

    choices: tuple[Choice, ...]
    id: str | None = None
    created: int | None = None
    usage: Usage | None = None
