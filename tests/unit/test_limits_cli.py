"""`syze limits show`: what a key used and has left, read from the table of a gateway that runs."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from limiter.demand import Demand, Limits
from limiter.local import LocalLimiter
from limiter.local_reservation import LocalReservation
from limiter.table import Table
from router.cli import main

CONFIG = """
[store]
path = "syze.db"

[limits]
folder = "counts"
concurrency = 9

[limits.models."openai/gpt-4o"]
tokens_per_minute = 5000

[limits.models."anthropic/claude-opus-4-7"]
requests_per_minute = 7
"""


class Gateway:
    """The counts that a running gateway would keep, and the command line beside it."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "syze.toml"
        self.config.write_text(CONFIG)
        self.counts = folder / "counts"

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--config", str(self.config)])

    def json(self, *arguments: str) -> Any:
        result = self.run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path)


@pytest.fixture
def table(gateway: Gateway) -> Iterator[Table]:
    with Table.open(gateway.counts) as opened:
        yield opened


def take(table: Table, subject: str, *, tokens: int) -> LocalReservation:
    demand = Demand(subject=subject, limits=Limits())
    taken = LocalLimiter(table).reserve([demand], tokens=tokens, now=time.monotonic())
    assert isinstance(taken, LocalReservation)
    return taken


def test_a_key_is_shown_with_what_it_used_and_has_left(gateway: Gateway, table: Table) -> None:
    key = gateway.json("keys", "create", "--tpm", "1000")
    subject = f"key:{key['id']}"
    take(table, subject, tokens=300).settle(tokens=100, now=time.monotonic())
    take(table, subject, tokens=250)
    requests, tokens, concurrency, *models = gateway.json("limits", "show", key["id"])
    assert 50 < requests.pop("reset_seconds") <= 61
    assert 50 < tokens.pop("reset_seconds") <= 61
    assert requests == {
        "subject": subject,
        "kind": "requests",
        "limit": None,
        "used": 2,
        "left": None,
    }
    assert tokens == {
        "subject": subject,
        "kind": "tokens",
        "limit": 1000,
        "used": 350,
        "left": 650,
    }
    assert concurrency == {
        "subject": subject,
        "kind": "concurrency",
        "limit": 9,
        "used": 1,
        "left": 8,
        "reset_seconds": None,
    }
    assert [model["subject"] for model in models] == [
        "model:anthropic/claude-opus-4-7",
        "model:openai/gpt-4o",
    ]


def test_a_key_is_found_by_all_its_names(gateway: Gateway, table: Table) -> None:
    key = gateway.json("keys", "create", "--name", "search")
    take(table, f"key:{key['id']}", tokens=1)
    expected = gateway.json("limits", "show", key["id"])
    for selector in (key["name"], key["hint"], key["key"]):
        shown = gateway.json("limits", "show", selector)
        assert [use["subject"] for use in shown] == [use["subject"] for use in expected]
        assert shown[0]["used"] == 1
        assert key["key"] not in json.dumps(shown)


def test_the_account_and_the_models_are_shown_where_they_have_limits(
    gateway: Gateway, table: Table
) -> None:
    gateway.run("tiers", "create", "small", "--models", "openai/*")
    gateway.run("accounts", "create", "customer", "--tier", "small", "--rpm", "30")
    key = gateway.json("keys", "create", "--account", "customer")
    take(table, f"account:{key['account_id']}", tokens=10)
    take(table, "model:openai/gpt-4o", tokens=6000)
    shown = gateway.json("limits", "show", key["id"])[3:]
    told = [(use["subject"], use["kind"], use["used"], use["left"]) for use in shown]
    assert told == [
        (f"account:{key['account_id']}", "requests", 1, 29),
        ("model:openai/gpt-4o", "tokens", 6000, 0),
    ]


def test_people_get_lines_separated_by_tabs(gateway: Gateway, table: Table) -> None:
    key = gateway.json("keys", "create", "--rpm", "5")
    result = gateway.run("limits", "show", key["id"])
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:3] == [
        f"key:{key['id']}\trequests\t5\t0\t5\t0.0",
        f"key:{key['id']}\ttokens\t-\t0\t-\t0.0",
        f"key:{key['id']}\tconcurrency\t9\t0\t9\t-",
    ]


def test_looking_takes_no_part_in_the_table(gateway: Gateway, table: Table) -> None:
    key = gateway.json("keys", "create")
    before = sorted((path.name, path.read_bytes()) for path in gateway.counts.iterdir())
    assert gateway.json("limits", "show", key["id"])
    assert sorted((path.name, path.read_bytes()) for path in gateway.counts.iterdir()) == before


def test_use_outlasts_a_gateway_that_stopped(gateway: Gateway) -> None:
    key = gateway.json("keys", "create")
    with Table.open(gateway.counts) as table:
        take(table, f"key:{key['id']}", tokens=10)
    requests, tokens, concurrency = gateway.json("limits", "show", key["id"])[:3]
    assert (requests["used"], tokens["used"], concurrency["used"]) == (1, 10, 0)


def test_where_no_gateway_has_run_that_is_said(gateway: Gateway) -> None:
    key = gateway.json("keys", "create")
    result = gateway.run("limits", "show", key["id"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no gateway has run" in result.stderr
    assert not gateway.counts.exists()


def test_a_damaged_table_is_told_in_one_line(gateway: Gateway) -> None:
    key = gateway.json("keys", "create")
    gateway.counts.mkdir()
    (gateway.counts / "roster").write_bytes(b"nonsense")
    result = gateway.run("limits", "show", key["id"])
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "roster" in result.stderr


def test_an_unknown_key_is_told_with_the_nearest(gateway: Gateway, table: Table) -> None:
    gateway.json("keys", "create", "--name", "search")
    result = gateway.run("limits", "show", "serch")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "search" in result.stderr


def test_a_key_of_a_closed_account_has_nothing_to_show(gateway: Gateway, table: Table) -> None:
    gateway.run("accounts", "create", "customer")
    key = gateway.json("keys", "create", "--account", "customer")
    gateway.run("accounts", "close", "customer")
    result = gateway.run("limits", "show", key["id"])
    assert result.exit_code == 1
    assert "closed" in result.stderr
