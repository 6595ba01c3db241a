"""The end of one request as money sees it: what goes into the journal, and from there into the books.

A settlement is written once, when the request ends, and then only moved. It names ids and figures, never a
prompt or a secret. Its fields may grow in later versions, each with a default, for a journal may have to be
read by a newer program than the one that wrote it.
"""

from typing import Final, Literal

import msgspec

from router.ledger.cost import MOST_TOKENS, Tokens
from router.ledger.money import MOST_NANODOLLARS

LONGEST_TEXT: Final = 500
MOST_SECONDS: Final = 1e12

Outcome = Literal["completed", "rescued", "client_left", "upstream_failed"]
"""How a request ended, as far as money is concerned."""


class Settlement(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One settled request.

    `at` is unix time. `estimated`: the provider did not tell all of its usage. `charge_nanodollars` is the
    customer's part, `operator_nanodollars` the operator's (see `bill`). `billed`: the charge is taken from
    the account's credit; false for accounts that are not prepaid, whose use is counted and not booked.
    `duration` and `first_token` are seconds; `first_token` is `None` where none came. `requests`: how many it
    counts, 0 where it only adds to the cost of one that was settled before.

    What is as by default is not written down, which is a fifth of it. The collector need not walk over the
    thousands that are booked at once: nothing leads back to them.

    Raises `ValueError` where a figure or a text is none that the books could keep: a settlement which the
    database must refuse would stand in the way of all that follow it.
    """

    request_id: str
    account_id: str
    key_id: str
    model: str
    provider: str
    at: float
    tokens: Tokens
    charge_nanodollars: int
    operator_nanodollars: int
    outcome: Outcome
    duration: float
    first_token: float | None = None
    estimated: bool = False
    billed: bool = True
    requests: int = 1

    def __post_init__(self) -> None:
        # It is asked twice of every request, as it is written and as it is read: all at once, where all is
        # well, and only else one by one.
        names = self.request_id + self.account_id + self.key_id + self.model + self.provider
        tokens = self.tokens
        if not (
            self.request_id
            and len(names) <= LONGEST_TEXT
            and names.isprintable()
            and 0 <= self.charge_nanodollars <= MOST_NANODOLLARS
            and 0 <= self.operator_nanodollars <= MOST_NANODOLLARS
            and 0 <= self.requests <= 1
            and 0 <= tokens.input <= MOST_TOKENS
            and 0 <= tokens.cached <= MOST_TOKENS
            and 0 <= tokens.cache_write <= MOST_TOKENS
            and 0 <= tokens.output <= MOST_TOKENS
            and 0 <= tokens.reasoning <= MOST_TOKENS
            and 0 <= self.at < MOST_SECONDS
            and 0 <= self.duration < MOST_SECONDS
            and (self.first_token is None or 0 <= self.first_token < MOST_SECONDS)
        ):
            _check(self)


def _check(one: Settlement) -> None:
    """Raise `ValueError` with what is wrong; the names together may be longer than each of them may be."""
    for name in (one.request_id, one.account_id, one.key_id, one.model, one.provider):
        if len(name) > LONGEST_TEXT or not name.isprintable():
            raise ValueError(f"not a name that can be booked: {name[:40]!r}")
    if not one.request_id:
        raise ValueError("a settlement needs the id of its request")
    for amount in (one.charge_nanodollars, one.operator_nanodollars):
        if not 0 <= amount <= MOST_NANODOLLARS:
            raise ValueError(f"not an amount that can be booked: {amount}")
    if one.requests not in {0, 1}:
        raise ValueError(f"not a number of requests that one can be: {one.requests}")
    counts = msgspec.structs.astuple(one.tokens)
    if not (min(counts) >= 0 and max(counts) <= MOST_TOKENS):
        raise ValueError(f"not a number of tokens that can be booked: {counts}")
    for seconds in (one.at, one.duration, one.first_token or 0.0):
        if not 0 <= seconds < MOST_SECONDS:
            raise ValueError(f"not a time that can be booked: {seconds}")
