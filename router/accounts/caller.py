"""Who a request comes from: the key it showed, the account that owns the key, the account's tier."""

import msgspec

from limiter.demand import Limits
from router.accounts.account import Account
from router.accounts.keys import ApiKey
from router.accounts.tier import Tier


class Caller(msgspec.Struct, frozen=True):
    """A key that works, with all that decides what it may do. Made once a key, never in a request."""

    key: ApiKey
    account: Account
    tier: Tier

    def account_limits(self) -> Limits:
        """Return what the account's keys may use together: each limit its own, else its tier's.

        A key's own limits hold besides these, not in their place.
        """
        own, general = self.account.limits, self.tier.limits
        return Limits(
            requests=general.requests if own.requests is None else own.requests,
            tokens=general.tokens if own.tokens is None else own.tokens,
            concurrency=general.concurrency if own.concurrency is None else own.concurrency,
        )
