"""A gateway in front of the simulated provider in each of its dialects, each a provider of that name.

Vertex AI is asked by a service account, whose key file stands beside the configuration; the others by a key.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from router.simulator import Simulator
from tests.e2e.gateway import Gateway, environ_of
from tests.e2e.process import GatewayProcess
from tests.simulated.dialect_world import EMBEDDINGS, MODELS, PREFIX
from tests.simulated.service_account import key_file

KEYS = {"vertex": "file:account.json"}


@contextmanager
def dialect_gateway(folder: Path, provider: Simulator, port: int) -> Iterator[Gateway]:
    """Run a gateway over the simulated provider at `port`."""
    config = folder / "syze.toml"
    config.write_text(_toml(port))
    (folder / "account.json").write_text(key_file(token_uri=f"http://127.0.0.1:{port}/token"))
    arguments = ["serve", "--config", str(config)]
    with GatewayProcess(arguments, folder=folder, environ=environ_of(folder)) as process:
        yield Gateway(process, provider, config=config)


def _toml(port: int) -> str:
    providers = "".join(
        f"""
[providers.{name}]
dialect = "{name}"
base_url = "http://127.0.0.1:{port}/{name}{PREFIX[name]}"
key = "{KEYS.get(name, "env:UPSTREAM_KEY")}"
models = {json.dumps([model, *([EMBEDDINGS[name]] if name in EMBEDDINGS else [])])}
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
