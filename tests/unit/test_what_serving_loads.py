"""What a process that serves carries about with it: what it has loaded lies in its memory for good."""

import subprocess
import sys
from pathlib import Path

import pytest

from router.accounts.database import open_database

# What is only for other commands, for features that are not on, or for a start that has something to migrate.
UNNEEDED = (
    "alembic",
    "botocore",
    "coredis",
    "genai_prices",
    "mako",
    "opentelemetry.sdk",
    "psycopg",
    "pygments",
    "router.cli_demo",
    "router.cli_money",
    "router.loadtest",
    "router.simulation",
    "router.simulator",
    "sqlalchemy.dialects.mssql",
    "sqlalchemy.dialects.postgresql",
)
_COMMAND = """
import sys
from router.cli import main

main.get_command(main.make_context("syze", [sys.argv[1]]), sys.argv[1])
print(*sys.modules)
"""
_SERVE = """
import sys
from router.cli import main
from router.accounts.database import open_database

main.get_command(main.make_context("syze", ["serve"]), "serve")
import router.app
open_database(sys.argv[1]).close()
print(*sys.modules)
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What serving with a store that was opened before has loaded."""
    store: Path = tmp_path_factory.mktemp("store") / "keys.db"
    open_database(store).close()
    return _loaded_by(_SERVE, str(store))


def _loaded_by(program: str, argument: str) -> set[str]:
    command = [sys.executable, "-c", program, argument]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


def test_serving_loads_the_gateway(loaded: set[str]) -> None:
    assert {"router.gateway", "router.front.server", "sqlalchemy.dialects.sqlite"} <= loaded


@pytest.mark.parametrize("name", UNNEEDED)
def test_serving_does_without(name: str, loaded: set[str]) -> None:
    assert name not in loaded


@pytest.mark.parametrize("command", ["serve", "keys"])
def test_who_does_not_serve_itself_does_without_the_gateway(command: str) -> None:
    loaded = _loaded_by(_COMMAND, command)
    assert f"router.cli_{command}" in loaded
    assert loaded.isdisjoint({"router.gateway", "router.front.app", "quart", "hypercorn"})
