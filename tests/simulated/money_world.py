"""A gateway that sells: prepaid customers, prices that are easy to multiply, and books that take their time.

A token of the prompt costs 1,000 nano-dollars and one of the answer 10,000, at every provider. What is
settled reaches the books when a test says so, or by itself after a while (`Shop.keep_books`). Balances are
read four times a second, as a worker reads them.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Any, NamedTuple

import msgspec
import trio
import trio.testing

from limiter.demand import Limits
from router.accounts.account import Account
from router.accounts.keys import ApiKey, generate_key, hash_key, key_hint
from router.accounts.snapshot import Snapshot
from router.accounts.tier import EMBEDDED_TIER
from router.config import Config, LimitsConfig, MoneyConfig
from router.config.schema import RateTable
from router.ledger.settlement import Settlement
from router.simulator import Profile
from tests.simulated.world import (
    INSTANT,
    MODEL,
    Client,
    ClientAnswer,
    World,
    chat_fields,
    open_world,
    world_config,
)

CHAT = "/v1/chat/completions"
INPUT = 1_000  # nano-dollars a token
OUTPUT = 10_000
RATES = RateTable(input=INPUT / 1000, output=OUTPUT / 1000)
ACCOUNT = "acc_shop"
READ_TAKES = 0.6  # seconds that a reading of the balances takes at most, for it to be in time


class Buyer(NamedTuple):
    """A key of a prepaid account, and its secret."""

    key: ApiKey
    secret: str


class Shop:
    """A world with buyers, and its books: `credit` by account, and what keys have `spent`."""

    def __init__(self, world: World, credit: Mapping[str, int]) -> None:
        self.world = world
        self.credit = dict(credit)
        self.spent: dict[str, int] = {}
        self.buyers: list[Buyer] = []
        self._booked = 0
        self.lost = 0  # what was charged beyond the credit
        self.reading = True

    @property
    def settlements(self) -> list[Settlement]:
        return self.world.notebook.settlements

    def buyer(
        self,
        account: str = ACCOUNT,
        *,
        budget: int | None = None,
        prepaid: bool = True,
        limits: Limits | None = None,
    ) -> Buyer:
        """Add a key; the gateway knows it at once."""
        secret = generate_key()
        key = ApiKey(
            id=f"key_{len(self.buyers)}",
            name="test",
            hint=key_hint(secret),
            digest=hash_key(secret),
            created_at=0.0,
            account_id=account,
            budget_nanodollars=budget,
            limits=limits or Limits(),
        )
        self.buyers.append(Buyer(key, secret))
        accounts = {one.key.account_id for one in self.buyers}
        self.world.gateway.ring.replace(
            Snapshot(
                keys=[one.key for one in self.buyers],
                accounts=[Account(id=id_, name=id_, prepaid=prepaid) for id_ in accounts],
                tiers=[EMBEDDED_TIER],
            )
        )
        return self.buyers[-1]

    def joined_by(self, other: "Shop") -> None:
        """Let another gateway sell to the same buyers, out of the same books."""
        other.credit, other.spent, other.buyers = self.credit, self.spent, self.buyers
        other.world.gateway.ring.replace(self.world.gateway.ring.snapshot)

    async def keep_reading(
        self, takes: Callable[[], float] = lambda: 0.0, *, task_status: Any
    ) -> None:
        """Read the balances again and again; `takes()` is how long one reading takes."""
        while True:
            began = trio.current_time()
            balances = self.world.gateway.billing.balances
            wanted = balances.wanted(began)
            credit, spent = dict(self.credit), dict(self.spent)
            if self.reading:
                await trio.sleep(takes())
                balances.replace(wanted, credit, spent, read_at=began)
            task_status.started()
            task_status = trio.TASK_STATUS_IGNORED
            await balances.until_due()

    def book(self, most: int | None = None) -> int:
        """Take the next settlements into the books, as the store does; return how far they are there.

        Nobody is told of it yet.
        """
        self.world.gateway.billing.settling.booking()
        new = self.settlements[self._booked :][:most]
        self._booked += len(new)
        for one in new:
            self.spent[one.key_id] = self.spent.get(one.key_id, 0) + one.charge_nanodollars
            if one.billed:
                charged = min(one.charge_nanodollars, self.credit[one.account_id])
                self.credit[one.account_id] -= charged
                self.lost += one.charge_nanodollars - charged
        return self._booked

    def tell(self, position: int) -> None:
        """Tell the gateway how far its settlements are in the books."""
        self.world.gateway.billing.settling.booked(position)

    async def keep_books(self, rng: Random) -> None:
        """Book in batches, now and then, and tell of it a while later."""
        while True:
            await trio.sleep(rng.uniform(0.0, 2.0))
            position = self.book(rng.choice([1, 5, None]))
            await trio.sleep(rng.uniform(0.0, 1.0))
            self.tell(position)

    async def close_the_day(self) -> None:
        """Book everything, and wait until everybody knows."""
        self.tell(self.book())
        await trio.sleep(2.0)
        self.world.gateway.billing.settling.sweep()

    def held(self, subject: str = f"account:{ACCOUNT}") -> int:
        """What is held of somebody's credit now."""
        return self.world.limiter.standing(subject, now=trio.current_time()).held_credit

    def nothing_held(self) -> None:
        """No hold, no debt and no call is left, whoever it was of."""
        assert not self.world.gateway.billing.settling.owes
        for buyer in self.buyers:
            for subject in (f"key:{buyer.key.id}", f"account:{buyer.key.account_id}"):
                standing = self.world.limiter.standing(subject, now=trio.current_time())
                assert (standing.in_flight, standing.held_credit) == (0, 0), subject

    async def ask(self, buyer: Buyer, **fields: Any) -> ClientAnswer:
        """Ask as a buyer, and wait for the whole answer."""
        return await self.run(buyer, Client(msgspec.json.encode(chat_fields(**fields))))

    async def run(self, buyer: Buyer, client: Client) -> ClientAnswer:
        headers = {"authorization": f"Bearer {buyer.secret}"}
        return await self.world.run(client, CHAT, headers=headers)


def priced(config: Config | None = None, *, wait: float = 0.0, **money: Any) -> Config:
    """A configuration in which every configured model costs the same; nobody waits unless `wait` says so."""
    config = config or world_config()
    models = {f"{MODEL}": RATES}
    for name, provider in config.providers.items():
        models |= {f"{name}/{model}": RATES for model in provider.models or ()}
    return msgspec.structs.replace(
        config,
        money=MoneyConfig(prices=models, **money),
        limits=LimitsConfig(wait_seconds=wait),
    )


@asynccontextmanager
async def open_shop(
    profile: Profile = INSTANT,
    *,
    credit: int | Mapping[str, int] = 10**9,
    config: Config | None = None,
    takes: Callable[[], float] = lambda: 0.0,
    **world: Any,
) -> AsyncIterator[Shop]:
    """A shop with one account, or several, that have so much credit. In the end nothing may be held."""
    async with open_world(profile, config=config or priced(), **world) as opened:
        shop = Shop(opened, {ACCOUNT: credit} if isinstance(credit, int) else credit)
        async with trio.open_nursery() as nursery:
            await nursery.start(shop.keep_reading, takes)
            nursery.start_soon(opened.gateway.billing.settling.run)
            yield shop
            await opened.leak_check()
            await shop.close_the_day()
            shop.nothing_held()
            nursery.cancel_scope.cancel()


def cost(prompt: int, answer: int) -> int:
    """What so many tokens cost, in nano-dollars."""
    return INPUT * prompt + OUTPUT * answer
