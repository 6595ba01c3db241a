"""Who a request comes from: the key it showed, the account that owns the key, the account's tier."""

import msgspec

from router.accounts.account import Account
from router.accounts.keys import ApiKey
from router.accounts.tier import Tier


class Caller(msgspec.Struct, frozen=True):
    """A key that works, with all that decides what it may do. Made once a key, never in a request.

    `pays_in_advance`: whether its requests need credit, that of a prepaid account or of a key with a budget.
    """

    key: ApiKey
    account: Account
    tier: Tier
    pays_in_advance: bool = False

    def __post_init__(self) -> None:
        """Find out what is asked with every request."""
        pays = self.account.prepaid or self.key.budget_nanodollars is not None
        msgspec.structs.force_setattr(self, "pays_in_advance", pays)
