"""The stores of one database, side by side, and the threads in which they are asked."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

import trio

from router.accounts.account_store import AccountStore
from router.accounts.database import Database
from router.accounts.store import KeyStore
from router.accounts.tier_store import TierStore
from router.ledger.book import Book
from router.ledger.redeem import RedeemCodes

THREADS: Final = 4

T = TypeVar("T")


class Stores:
    """Everything that is kept in one database. All of it blocks; `wall_clock` gives unix seconds."""

    def __init__(self, database: Database, *, wall_clock: Callable[[], float] = time.time) -> None:
        self.database = database
        self.accounts = AccountStore(database, wall_clock=wall_clock)
        self.tiers = TierStore(database)
        self.keys = KeyStore(database, wall_clock=wall_clock)
        self.book = Book(database, wall_clock=wall_clock)
        self.codes = RedeemCodes(database, wall_clock=wall_clock)


class StoreThreads:
    """Calls what blocks, a few at a time, so that no report can keep a revocation from its thread."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._limiter = trio.CapacityLimiter(THREADS)

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:  # noqa: ANN401 - whatever it takes
        """Return `function(stores, *arguments)`; raises what it raises.

        When cancelled this returns at once, and what the function changes is changed all the same.
        """
        return await trio.to_thread.run_sync(
            partial(function, self._stores, *arguments),
            abandon_on_cancel=True,
            limiter=self._limiter,
        )
