"""Accounts, tiers and keys as they were at one moment, arranged for being asked on every request.

It is made in a worker thread, from what one transaction read, and never changes: a change in the
store makes another one. The keys lie under the first bytes of their digests, and each already has
its account and tier beside it.
"""

import hmac
from collections.abc import Iterable, Mapping
from typing import Final

from router.accounts.account import EMBEDDED_ACCOUNT, Account
from router.accounts.caller import Caller
from router.accounts.keys import ApiKey
from router.accounts.tier import EMBEDDED_TIER, Tier

_INDEX_BYTES: Final = 8


class Snapshot:
    """An immutable picture. `accounts` are by id, `tiers` by name, `callers` in the keys' order.

    Keys that are revoked, and those whose account is closed or absent, are left out: nothing can be
    called with them.
    """

    def __init__(
        self,
        *,
        keys: Iterable[ApiKey] = (),
        accounts: Iterable[Account] = (),
        tiers: Iterable[Tier] = (),
    ) -> None:
        self.tiers: Mapping[str, Tier] = {tier.name: tier for tier in tiers}
        self.accounts: Mapping[str, Account] = {account.id: account for account in accounts}
        callers = (self._caller(key) for key in keys if key.revoked_at is None)
        self.callers = tuple(caller for caller in callers if caller is not None)
        self._shelves: dict[bytes, list[Caller]] = {}
        for caller in self.callers:
            self._shelves.setdefault(caller.key.digest[:_INDEX_BYTES], []).append(caller)

    @classmethod
    def embedded(cls, keys: Iterable[ApiKey]) -> "Snapshot":
        """Return these keys in the account and tier that every store begins with."""
        return cls(keys=keys, accounts=[EMBEDDED_ACCOUNT], tiers=[EMBEDDED_TIER])

    def find(self, digest: bytes) -> Caller | None:
        """Return the caller whose key has this digest; digests are compared in constant time."""
        for caller in self._shelves.get(digest[:_INDEX_BYTES], ()):
            if hmac.compare_digest(caller.key.digest, digest):
                return caller
        return None

    def tiers_that_have(self, model: str) -> list[str]:
        """Return the names, sorted, of the tiers that have the model with this id."""
        return sorted(tier.name for tier in self.tiers.values() if tier.allows(model))

    def _caller(self, key: ApiKey) -> Caller | None:
        account = self.accounts.get(key.account_id)
        tier = self.tiers.get(account.tier) if account is not None else None
        if account is None or tier is None or account.closed_at is not None:
            return None
        return Caller(key, account, tier)
