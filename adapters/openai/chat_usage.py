"""Usage as OpenAI's answers tell it, written from the gateway's own."""

from adapters.dialect import Usage


def usage_fields(usage: Usage) -> dict[str, object]:
    """Return the value of a `usage` field. Cached and reasoning tokens are parts of the totals."""
    read: dict[str, int] = {"cached_tokens": usage.cached_tokens}
    if usage.cache_write_tokens:
        read["cache_write_tokens"] = usage.cache_write_tokens
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": read,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }
