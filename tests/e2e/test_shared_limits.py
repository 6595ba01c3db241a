"""Two gateways, one real Valkey or Redis: their keys' limits hold over both, and what happens without it."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest

from router.simulator import Simulator
from tests.e2e.gateway import MODEL, Gateway, environ_of
from tests.e2e.process import GatewayProcess, wait_until
from tests.e2e.valkey_server import ValkeyServer, store

__all__ = ["store"]  # a fixture

REQUESTS = 6
MACHINES = 2


@contextmanager
def sharing_gateway(
    folder: Path, provider: Simulator, port: int, store: ValkeyServer, *, when_away: str
) -> Iterator[Gateway]:
    """Run one of two gateways that share their keys by a file and their counts by the store."""
    config = folder / "syze.toml"
    config.write_text(
        f"""
[server]
bind = ["127.0.0.1:0"]

[store]
path = "../keys.db"

[money]
journal = "journal"

[limits]
url = "file:store.url"
folder = "counts"
machines = {MACHINES}
when_away = "{when_away}"
wait_seconds = 0
patience = 2.0
requests_per_minute = {REQUESTS}

[providers.openai]
base_url = "http://127.0.0.1:{port}/openai/v1"
key = "env:UPSTREAM_KEY"
discover = false
"""
    )
    (folder / "store.url").write_text(store.url)
    arguments = ["serve", "--config", str(config)]
    with GatewayProcess(arguments, folder=folder, environ=environ_of(folder)) as process:
        yield Gateway(process, provider, config=config)


@contextmanager
def two_gateways(
    folder: Path, provider: tuple[Simulator, int], store: ValkeyServer, *, when_away: str = "share"
) -> Iterator[list[Gateway]]:
    with ExitStack() as stack:
        gateways = []
        for name in ("one", "two"):
            (folder / name).mkdir()
            running = sharing_gateway(folder / name, *provider, store, when_away=when_away)
            gateways.append(stack.enter_context(running))
        yield gateways


async def ask_both(gateways: list[Gateway], key: str, times: int) -> list[int]:
    """Ask each gateway so often, all at once; return the statuses."""
    fields = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}
    async with httpx2.AsyncClient(timeout=30) as client:

        async def ask(gateway: Gateway) -> int:
            answer = await client.post(
                f"{gateway.base_url}/chat/completions",
                json=fields,
                headers={"Authorization": f"Bearer {key}"},
            )
            return answer.status_code

        return await asyncio.gather(*(ask(gateway) for gateway in gateways for _ in range(times)))


def test_i2_two_gateways_admit_together_what_one_limit_allows(
    tmp_path: Path, provider: Simulator, provider_port: int, store: ValkeyServer
) -> None:
    with two_gateways(tmp_path, (provider, provider_port), store) as gateways:
        key = gateways[0].key
        wait_until("both know the key", lambda: gateways[1].status_of("/v1/models", key) == 200)
        statuses = asyncio.run(ask_both(gateways, key, REQUESTS))
        assert sorted(set(statuses)) == [200, 429]
        assert statuses.count(200) == REQUESTS


@pytest.mark.parametrize(("when_away", "served"), [("share", REQUESTS), ("refuse", 0)])
def test_without_the_store_each_serves_its_share_or_refuses(
    tmp_path: Path,
    provider: Simulator,
    provider_port: int,
    store: ValkeyServer,
    when_away: str,
    served: int,
) -> None:
    with two_gateways(tmp_path, (provider, provider_port), store, when_away=when_away) as gateways:
        key = gateways[0].key
        wait_until("both know the key", lambda: gateways[1].status_of("/v1/models", key) == 200)
        store.kill()
        statuses = asyncio.run(ask_both(gateways, key, REQUESTS))
        assert statuses.count(200) == served
        assert set(statuses) <= {200, 429 if when_away == "share" else 503}
