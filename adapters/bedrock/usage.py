"""Token usage in Converse's words.

`inputTokens` leaves out what was read from the cache or written to it; ours has all of it. How much of the
output was thought is not told.
"""

from typing import Annotated, Final

import msgspec

from adapters.dialect import Usage
from adapters.openai.foreign import EMPTY, UNREADABLE

_Count = Annotated[int, msgspec.Meta(ge=0)]


class _View(msgspec.Struct, rename="camel"):
    input_tokens: _Count | None = None
    output_tokens: _Count | None = None
    cache_read_input_tokens: _Count | None = None
    cache_write_input_tokens: _Count | None = None


_decode_view: Final = msgspec.json.Decoder(_View).decode


def read_usage(usage: msgspec.Raw) -> Usage | None:
    """Read a `usage` field; `None` where it tells no count, or in no known form."""
    if usage in EMPTY:
        return None
    try:
        view = _decode_view(usage)
    except UNREADABLE:
        return None
    if view.input_tokens is None and view.output_tokens is None:
        return None
    read, written = view.cache_read_input_tokens or 0, view.cache_write_input_tokens or 0
    return Usage(
        input_tokens=(view.input_tokens or 0) + read + written,
        output_tokens=view.output_tokens or 0,
        cached_tokens=read,
        cache_write_tokens=written,
    )
