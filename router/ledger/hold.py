"""How much credit a request needs before it may start, and how far its credit carries it.

What a request will cost is known at its end. Until then the most it can cost is set aside, at the dearest
rate its tokens could have: a prompt may be written to a cache, an answer may be all reasoning. Since the cost
is monotonic in every count, no answer within the estimate costs more than its hold.
"""

from router.ledger.cost import nanodollars_up
from router.ledger.price import FEMTODOLLARS_PER_NANODOLLAR, Price


def worst_case(price: Price, input_tokens: int, output_tokens: int) -> int:
    """Return the nano-dollars that a request of so many tokens costs at most; counts are at least 0."""
    return nanodollars_up(input_tokens * price.dearest_input + output_tokens * price.dearest_output)


def affordable_output(price: Price, *, input_tokens: int, credit: int) -> int | None:
    """Return how many output tokens fit into `credit` nano-dollars after the prompt is paid.

    `None`: any number, since output costs nothing. -1: not even the prompt is paid for.
    """
    left = credit * FEMTODOLLARS_PER_NANODOLLAR - input_tokens * price.dearest_input
    if left < 0:
        return -1
    if price.dearest_output == 0:
        return None
    return left // price.dearest_output
