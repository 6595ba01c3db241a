"""Who pays for what, as `docs/reference/who-pays.md` publishes it (invariant I4).

The customer pays for what was produced for it, once, at the sale price. Whatever the gateway spent besides,
to be quicker or to hide a failure, is the operator's, at the price the provider asks. And an answer that an
upstream spoilt costs the customer nothing at all.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from router.ledger.cost import Tokens, cost_of_tokens
from router.ledger.money import MOST_NANODOLLARS
from router.ledger.tariff import Tariff

Outcome = Literal["completed", "rescued", "client_left", "upstream_failed"]
"""How a request ended, as far as money is concerned."""


class Expense(msgspec.Struct, frozen=True):
    """What a provider was made to do beside the answer: a lost hedge, a failed attempt, a second reading."""

    tariff: Tariff
    tokens: Tokens


class Bill(msgspec.Struct, frozen=True):
    """Nano-dollars: what the customer is charged, and what the operator bears."""

    charge: int
    operator: int


def bill(
    outcome: Outcome, tariff: Tariff, tokens: Tokens, expenses: Iterable[Expense] = ()
) -> Bill:
    """Divide the cost of one request.

    `tokens` is what was produced for the client: the prompt once, and all output that it got or, where it
    left, that was made for it until then. `expenses` is everything else that providers were asked to do.
    Neither part is ever more than can be booked, however absurd the price and the counts together.
    """
    spent = sum(cost_of_tokens(expense.tariff.cost, expense.tokens) for expense in expenses)
    if outcome == "upstream_failed":
        return Bill(charge=0, operator=_bookable(spent + cost_of_tokens(tariff.cost, tokens)))
    return Bill(charge=_bookable(cost_of_tokens(tariff.sale, tokens)), operator=_bookable(spent))


def _bookable(nanodollars: int) -> int:
    return min(nanodollars, MOST_NANODOLLARS)
