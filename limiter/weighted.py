"""What a finished request counts against a limit on tokens.

Input that the provider had cached costs it little, so the operator may count it by less than one. Reasoning
is part of the output, as the provider counts it, and is not added again.
"""

from math import ceil


def weighted_tokens(
    *, input_tokens: int, output_tokens: int, cached_tokens: int, cached_weight: float
) -> int:
    """Return uncached input, plus cached input times its weight (0 to 1) rounded up, plus output.

    `cached_tokens` are part of the input. Counts that contradict each other are held to what is possible.
    """
    if not cached_tokens and input_tokens >= 0 and output_tokens >= 0:
        return input_tokens + output_tokens
    read = max(input_tokens, 0)
    cached = min(max(cached_tokens, 0), read)
    # Few weights have an exact float: 0.55 * 100 lies a little above 55, and must not become 56.
    weighed = ceil(round(cached * cached_weight, 6))
    return read - cached + weighed + max(output_tokens, 0)
