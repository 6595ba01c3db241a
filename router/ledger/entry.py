"""One line of the books: an amount that goes from one account to another, and why.

Bookkeeping of two entries in one row: `amount` is added to `account` and taken from `counter_account`, so
debits equal credits in every line, and all balances together are zero. A line is never changed; what was
wrong is put right by another line.

Each line has an idempotency key. Whoever may have to say the same thing twice, after a crash or an answer
that got lost, says it under the same key, and it counts once.
"""

from typing import Final, Literal

import msgspec

from router.ledger.money import MOST_NANODOLLARS

Kind = Literal["top_up", "charge", "refund", "adjustment", "operator_cost"]

PAYMENTS: Final = "operator:payments"
"""What customers have paid from outside, through a payment provider or the operator's hands."""
CODES: Final = "operator:codes"
"""What was given out as redeem codes and has come back."""
REVENUE: Final = "operator:revenue"
"""What customers have been charged, less what was refunded."""
ADJUSTMENTS: Final = "operator:adjustments"
ATTEMPTS: Final = "operator:attempts"
"""Hedges that lost, failed attempts, a rescuer's second reading: below zero by what they have cost."""
PROVIDERS: Final = "operator:providers"
"""What providers are owed for those attempts."""
LOSSES: Final = "operator:losses"
"""Charges beyond an account's credit, which nobody pays: below zero by their sum."""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A line before it is booked. `reference` says what it is about, such as a request's id.

    Raises `ValueError` for an amount of nothing, or beyond `MOST_NANODOLLARS`, or within one account.
    """

    key: str
    account: str
    counter_account: str
    amount: int
    kind: Kind
    reference: str = ""
    model: str | None = None

    def __post_init__(self) -> None:
        if not 0 < abs(self.amount) <= MOST_NANODOLLARS:
            raise ValueError(f"not an amount that can be booked: {self.amount}")
        if self.account == self.counter_account:
            raise ValueError(f"{self.account} cannot owe itself")


class Entry(Draft, frozen=True, kw_only=True):
    """A line as it stands in the books. `created_at` is unix time; `id` grows with every line."""

    id: int
    created_at: float
