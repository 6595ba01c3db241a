"""The `usage` object of OpenAI's answers, as the many who imitate it write it."""

import msgspec

from adapters.dialect import Usage


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class UsageView(msgspec.Struct):
    """The parts of `usage` that are read; the names are OpenAI's."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None

    def to_usage(self) -> Usage:
        """Return the same figures in the gateway's terms; what was not told is zero."""
        cached = self.prompt_tokens_details
        reasoning = self.completion_tokens_details
        return Usage(
            input_tokens=self.prompt_tokens or 0,
            output_tokens=self.completion_tokens or 0,
            cached_tokens=(cached.cached_tokens or 0) if cached else 0,
            reasoning_tokens=(reasoning.reasoning_tokens or 0) if reasoning else 0,
        )
