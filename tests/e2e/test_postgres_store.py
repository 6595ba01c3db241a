"""A gateway whose accounts and keys are in PostgreSQL, as an operator runs it, with the server going away."""

import http.client
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.e2e.gateway import refusing_port
from tests.e2e.postgres_server import PASSWORD, PostgresServer
from tests.e2e.process import GatewayProcess, run_syze, wait_until


@pytest.fixture
def server(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    yield postgres_server
    if not postgres_server.running:
        postgres_server.start()


def test_a_gateway_lives_on_a_database_that_comes_and_goes(
    server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    config = tmp_path / "syze.toml"
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "DATABASE_URL": postgres_url}

    def syze(*arguments: str) -> Any:
        named = [*arguments, "--config", str(config), "--json"]
        return msgspec.json.decode(run_syze(named, environ))

    with refusing_port() as port:
        config.write_text(f"""
[server]
bind = ["127.0.0.1:0"]
[store]
url = "env:DATABASE_URL"
[limits]
folder = "counts"
[providers.absent]
base_url = "http://127.0.0.1:{port}/v1"
models = ["a"]
""")
        key = syze("keys", "create")["key"]
        arguments = ["serve", "--config", str(config)]
        with GatewayProcess(arguments, folder=tmp_path, environ=environ) as gateway:
            assert status_of(gateway, key) == 200
            server.stop()
            wait_until("the loss is told", lambda: "StoreAway" in gateway.errors)
            assert status_of(gateway, key) == 200
            server.start()
            account = syze("accounts", "create", "customer")
            other = syze("keys", "create", "--account", account["id"])["key"]
            wait_until("a new key works", lambda: status_of(gateway, other) == 200)
            syze("accounts", "close", "customer")
            wait_until("a closed account's does not", lambda: status_of(gateway, other) == 401)
            assert status_of(gateway, key) == 200
        assert PASSWORD not in gateway.errors + gateway.printed


def status_of(gateway: GatewayProcess, key: str) -> int:
    """The status of a listing of the models with this key."""
    with closing(http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)) as connection:
        connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {key}"})
        return connection.getresponse().status
