"""What is held for one request of a prepaid account, and how far that carries it.

A request that caps its answer holds what prompt and cap can cost at most. One without a cap holds what the
estimate says and, as a stream, holds more while it goes on (`meter`). A whole answer cannot be watched
while it is written: without a cap it holds what the model's longest answer costs, or all that is left, and
is then given a cap that fits. Prompts are counted with a margin, since their tokens are a guess until the
provider has counted them.
"""

from typing import Final

import msgspec

from router.ledger.hold import affordable_output, worst_case
from router.ledger.price import Price

PROMPT_MARGIN: Final = 1.25
PROMPT_MORE: Final = 64
LONGEST_ANSWER: Final = 128_000  # tokens, for a model of which nobody says how long it writes
MOST_HELD: Final = 1 << 48  # nano-dollars for one call, which is 281,474 dollars


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """How much of an answer a request may make: tokens in all choices.

    `capped`: by its client, so that it holds this or is refused. Else less will do as well.
    """

    prompt_tokens: int
    output_tokens: int
    capped: bool


class Hold(msgspec.Struct, frozen=True, gc=False):
    """What to hold, in nano-dollars: `amount`, at most `MOST_HELD`, or down to `least`.

    `account` is what the account may hold in all, `key` what its key may still spend; `None`: anything.
    """

    price: Price
    wanted: Wanted
    amount: int
    account: int | None
    key: int | None

    @property
    def least(self) -> int:
        """What the request may start with, if that is all there is."""
        if self.wanted.capped:
            return self.amount
        return min(self.amount, self.cost_of(1))

    def output_for(self, held: int) -> int | None:
        """Return how many tokens of answer `held` nano-dollars pay for; `None`: any number."""
        return affordable_output(self.price, input_tokens=self.wanted.prompt_tokens, credit=held)

    def cost_of(self, output_tokens: int) -> int:
        """Return what the prompt and so many tokens of answer cost at most."""
        return worst_case(
            self.price, input_tokens=self.wanted.prompt_tokens, output_tokens=output_tokens
        )


def make_hold(price: Price, wanted: Wanted, *, account: int | None, key: int | None) -> Hold:
    """Return what to hold for a request."""
    amount = worst_case(price, wanted.prompt_tokens, wanted.output_tokens)
    return Hold(price, wanted, min(amount, MOST_HELD), account, key)


def prompt_with_margin(tokens: int) -> int:
    """Return more tokens than a prompt that was guessed to have so many will be found to have."""
    return int(tokens * PROMPT_MARGIN) + PROMPT_MORE
