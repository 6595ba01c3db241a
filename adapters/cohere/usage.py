"""Token usage as Cohere tells it.

It counts twice: the tokens that the model read and wrote, its own markup among them, and those it bills for.
The second is what the answer costs, so it counts here; the first stands in where nothing is billed.
"""

from typing import Annotated, Final

import msgspec

from adapters.dialect import Usage
from adapters.openai.foreign import EMPTY, UNREADABLE

_Count = Annotated[float, msgspec.Meta(ge=0)]


class _Tokens(msgspec.Struct):
    input_tokens: _Count | None = None
    output_tokens: _Count | None = None

    def told(self) -> bool:
        return self.input_tokens is not None or self.output_tokens is not None


class _View(msgspec.Struct):
    billed_units: _Tokens | None = None
    tokens: _Tokens | None = None
    cached_tokens: _Count | None = None


_decode_view: Final = msgspec.json.Decoder(_View).decode


def read_usage(usage: msgspec.Raw) -> Usage | None:
    """Read a `usage` or `meta` field; `None` where it tells no count, or in no known form."""
    if usage in EMPTY:
        return None
    try:
        view = _decode_view(usage)
    except UNREADABLE:
        return None
    for counted in (view.billed_units, view.tokens):
        if counted is not None and counted.told():
            asked = round(counted.input_tokens or 0)
            return Usage(
                input_tokens=asked,
                output_tokens=round(counted.output_tokens or 0),
                cached_tokens=min(round(view.cached_tokens or 0), asked),
            )
    return None
