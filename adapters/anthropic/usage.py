"""Token usage in Anthropic's words: read, added up to ours, and written back.

Anthropic's `input_tokens` leaves out what was read from the cache or written to it; ours has all of it. In a
stream the first event tells the input and the last ones the output, always as totals, and the later may
correct the earlier: a count is taken and never added. A zero corrects nothing, for some hosts write one
where they have nothing to tell.
"""

from typing import Annotated, Final

import msgspec

from adapters.dialect import Usage
from adapters.openai.foreign import NULL, UNREADABLE

_Count = Annotated[int, msgspec.Meta(ge=0)]


class _OutputDetails(msgspec.Struct):
    thinking_tokens: _Count | None = None


class _UsageView(msgspec.Struct):
    input_tokens: _Count | None = None
    output_tokens: _Count | None = None
    cache_read_input_tokens: _Count | None = None
    cache_creation_input_tokens: _Count | None = None
    output_tokens_details: _OutputDetails | None = None


_decode_view: Final = msgspec.json.Decoder(_UsageView | None).decode


class UsageCount:
    """The usage of one answer, as far as it was told."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    @property
    def usage(self) -> Usage | None:
        """What the answer took so far, `None` before anything was told."""
        if not self._counts:
            return None
        read = self._counts.get("cache_read_input_tokens", 0)
        written = self._counts.get("cache_creation_input_tokens", 0)
        return Usage(
            input_tokens=self._counts.get("input_tokens", 0) + read + written,
            output_tokens=self._counts.get("output_tokens", 0),
            cached_tokens=read,
            cache_write_tokens=written,
            reasoning_tokens=self._counts.get("thinking_tokens", 0),
        )

    def note(self, usage: msgspec.Raw) -> bool:
        """Take the JSON of a `usage` field in; return whether it told anything. Strange ones tell nothing."""
        view = _read(usage)
        if view is None:
            return False
        details = view.output_tokens_details
        told = {
            "input_tokens": view.input_tokens,
            "output_tokens": view.output_tokens,
            "cache_read_input_tokens": view.cache_read_input_tokens,
            "cache_creation_input_tokens": view.cache_creation_input_tokens,
            "thinking_tokens": None if details is None else details.thinking_tokens,
        }
        for name, count in told.items():
            if count is not None and (count > 0 or name not in self._counts):
                self._counts[name] = count
        return True


def read_usage(usage: msgspec.Raw) -> Usage | None:
    """Read the `usage` of a whole answer; `None` where it tells nothing."""
    count = UsageCount()
    count.note(usage)
    return count.usage


def usage_fields(usage: Usage | None) -> dict[str, int]:
    """Return the value of a `usage` field."""
    usage = usage or Usage()
    apart = usage.cached_tokens + usage.cache_write_tokens
    return {
        "input_tokens": max(0, usage.input_tokens - apart),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
    }


def _read(usage: msgspec.Raw) -> _UsageView | None:
    try:
        view: _UsageView | None = _decode_view(usage or NULL)
    except UNREADABLE:
        return None
    return view
