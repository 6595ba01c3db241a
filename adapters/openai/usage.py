"""Token usage as it stands in OpenAI's answers, as the many who imitate it write it."""

from typing import Annotated, Final

import msgspec

from adapters.dialect import Usage
from adapters.openai.foreign import ABSENT, EMPTY, UNREADABLE

_Count = Annotated[int, msgspec.Meta(ge=0)]


class _InputDetails(msgspec.Struct):
    cached_tokens: _Count | None = None
    cache_write_tokens: _Count | None = None  # OpenRouter's, for providers that charge for it


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: _Count | None = None


class UsageView(msgspec.Struct):
    """The counts that a `usage` object tells."""

    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None


_UNTOLD: Final = (ABSENT, *EMPTY)

_decode_view: Final = msgspec.json.Decoder(UsageView).decode


def read_usage(usage: msgspec.Raw) -> Usage | None:
    """Read the JSON of a `usage` field; `None` where it tells no count, or tells it in no known form.

    An answer is worth having without its usage, so a strange one is no error.
    """
    view = view_usage(usage)
    return None if view is None else usage_in(view)


def view_usage(usage: msgspec.Raw) -> UsageView | None:
    """Read the JSON of a `usage` field; `None` where it is no object, or none in a known form."""
    if usage in _UNTOLD:
        return None
    try:
        return _decode_view(usage)
    except UNREADABLE:
        return None


def usage_in(view: UsageView) -> Usage | None:
    """Return the usage that these counts make, `None` where there is none."""
    if view.prompt_tokens is None and view.completion_tokens is None:
        return None
    cached = view.prompt_tokens_details
    reasoning = view.completion_tokens_details
    return Usage(
        input_tokens=view.prompt_tokens or 0,
        output_tokens=view.completion_tokens or 0,
        cached_tokens=(cached.cached_tokens or 0) if cached else 0,
        cache_write_tokens=(cached.cache_write_tokens or 0) if cached else 0,
        reasoning_tokens=(reasoning.reasoning_tokens or 0) if reasoning else 0,
    )
