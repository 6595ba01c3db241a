"""Providers that cannot even be connected to, each in another way, and one healthy provider behind them.

A gateway process meets a name without an address, a certificate of an authority that it may not know, one
that is for another name, and a server that answers a TLS hello in plain text. Whether it trusts the tests'
own authority is told to it as an operator would, by `SSL_CERT_FILE`.

The name is longer than DNS allows, so every resolver refuses it without asking anybody: the test needs no
network, and no slow name server can make it another one. `127.1` is an old way to write 127.0.0.1, which
stands in no certificate.
"""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import openai
import pytest
import trio

from router.simulator import Profile, Simulator
from tests.e2e.gateway import UPSTREAM_KEY, Gateway, environ_of
from tests.e2e.process import GatewayProcess
from tests.e2e.provider import serving
from tests.e2e.sdk import Failure, PythonSdk, failure_of

TLS = Path(__file__).parent.parent / "fixtures" / "tls"
NO_SUCH_HOST = "no." * 100 + "invalid"
HEALTHY = "healthy"
UPSTREAM_MODEL = "m"
MESSAGES: Any = [{"role": "user", "content": "Who is there?"}]


class Door(Simulator):
    """A provider, over TLS or not, that counts who knocks; not everybody comes in."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(Profile(tokens=3), required_keys=[UPSTREAM_KEY])
        self.knocks = 0
        self._context = context

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Shake hands if that is the custom here, and serve whoever stays."""
        self.knocks += 1
        if self._context is None:
            await super().serve_stream(stream)
            return
        tls = trio.SSLStream(stream, self._context, server_side=True, https_compatible=True)
        try:
            await tls.do_handshake()
        except trio.BrokenResourceError:
            await trio.aclose_forcefully(stream)
        else:
            await super().serve_stream(tls)


class Answered(NamedTuple):
    """Who answered a call, and after how many attempts."""

    provider: str
    attempts: int


class Doors:
    """A gateway, and what stands before it."""

    def __init__(self, gateway: Gateway, client: openai.OpenAI, *, tls: Door, plain: Door) -> None:
        self.gateway = gateway
        self._client = client
        self._tls = tls
        self._plain = plain

    def ask(self, door: str) -> Answered:
        """Make a call for which the healthy provider stands behind the door."""
        raw = self._client.chat.completions.with_raw_response.create(
            model=f"door-{door}", messages=MESSAGES
        )
        headers = raw.headers
        return Answered(headers["x-syze-provider"], int(headers["x-syze-attempts"]))

    def failure(self, door: str) -> Failure:
        """Make a call for which there is nobody else, and return its error."""
        with pytest.raises(openai.APIError) as raised:
            self._client.chat.completions.create(
                model=f"{door}/{UPSTREAM_MODEL}", messages=MESSAGES
            )
        return failure_of(raised.value)

    def knocks(self) -> int:
        """How many connections have come to any of the doors; a name without address has none."""
        return self._tls.knocks + self._plain.knocks


@contextmanager
def closed_doors(folder: Path, environ: Mapping[str, str]) -> Iterator[Doors]:
    """Run the gateway with these additions to its environment."""
    tls, plain, healthy = Door(_server_context()), Door(), Door()
    with serving(tls) as tls_port, serving(plain) as plain_port, serving(healthy) as healthy_port:
        addresses = {
            "no-such-name": f"https://{NO_SUCH_HOST}:{tls_port}",
            "private-authority": f"https://127.0.0.1:{tls_port}",
            "another-name": f"https://127.1:{tls_port}",
            "plain-text": f"https://127.0.0.1:{plain_port}",
            HEALTHY: f"http://127.0.0.1:{healthy_port}",
        }
        config = folder / "syze.toml"
        config.write_text(_START + "".join(map(_provider, addresses, addresses.values())))
        arguments = ["serve", "--config", str(config)]
        everything = {**environ_of(folder), **environ}
        with GatewayProcess(arguments, folder=folder, environ=everything) as process:
            gateway = Gateway(process, healthy, config=config)
            with PythonSdk(gateway.base_url, gateway.key).client() as client:
                yield Doors(gateway, client, tls=tls, plain=plain)


def _server_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "server.pem", TLS / "server-key.pem")
    return context


_START = """
[server]
bind = ["127.0.0.1:0"]

[store]
path = "keys.db"

[log]
format = "json"

[limits]
folder = "counts"
"""


def _provider(name: str, address: str) -> str:
    return f"""
[providers.{name}]
base_url = "{address}/v1"
key = "env:UPSTREAM_KEY"
models = ["{UPSTREAM_MODEL}"]
discover = false

[models."door-{name}"]
target = "{name}/{UPSTREAM_MODEL}"
fallbacks = ["{HEALTHY}/{UPSTREAM_MODEL}"]
"""
