"""Token usage as Gemini tells it: totals so far, in every chunk of a stream.

The results of Google's own tools are input of their own, thoughts are output of their own, and OpenAI counts
both in. Cached tokens are a part of the prompt already. Early chunks leave fields out, and a field that was
told stays true until it is told anew.
"""

from typing import Annotated, Final

import msgspec

from adapters.dialect import Usage
from adapters.openai.foreign import EMPTY, UNREADABLE

_Count = Annotated[int, msgspec.Meta(ge=0)]


class _View(msgspec.Struct, rename="camel"):
    prompt_token_count: _Count | None = None
    tool_use_prompt_token_count: _Count | None = None
    cached_content_token_count: _Count | None = None
    candidates_token_count: _Count | None = None
    thoughts_token_count: _Count | None = None
    total_token_count: _Count | None = None


_decode_view: Final = msgspec.json.Decoder(_View).decode


class UsageReading:
    """The usage of one answer, field by field the latest that was told."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def take(self, metadata: msgspec.Raw) -> Usage | None:
        """Read one `usageMetadata`; `None` where it tells nothing, or in no known form."""
        if metadata in EMPTY:
            return None
        try:
            view = _decode_view(metadata)
        except UNREADABLE:
            return None
        told = {
            name: count for name, count in msgspec.structs.asdict(view).items() if count is not None
        }
        if not told:
            return None
        self._told |= told
        return self._usage()

    def _usage(self) -> Usage:
        told = self._told
        asked = told.get("prompt_token_count", 0) + told.get("tool_use_prompt_token_count", 0)
        thought = told.get("thoughts_token_count", 0)
        said = told.get("candidates_token_count", 0)
        # Some models leave out one of the parts, and only the total has it.
        answered = max(said + thought, told.get("total_token_count", 0) - asked)
        return Usage(
            input_tokens=asked,
            output_tokens=answered,
            cached_tokens=min(told.get("cached_content_token_count", 0), asked),
            reasoning_tokens=thought,
        )
