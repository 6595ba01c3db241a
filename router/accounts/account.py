"""An account: who pays and who is limited. It owns API keys and stands in a tier.

One account always exists. Keys that nobody put anywhere belong to it, so a gateway for one person
needs no accounts at all.
"""

from typing import Final

import msgspec

from limiter.demand import Limits
from router.accounts.keys import DEFAULT_ACCOUNT_ID, ID_LENGTH, random_text
from router.accounts.tier import DEFAULT_TIER

ACCOUNT_PREFIX: Final = "acc_"


class Account(msgspec.Struct, frozen=True):
    """One account. Times are unix seconds; `closed_at` is None while its keys work.

    `prepaid`: its running calls may never cost more than the credit it has. `limits` are what all
    of its keys may use together.
    """

    id: str
    name: str
    tier: str = DEFAULT_TIER
    prepaid: bool = False
    limits: Limits = Limits()
    created_at: float = 0.0
    closed_at: float | None = None


EMBEDDED_ACCOUNT: Final = Account(id=DEFAULT_ACCOUNT_ID, name="default")


def generate_account_id() -> str:
    """Make a public id, safe to print, log and put into URLs."""
    return ACCOUNT_PREFIX + random_text(ID_LENGTH)
