"""A gateway in front of the simulated provider in each of its dialects, each a provider of that name."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from router.simulator import Simulator
from tests.e2e.gateway import Gateway, environ_of
from tests.e2e.process import GatewayProcess
from tests.simulated.dialect_world import MODELS, PREFIX


@contextmanager
def dialect_gateway(folder: Path, provider: Simulator, port: int) -> Iterator[Gateway]:
    """Run a gateway over the simulated provider at `port`."""
    config = folder / "syze.toml"
    config.write_text(_toml(port))
    arguments = ["serve", "--config", str(config)]
    with GatewayProcess(arguments, folder=folder, environ=environ_of(folder)) as process:
        yield Gateway(process, provider, config=config)


def _toml(port: int) -> str:
    providers = "".join(
        f"""
[providers.{name}]
dialect = "{name}"
base_url = "http://127.0.0.1:{port}/{name}{PREFIX[name]}"
key = "env:UPSTREAM_KEY"
models = ["{model}"]
"""
        for name, model in MODELS.items()
    )
    return f"""
[server]
bind = ["127.0.0.1:0"]
[store]
path = "keys.db"
[log]
format = "json"
[limits]
folder = "counts"
{providers}"""
