"""A configured gateway over the simulated provider, with a key, and the leak check from outside.

The configuration goes through a file and the key through `syze keys create`, the way an operator
does it.
"""

import contextlib
import http.client
import os
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from router.simulator import Simulator
from tests.e2e.process import GatewayProcess, run_syze, wait_until

TLS = Path(__file__).parent.parent / "fixtures" / "tls"
CARRIED = ("PYTHONPATH", "SYZE_HTTP1", "SYZE_RELAY")
UPSTREAM_KEY = "sk-upstream-secret"
MODEL = "openai/gpt-4o-mini"
UNREACHABLE_MODEL = "unreachable/anything"
IMPATIENT_MODEL = "impatient/anything"
SPARE_MODEL = "gpt-4o-mini"
SPARE_PROVIDERS = 250
HELD_STATES = ("leased", "connecting")


class Gateway:
    """A running gateway, a key for it, and the command line that manages its keys."""

    def __init__(self, process: GatewayProcess, provider: Simulator, *, config: Path) -> None:
        self.process = process
        self.provider = provider
        self.base_url = process.base_url
        self._config = config
        self._sockets_at_start = process.open_sockets()
        self.key = self.create_key("test")["key"]
        self._spares = iter(range(SPARE_PROVIDERS))

    def untouched_model(self) -> str:
        """A model at a provider that no test has seen fail: what fails is remembered by the gateway."""
        return f"spare{next(self._spares)}/{SPARE_MODEL}"

    @property
    def root_url(self) -> str:
        """The base URL without `/v1`."""
        return self.base_url.removesuffix("/v1")

    def create_key(self, name: str) -> dict[str, Any]:
        """Create a key; it works at once, or as soon as the gateway has heard of it."""
        created: dict[str, Any] = msgspec.json.decode(
            self.command("keys", "create", "--name", name)
        )
        wait_until("the new key works", lambda: self.status_of("/v1/models", created["key"]) == 200)
        return created

    def command(self, *arguments: str) -> str:
        """Run a `syze` command against the gateway's own configuration, with `--json`."""
        named = [*arguments, "--config", str(self._config), "--json"]
        return run_syze(named, environ_of(self._config.parent))

    def status_of(self, path: str, key: str) -> int:
        """The status of a GET with this key."""
        connection = self._connection()
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
            return connection.getresponse().status

    def metrics(self) -> dict[str, float]:
        """The samples of a scrape, by name and labels as they are written."""
        connection = self._connection()
        with contextlib.closing(connection):
            connection.request("GET", "/metrics", headers={"Connection": "close"})
            text = connection.getresponse().read().decode()
        samples = re.findall(r"^(\w+(?:\{.*\})?) (\S+)$", text, re.MULTILINE)
        return {name: float(value) for name, value in samples}

    def _connection(self) -> http.client.HTTPConnection:
        if self.base_url.startswith("https:"):
            trusting = ssl.create_default_context(cafile=TLS / "ca.pem")
            return http.client.HTTPSConnection(
                "127.0.0.1", self.process.port, timeout=20, context=trusting
            )
        return http.client.HTTPConnection("127.0.0.1", self.process.port, timeout=20)

    def leak_check(self) -> None:
        """Nothing in flight, no upstream connection in use, no exchange open at the provider."""
        wait_until("nothing is left of the requests", self._is_quiet)

    def connections(self) -> int:
        """How many connections it holds to clients, or to providers beyond the idle ones it keeps.

        They are counted as the sockets that it has opened since its start.
        """
        idle = self.metrics()['syze_upstream_connections{state="idle"}']
        return self.process.open_sockets() - self._sockets_at_start - int(idle)

    def come_to_rest(self) -> None:
        """Wait until no connection is left, neither of this test nor of an earlier one."""
        wait_until("every connection is closed", lambda: self.connections() == 0)

    def _is_quiet(self) -> bool:
        found = self.metrics()
        held = sum(found[f'syze_upstream_connections{{state="{state}"}}'] for state in HELD_STATES)
        busy = found["syze_requests_in_flight"] + held + found["syze_upstream_waiting"]
        return busy == 0 and self.provider.open_exchanges == 0


@contextmanager
def running_gateway(
    folder: Path, provider: Simulator, port: int, server: Mapping[str, Any] | None = None
) -> Iterator[Gateway]:
    """Run a gateway over the provider at `port`, with these values in its `[server]` table."""
    with refusing_port() as refusing:
        config = folder / "syze.toml"
        settings = {"bind": ["127.0.0.1:0"], **(server or {})}
        config.write_text(_toml(settings, port=port, refusing=refusing))
        arguments = ["serve", "--config", str(config)]
        with GatewayProcess(arguments, folder=folder, environ=environ_of(folder)) as process:
            yield Gateway(process, provider, config=config)


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port of the loopback interface that refuses connections, and that nobody else can take."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def environ_of(folder: Path) -> dict[str, str]:
    """An environment that holds nothing of the developer's own.

    But the tree under test is the one that runs the tests, and the whole suite can be run on either way
    of speaking HTTP/1.1.
    """
    carried = {name: os.environ[name] for name in CARRIED if name in os.environ}
    own = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "UPSTREAM_KEY": UPSTREAM_KEY}
    return own | carried


def _toml(server: Mapping[str, Any], *, port: int, refusing: int) -> str:
    # JSON's strings, numbers and lists of them are TOML's too.
    settings = "\n".join(
        f"{name} = {msgspec.json.encode(server[name]).decode()}" for name in server
    )
    return f"""
[server]
{settings}

[store]
path = "keys.db"

[log]
format = "json"

[limits]
folder = "counts"

[providers.openai]
base_url = "http://127.0.0.1:{port}/openai/v1"
key = "env:UPSTREAM_KEY"
discover = false

[providers.anthropic]
dialect = "openai"
base_url = "http://127.0.0.1:{port}/anthropic/v1"
key = "env:UPSTREAM_KEY"
discover = false

[providers.unreachable]
base_url = "http://127.0.0.1:{refusing}/v1"
models = ["anything"]

[providers.impatient]
base_url = "http://127.0.0.1:{port}/v1"
key = "env:UPSTREAM_KEY"
models = ["anything"]

[providers.impatient.timeouts]
first_byte = 0.2
""" + "".join(
        f"""
[providers.spare{number}]
base_url = "http://127.0.0.1:{port}/spare{number}/v1"
key = "env:UPSTREAM_KEY"
models = ["{SPARE_MODEL}"]
discover = false
"""
        for number in range(SPARE_PROVIDERS)
    )
