"""What a request costs: tokens times price, rounded once.

The sum is taken in femto-dollars, exactly, and rounded up to whole nano-dollars at the end: once a request,
never a token. Up, so that a request with a price is never free because it was small; it costs at most a
billionth of a dollar. And up is monotonic: what is held for more tokens is never less than what fewer cost.
"""

from typing import Final

import msgspec

from adapters.dialect import Usage
from router.ledger.price import FEMTODOLLARS_PER_NANODOLLAR, Price

MOST_TOKENS: Final = 10**8
"""More than this in one request is a provider's mistake: no context is a tenth of it."""


class Tokens(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What was read and written, in counts that are possible.

    `cached` and `cache_write` are parts of `input` and do not overlap; `reasoning` is a part of `output`.
    """

    input: int = 0
    cached: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0


def possible_tokens(usage: Usage) -> Tokens:
    """Return what of `usage` can be true, for it is a provider's word.

    A negative count is none, one above `MOST_TOKENS` is that, and a part is at most what it is a part of.
    """
    read, cached, cache_write = usage.input_tokens, usage.cached_tokens, usage.cache_write_tokens
    written, reasoning = usage.output_tokens, usage.reasoning_tokens
    if not (0 <= cached <= read <= MOST_TOKENS and 0 <= reasoning <= written <= MOST_TOKENS):
        read, written = _possible(read, MOST_TOKENS), _possible(written, MOST_TOKENS)
        cached, reasoning = _possible(cached, read), _possible(reasoning, written)
    if cache_write:
        cache_write = _possible(cache_write, read - cached)
    return Tokens(read, cached, cache_write, written, reasoning)


def cost(price: Price, usage: Usage) -> int:
    """Return what the usage costs, in nano-dollars, never negative."""
    return cost_of_tokens(price, possible_tokens(usage))


def cost_of_tokens(price: Price, tokens: Tokens) -> int:
    """Return what the tokens cost, in nano-dollars, rounded up."""
    femtodollars = tokens.input * price.input + tokens.output * price.output
    if tokens.cached:
        femtodollars += tokens.cached * (price.cache_read - price.input)
    if tokens.cache_write:
        femtodollars += tokens.cache_write * (price.cache_write - price.input)
    if tokens.reasoning:
        femtodollars += tokens.reasoning * (price.reasoning - price.output)
    return nanodollars_up(femtodollars)


def nanodollars_up(femtodollars: int) -> int:
    """Round up to whole nano-dollars: the one rounding of a request."""
    return -(-femtodollars // FEMTODOLLARS_PER_NANODOLLAR)


def _possible(count: int, most: int) -> int:
    return max(0, min(count, most))
