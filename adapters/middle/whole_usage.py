"""The usage of an answer that two have written: what was produced for the client, once.

It is the input of the first and the output of both. What the first had no time to tell is counted: a token
for each delta of text, which the second has read as part of its input, and which is therefore taken from
there. Their sum stays as the second told it.
"""

from adapters.dialect import Beginning, Usage


def whole_usage(beginning: Beginning, rest: Usage, *, echoed: bool) -> Usage:
    """Return the usage of the whole answer; `rest` is what the second told of its own part.

    `echoed`: it wrote the beginning once more, which is the text that the first part counts already.
    """
    produced, told = beginning.output_tokens, beginning.usage
    output = produced + max(0, rest.output_tokens - (produced if echoed else 0))
    if told is not None and told.input_tokens:
        return Usage(
            input_tokens=told.input_tokens,
            output_tokens=output,
            cached_tokens=told.cached_tokens,
            cache_write_tokens=told.cache_write_tokens,
            reasoning_tokens=rest.reasoning_tokens,
            estimated=told.output_tokens < produced,
        )
    read = max(0, rest.input_tokens - produced)
    cached = min(rest.cached_tokens, read)
    return Usage(
        input_tokens=read,
        output_tokens=output,
        cached_tokens=cached,
        cache_write_tokens=min(rest.cache_write_tokens, read - cached),
        reasoning_tokens=rest.reasoning_tokens,
        estimated=True,
    )
