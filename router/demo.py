"""The demo: the gateway over simulated providers, with a fresh key, leaving nothing behind.

Every known provider is configured to one simulator on the loopback interface, so the whole catalog can be
called by its real ids. Keys live in a temporary folder that goes with the process.
"""

import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import msgspec
import trio

from adapters.providers import KNOWN_PROVIDERS
from router.accounts.store import KeyStore
from router.config import Config, ProviderConfig, StoreConfig
from router.simulator import Profile, Simulator

Serve = Callable[[Config, str], Awaitable[None]]


def demo_config(config: Config, *, simulator_port: int, store_path: Path) -> Config:
    """Return `config` with every known provider at the simulator, and its own store and counts."""
    providers = {
        name: ProviderConfig(
            base_url=f"http://127.0.0.1:{simulator_port}/{name}/v1",
            timeouts=config.timeouts,
            discover=False,
        )
        for name in KNOWN_PROVIDERS
    }
    return msgspec.structs.replace(
        config,
        providers=providers,
        store=StoreConfig(path=str(store_path)),
        limits=msgspec.structs.replace(config.limits, folder=str(store_path.with_name("limits"))),
    )


async def run_demo(config: Config, profile: Profile, serve: Serve) -> None:
    """Run the simulator, and `serve(demo configuration, key)` until that returns."""
    with tempfile.TemporaryDirectory(prefix="syze-demo-") as folder:
        store_path = Path(folder) / "demo.db"
        secret = await trio.to_thread.run_sync(_create_key, store_path)
        async with trio.open_nursery() as nursery:
            simulator = Simulator(profile, keep_requests=0)
            port = await nursery.start(partial(simulator.serve, host="127.0.0.1", port=0))
            await serve(demo_config(config, simulator_port=port, store_path=store_path), secret)
            nursery.cancel_scope.cancel()


def _create_key(store_path: Path) -> str:
    with KeyStore.open(store_path) as store:
        return store.create("demo")[1]
