"""A gateway with limits, its customers, and what a test needs to follow who is admitted when.

Time begins at 0 in every world and windows are counted in whole seconds, so what was used before second 1 is
free again at second 61 (`FREE_AGAIN`). A request of `ask` reserves the 1,000 tokens of its cap and a little
for its prompt, and the provider produces exactly the cap: what was reserved stays used, but for that little.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
import trio

from limiter.demand import Limits, Standing
from router.accounts.account import Account
from router.accounts.keys import ApiKey, generate_key, hash_key, key_hint
from router.accounts.snapshot import Snapshot
from router.accounts.tier import EVERY_MODEL, ModelPatterns, Tier
from router.config import Config, LimitsConfig, LimitTable
from tests.simulated.world import MODEL, Client, ClientAnswer, World, chat_fields, world_config

CHAT = "/v1/chat/completions"
OTHER_MODEL = "openai/gpt-4o"
TOKENS = 1000
PROMPT = 60  # more than any estimate of the small prompts here
FREE_AGAIN = 61.0
NOTHING_ELSE: Mapping[str, Any] = {}


class Customer(NamedTuple):
    """A key of one account, and its secret."""

    key: ApiKey
    secret: str

    @property
    def subject(self) -> str:
        return f"key:{self.key.id}"


class Answer(NamedTuple):
    """An answer, and when it was asked for and whole, on the world's clock."""

    answer: ClientAnswer
    asked_at: float
    at: float

    @property
    def status(self) -> int:
        return self.answer.status

    @property
    def headers(self) -> dict[str, str]:
        return self.answer.headers

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.answer.json()["error"]
        return error

    @property
    def retry_after(self) -> float:
        """Seconds after which it may be asked again, as the client is told to the millisecond."""
        return int(self.headers["retry-after-ms"]) / 1000


def limits_config(
    config: Config | None = None,
    *,
    wait: float = 0.0,
    models: Mapping[str, Limits] | None = None,
    general: Limits | None = None,
    **more: Any,
) -> Config:
    """A configuration with these limits; nobody waits unless `wait` says how long."""
    tables = {model: LimitTable(**_table(limits)) for model, limits in (models or {}).items()}
    limits = LimitsConfig(wait_seconds=wait, models=tables, **_table(general or Limits()), **more)
    return msgspec.structs.replace(config or world_config(), limits=limits)


def _table(limits: Limits) -> Any:
    return {
        "requests_per_minute": limits.requests,
        "tokens_per_minute": limits.tokens,
        "concurrency": limits.concurrency,
    }


class Customers:
    """The accounts, tiers and keys of a world. Adding one makes it known to the gateway at once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tiers: dict[str, Tier] = {}
        self._accounts: dict[str, Account] = {}
        self._keys: list[ApiKey] = []

    def tier(self, name: str, limits: Limits | None = None, *models: str) -> str:
        patterns = ModelPatterns(models) if models else EVERY_MODEL
        self._tiers[name] = Tier(name, patterns, limits or Limits())
        return name

    def account(self, name: str, limits: Limits | None = None, *, tier: str = "default") -> str:
        if tier not in self._tiers:
            self.tier(tier)
        self._accounts[name] = Account(
            id=f"acc_{name}", name=name, tier=tier, limits=limits or Limits()
        )
        return name

    def key(
        self,
        limits: Limits | None = None,
        *,
        account: str = "someone",
        hedge: bool | None = None,
    ) -> Customer:
        if account not in self._accounts:
            self.account(account)
        secret = generate_key()
        key = ApiKey(
            id=f"key_{len(self._keys)}",
            name="test",
            hint=key_hint(secret),
            digest=hash_key(secret),
            created_at=0.0,
            account_id=self._accounts[account].id,
            limits=limits or Limits(),
            hedge=hedge,
        )
        self._keys.append(key)
        self._world.gateway.ring.replace(
            Snapshot(keys=self._keys, accounts=self._accounts.values(), tiers=self._tiers.values())
        )
        return Customer(key, secret)


def customer(world: World, limits: Limits | None = None, *, hedge: bool | None = None) -> Customer:
    """The only customer of a world."""
    return Customers(world).key(limits, hedge=hedge)


def fields_of(
    *, tokens: int = TOKENS, simulate: Mapping[str, Any] | None = NOTHING_ELSE, **fields: Any
) -> dict[str, Any]:
    """A request that uses as much output as its cap allows, unless `simulate` says otherwise.

    With `None` it says nothing, so that the provider does what was planned for it.
    """
    behaviour = None if simulate is None else {"tokens": tokens, **simulate}
    return chat_fields(**{"max_tokens": tokens, "simulate": behaviour, **fields})


async def ask(world: World, who: Customer, **fields: Any) -> Answer:
    """Ask as a customer and wait for the whole answer. `fields` as for `fields_of`."""
    return await run(world, who, Client(msgspec.json.encode(fields_of(**fields))))


async def run(world: World, who: Customer, client: Client) -> Answer:
    """Serve the request of one client connection."""
    start = trio.current_time()
    headers = {"authorization": f"Bearer {who.secret}"}
    answer = await world.run(client, CHAT, headers=headers)
    return Answer(answer, start, trio.current_time())


async def ask_until_served(world: World, who: Customer, **fields: Any) -> list[Answer]:
    """Ask, come back as told after each 429, and return all answers."""
    answers = [await ask(world, who, **fields)]
    while answers[-1].status == 429:
        await trio.sleep(answers[-1].retry_after)
        answers.append(await ask(world, who, **fields))
    return answers


async def together(world: World, count: int, one: Callable[..., Any], *args: Any) -> list[Any]:
    """Run `one(world, *args)` so many times at once, started in order; what each returned, as they ended."""
    results: list[Any] = []

    async def keep() -> None:
        results.append(await one(world, *args))

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(keep)
            await trio.testing.wait_all_tasks_blocked()
    return results


def standing(world: World, subject: str) -> Standing:
    """What a subject has in use now."""
    return world.limiter.standing(subject, now=trio.current_time())


async def no_reservation_left(world: World, *customers: Customer) -> None:
    """The leak check, for these customers and the two models as well."""
    await world.leak_check()
    subjects = [who.subject for who in customers]
    subjects += [f"account:{who.key.account_id}" for who in customers]
    for subject in (*subjects, f"model:{MODEL}", f"model:{OTHER_MODEL}"):
        assert standing(world, subject).in_flight == 0, subject
