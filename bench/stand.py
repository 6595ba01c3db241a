"""The stand: a simulated provider and a gateway as real processes, on loopback.

The gateway is started as an operator would, by its own command with a configuration file, a
store and a key of its own in a temporary folder.
"""

import http.client
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from bench.cores import Layout, running_on
from bench.processes import LOOPBACK, START_SECONDS, Service, StandFailed, ending, free_port
from bench.work import MODEL
from router.loadtest.measure import Probe, process_tree
from router.loadtest.target import Target

MAX_CONNECTIONS: Final = 10_000
_PROVIDER: Final = "sim"


class Stand(msgspec.Struct, frozen=True):
    """What runs, and how to ask it: `through` asks the gateway, `direct` the provider itself."""

    provider: Service
    gateway: Service
    through: Target
    direct: Target


class Prepared(msgspec.Struct, frozen=True):
    """A gateway that can be started, more than once: on its cores, with what lies in its folder."""

    name: str
    folder: Path
    command: Sequence[str]
    target: Target
    cores: Collection[int]

    @contextmanager
    def serving(self) -> Iterator[Service]:
        """Run it. Raises StandFailed if it does not come up."""
        with running_on(self.cores):
            service = Service("gateway", self.command, self.folder / "gateway.log")
        with ending(service):
            service.wait_until(lambda: ready(self.target.port))
            yield service


@contextmanager
def stand(layout: Layout) -> Iterator[Stand]:
    """Run a provider and a gateway in front of it. Raises StandFailed if one does not come up."""
    with tempfile.TemporaryDirectory(prefix="syze-bench-") as name:
        folder = Path(name)
        with serving_provider(folder, cores=layout.load) as (provider, direct):
            port = free_port()
            written = gateway_config(direct, port)
            with serving_gateway(written, port, folder, cores=layout.gateway) as (gateway, key):
                through = Target(LOOPBACK, port, "/v1", key, f"{_PROVIDER}/{MODEL}")
                yield Stand(provider, gateway, through, direct)


@contextmanager
def serving_provider(
    folder: Path, *arguments: str, cores: Collection[int]
) -> Iterator[tuple[Service, Target]]:
    """Run the simulated provider, with more arguments maybe; gives it and how to ask it.

    Raises StandFailed if it does not come up.
    """
    command = python_command("router.simulator", "--port", "0", "--model", MODEL, *arguments)
    with running_on(cores):
        provider = Service("provider", command, folder / "provider.log")
    with ending(provider):
        yield provider, provider.wait_until(lambda: announced(provider.lines()))


@contextmanager
def serving_gateway(
    written: str, port: int, folder: Path, *, cores: Collection[int]
) -> Iterator[tuple[Service, str]]:
    """Run a gateway with this configuration, by which it serves at `port`; gives it and a key for it.

    Raises StandFailed if it does not come up.
    """
    config = folder / "syze.toml"
    config.write_text(written, encoding="utf-8")
    key = _create_key(config)
    target = Target(LOOPBACK, port, "/v1", key, f"{_PROVIDER}/{MODEL}")
    prepared = Prepared("gateway", folder, serve_command(config), target, cores)
    with prepared.serving() as gateway:
        yield gateway, key


def probe_of(standing: Stand) -> Probe:
    """Measure the gateway, the provider and this process, under these names (`load` is this one)."""
    return Probe(
        {
            "gateway": process_tree(standing.gateway.pid),
            "provider": process_tree(standing.provider.pid),
            "load": [os.getpid()],
        }
    )


def gateway_config(provider: Target, port: int) -> str:
    """Write the gateway's configuration: defaults, but for what a stand needs."""
    return (
        "[server]\n"
        f'bind = ["{LOOPBACK}:{port}"]\n'
        "[store]\n"
        'path = "bench.db"\n'
        "[limits]\n"
        'folder = "counts"\n'
        f"[providers.{_PROVIDER}]\n"
        'dialect = "openai"\n'
        f'base_url = "http://{provider.host}:{provider.port}{provider.prefix}"\n'
        f'models = ["{MODEL}"]\n'
        f"max_connections = {MAX_CONNECTIONS}\n"
    )


def priced(model: str) -> str:
    """Write what a model costs, for the configuration of a gateway that charges."""
    return f'[money.prices."{model}"]\ninput = 2.5\noutput = 10.0\ncache_read = 1.25\n'


def python_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module with this Python."""
    return [sys.executable, "-m", module, *arguments]


def serve_command(config: Path) -> list[str]:
    """Return the command that serves with a configuration."""
    return [_syze(), "serve", "--config", str(config)]


def _syze() -> str:
    command = Path(sys.executable).with_name("syze")
    if not command.exists():
        raise StandFailed("the command 'syze' is not installed beside this Python")
    return str(command)


def _create_key(config: Path) -> str:
    command = [_syze(), "keys", "create", "--config", str(config), "--name", "bench", "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=START_SECONDS, check=False
    )
    if done.returncode != 0:
        raise StandFailed(f"no key could be made: {done.stderr.strip()}")
    key: str = json.loads(done.stdout)["key"]
    return key


def announced(lines: Sequence[str]) -> Target | None:
    """Read the base URL from the line with which the provider says that it serves."""
    urls = [urlsplit(line) for line in lines if line.startswith("http://")]
    if not urls or urls[0].port is None:
        return None
    return Target(urls[0].hostname or LOOPBACK, urls[0].port, urls[0].path, "unused", MODEL)


def ready(port: int) -> bool | None:
    """Say True once the gateway is ready for clients."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=1.0)
    try:
        connection.request("GET", "/readyz")
        return True if connection.getresponse().status == 200 else None
    except OSError:
        return None
    finally:
        connection.close()
