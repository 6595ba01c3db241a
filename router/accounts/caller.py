"""Who a request comes from: the key it showed, the account that owns the key, the account's tier."""

import msgspec

from router.accounts.account import Account
from router.accounts.keys import ApiKey
from router.accounts.tier import Tier


class Caller(msgspec.Struct, frozen=True):
    """A key that works, with all that decides what it may do. Made once a key, never in a request.

    `pays_in_advance`: whether its requests need credit, that of `prepaid_account` or of `budgeted_key`, which
    are the ids of its account and its key where those are that, and `None` where not.
    """

    key: ApiKey
    account: Account
    tier: Tier
    pays_in_advance: bool = False
    prepaid_account: str | None = None
    budgeted_key: str | None = None

    def __post_init__(self) -> None:
        """Find out what is asked with every request."""
        account = self.account.id if self.account.prepaid else None
        key = None if self.key.budget_nanodollars is None else self.key.id
        msgspec.structs.force_setattr(self, "prepaid_account", account)
        msgspec.structs.force_setattr(self, "budgeted_key", key)
        pays = account is not None or key is not None
        msgspec.structs.force_setattr(self, "pays_in_advance", pays)
