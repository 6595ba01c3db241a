"""The stand: a simulated provider and a gateway as real processes, on loopback, and their orderly end.

The gateway is started as an operator would, by its own command with a configuration file, a
store and a key of its own in a temporary folder. Both are ended by their own pid: asked with
SIGTERM, and killed if they have not left by a deadline.

All of this is synchronous, because it happens before and after the load, never during it.
"""

import http.client
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from bench.cores import Layout, running_on
from bench.measure import Probe, process_tree
from bench.work import MODEL, Target

START_SECONDS: Final = 30.0
END_SECONDS: Final = 20.0
MAX_CONNECTIONS: Final = 10_000
LOOPBACK: Final = "127.0.0.1"
_PROVIDER: Final = "sim"
T = TypeVar("T")


class StandFailed(Exception):
    """A process did not start, or did not serve."""


class Service:
    """One process and its log. `exit_code` is None until `end` has been called."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name = name
        self.exit_code: int | None = None
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def lines(self) -> list[str]:
        """What it has written so far."""
        return self._log.read_text(encoding="utf-8", errors="replace").splitlines()

    def wait_until(self, check: Callable[[], T | None]) -> T:
        """Ask `check` until it gives something. Raises StandFailed when the process ends or time is up."""
        deadline = time.monotonic() + START_SECONDS
        while (found := check()) is None:
            if self._process.poll() is not None:
                raise self._failed(f"ended with status {self._process.returncode}")
            if time.monotonic() > deadline:
                raise self._failed(f"was not ready after {START_SECONDS:g} s")
            time.sleep(0.05)
        return found

    def end(self) -> None:
        """Ask it to end, and kill it if it does not within `END_SECONDS`."""
        self._process.terminate()
        try:
            self.exit_code = self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self.exit_code = self._process.wait()

    def _failed(self, what: str) -> StandFailed:
        return StandFailed("\n".join([f"the {self.name} {what}; it wrote:", *self.lines()[-20:]]))


class Stand(msgspec.Struct, frozen=True):
    """What runs, and how to ask it: `through` asks the gateway, `direct` the provider itself."""

    provider: Service
    gateway: Service
    through: Target
    direct: Target


@contextmanager
def stand(layout: Layout) -> Iterator[Stand]:
    """Run a provider and a gateway in front of it. Raises StandFailed if one does not come up."""
    with tempfile.TemporaryDirectory(prefix="syze-bench-") as name:
        folder = Path(name)
        with running_on(layout.load):
            provider = Service("provider", _provider_command(), folder / "provider.log")
        with ending(provider):
            direct = provider.wait_until(lambda: _announced(provider.lines()))
            port = free_port()
            config = folder / "syze.toml"
            config.write_text(gateway_config(direct, port), encoding="utf-8")
            key = _create_key(config)
            with running_on(layout.gateway):
                gateway = Service("gateway", _serve_command(config), folder / "gateway.log")
            with ending(gateway):
                gateway.wait_until(lambda: _answers(port))
                through = Target(LOOPBACK, port, "/v1", key, f"{_PROVIDER}/{MODEL}")
                yield Stand(provider, gateway, through, direct)


def probe_of(standing: Stand) -> Probe:
    """Measure the gateway, the provider and this process, under these names (`load` is this one)."""
    return Probe(
        {
            "gateway": process_tree(standing.gateway.pid),
            "provider": process_tree(standing.provider.pid),
            "load": [os.getpid()],
        }
    )


@contextmanager
def ending(service: Service) -> Iterator[None]:
    """End the service on the way out."""
    try:
        yield
    finally:
        service.end()


def raise_file_limit(needed: int) -> None:
    """Let this process, and those it starts, open `needed` files. Raises StandFailed if that is forbidden."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise StandFailed(f"{needed} open files are needed and the system allows {hard}")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def free_port() -> int:
    """Return a TCP port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def gateway_config(provider: Target, port: int) -> str:
    """Write the gateway's configuration: defaults, but for what a stand needs."""
    return (
        "[server]\n"
        f'bind = ["{LOOPBACK}:{port}"]\n'
        "[store]\n"
        'path = "bench.db"\n'
        f"[providers.{_PROVIDER}]\n"
        'dialect = "openai"\n'
        f'base_url = "http://{provider.host}:{provider.port}{provider.prefix}"\n'
        f'models = ["{MODEL}"]\n'
        f"max_connections = {MAX_CONNECTIONS}\n"
    )


def _provider_command() -> list[str]:
    return [sys.executable, "-m", "router.simulator", "--port", "0", "--model", MODEL]


def _serve_command(config: Path) -> list[str]:
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


def _announced(lines: Sequence[str]) -> Target | None:
    """Read the base URL from the line with which the provider says that it serves."""
    urls = [urlsplit(line) for line in lines if line.startswith("http://")]
    if not urls or urls[0].port is None:
        return None
    return Target(urls[0].hostname or LOOPBACK, urls[0].port, urls[0].path, "unused", MODEL)


def _answers(port: int) -> bool | None:
    """Say True once the gateway is ready for clients."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=1.0)
    try:
        connection.request("GET", "/readyz")
        return True if connection.getresponse().status == 200 else None
    except OSError:
        return None
    finally:
        connection.close()
