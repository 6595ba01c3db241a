"""A gateway with several providers for one model, and what a test needs to follow a race.

Providers are hosts named by one letter, each with the model `m`. The id `m` leads to them: a first tier, then
one tier for each fallback. In a tier, who is named first is asked first, by the force of its weight.
"""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import trio

from router.config import (
    Config,
    ModelConfig,
    ProviderConfig,
    RaceConfig,
    ServerConfig,
    TimeoutConfig,
)
from router.simulator import Behaviour, Latency, Profile
from tests.simulated.world import ClientAnswer, World, chat_fields

CHAT = "/v1/chat/completions"
AT_ONCE = Profile()
QUICK_SECONDS = 0.1
QUICK = Profile(ttft=Latency.fixed(QUICK_SECONDS))
FIRST_BYTE = 30.0
FOREVER = 200
MORE_THAN_ENOUGH = 20_000


class LongestWait(random.Random):
    """Chance that always draws the end of an interval, so that waits drawn at random are exact."""

    def uniform(self, a: float, b: float) -> float:
        return b


def race_config(
    pool: str,
    *fallbacks: str,
    race: RaceConfig | None = None,
    model: Mapping[str, Any] | None = None,
    others: str = "",
    **provider: Any,
) -> Config:
    """The id `m` at the providers of `pool`, then at each fallback; `others` only exist."""
    names = [*pool, *fallbacks, *others]
    providers = {
        name: ProviderConfig(
            base_url=f"http://{name}/v1",
            discover=False,
            models=["m"],
            weight=1000.0 ** (2 - 2 * place),
            timeouts=TimeoutConfig(connect=5, first_byte=FIRST_BYTE, idle=20, total=600),
            **provider,
        )
        for place, name in enumerate(names)
    }
    route = ModelConfig(
        targets=[f"{name}/m" for name in pool],
        fallbacks=[f"{name}/m" for name in fallbacks],
        **(model or {}),
    )
    return Config(
        server=ServerConfig(keepalive_comment_seconds=15.0),
        providers=providers,
        models={"m": route},
        race=race or RaceConfig(),
    )


class Served(NamedTuple):
    """One answer, when it began and when it was whole, in seconds from its request."""

    answer: ClientAnswer
    head_after: float
    seconds: float

    @property
    def status(self) -> int:
        return self.answer.status

    @property
    def provider(self) -> str | None:
        return self.answer.headers.get("x-syze-provider")

    @property
    def attempts(self) -> int:
        return int(self.answer.headers["x-syze-attempts"])

    @property
    def hedged(self) -> bool:
        return self.answer.headers["x-syze-hedged"] == "true"

    @property
    def code(self) -> str | None:
        code: str | None = self.answer.json()["error"]["code"]
        return code

    @property
    def retry_after(self) -> str | None:
        return self.answer.headers.get("retry-after")


async def ask(world: World, *, hedge: str | None = None, **fields: Any) -> Served:
    """Ask for `m`, and follow the clock. `hedge`: what the header of that name says."""
    start = trio.current_time()
    headers = {"authorization": f"Bearer {world.secret}"}
    if hedge is not None:
        headers["x-syze-hedge"] = hedge
    answer = await world.post(CHAT, chat_fields(**{"model": "m", **fields}), headers=headers)
    return Served(answer, round(answer.head_at - start, 6), round(trio.current_time() - start, 6))


def seen(world: World) -> str:
    """How many requests each provider has received, as in "a2 b1"."""
    return " ".join(f"{host}{received(world, host)}" for host in world.simulators)


def received(world: World, host: str) -> int:
    return len(world.simulators[host].requests)


def everything_received(world: World) -> int:
    return sum(received(world, host) for host in world.simulators)


def plan(world: World, host: str, times: int = 1, **behaviour: Any) -> None:
    """Give the next requests at a provider this behaviour."""
    world.simulators[host].plan(*[Behaviour(**behaviour)] * times)


@contextmanager
def out_of_order(world: World, host: str, **behaviour: Any) -> Iterator[None]:
    """Within the block, every request at a provider meets this behaviour."""
    plan(world, host, MORE_THAN_ENOUGH, **behaviour)
    try:
        yield
    finally:
        assert world.simulators[host].planned
        world.simulators[host].unplan()
