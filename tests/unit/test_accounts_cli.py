"""`syze keys`, `syze accounts` and `syze tiers` as an operator and his scripts use them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from router.accounts.store import KeyStore
from router.cli import main
from router.cli_values import nanodollars_of, usd_text


class Command:
    """The command with a store of its own, named by the configuration."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "syze.db"
        self._config = folder / "syze.toml"
        self._config.write_text('[store]\npath = "syze.db"\n')

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--config", str(self._config)])

    def json(self, *arguments: str) -> Any:
        result = self.run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        assert result.stderr == ""
        return json.loads(result.stdout)

    def refused(self, *arguments: str, code: int = 1) -> str:
        """What is said on standard error: one line, unless the command line itself was wrong."""
        result = self.run(*arguments)
        assert (result.exit_code, result.stdout) == (code, ""), result.output
        assert code == 2 or result.stderr.count("\n") == 1
        return result.stderr


@pytest.fixture
def syze(tmp_path: Path) -> Command:
    return Command(tmp_path)


# Keys


def test_a_key_is_created_with_all_its_terms(syze: Command) -> None:
    syze.run("accounts", "create", "customer")
    terms = "--rpm 60 --tpm 10000 --concurrency 4 --hedge off --budget 12.50 --expires 2100-01-31"
    scopes = "--scope inference --scope models --scope inference"
    key = syze.json("keys", "create", "--account", "customer", *terms.split(), *scopes.split())
    assert key.pop("key").startswith("sk-syze-")
    assert key["account"] == "customer"
    assert key["account_id"].startswith("acc_")
    expected = {
        "requests_per_minute": 60,
        "tokens_per_minute": 10000,
        "concurrency": 4,
        "hedge": False,
        "budget_usd": "12.50",
        "expires_at": "2100-01-31T00:00:00+00:00",
        "scopes": ["inference", "models"],
    }
    assert {name: key[name] for name in expected} == expected
    assert syze.json("keys", "list") == [key]


def test_a_key_without_terms_belongs_to_the_default_account_and_has_none(syze: Command) -> None:
    key = syze.json("keys", "create")
    assert (key["account"], key["account_id"]) == ("default", "acc_default")
    terms = ("requests_per_minute", "tokens_per_minute", "concurrency", "hedge", "budget_usd")
    assert {key[name] for name in (*terms, "expires_at", "scopes")} == {None}


def test_keys_are_listed_with_the_old_columns_first(syze: Command) -> None:
    key = syze.json("keys", "create", "--tpm", "5", "--scope", "usage", "--hedge", "on")
    syze.run("keys", "create", "--name", "plain")
    first, second = syze.run("keys", "list").stdout.splitlines()
    assert first.split("\t") == [
        *(key["id"], "default", key["hint"], key["created_at"], "-"),
        *("default", "-", "5", "-", "yes", "-", "-", "usage"),
    ]
    assert second.split("\t")[5:] == ["default", *"-------"]


def test_a_keys_terms_are_set_one_by_one_and_taken_away_by_none(syze: Command) -> None:
    before = syze.json("keys", "create", "--tpm", "5", "--rpm", "6", "--hedge", "on")
    before.pop("key")
    changed = syze.json("keys", "set", "default", "--tpm", "none", "--budget", "0")
    assert changed == before | {"tokens_per_minute": None, "budget_usd": "0.00"}
    changed = syze.json("keys", "set", before["id"], "--hedge", "none", "--scope", "usage")
    assert (changed["hedge"], changed["scopes"]) == (None, ["usage"])
    changed = syze.json(
        *("keys", "set", before["hint"], "--scope", "all", "--budget", "none", "--name", "new")
    )
    assert (changed["scopes"], changed["budget_usd"], changed["name"]) == (None, None, "new")
    assert syze.json("keys", "list") == [changed]
    said = syze.run("keys", "set", "new", "--expires", "none")
    assert (said.exit_code, said.stdout) == (0, "")
    assert said.stderr == f"Changed {before['id']} (new).\n"


def test_a_key_is_given_to_another_account(syze: Command) -> None:
    syze.run("accounts", "create", "customer")
    syze.run("keys", "create", "--name", "laptop")
    assert syze.json("keys", "set", "laptop", "--account", "customer")["account"] == "customer"
    shown = syze.json("accounts", "show", "customer")
    assert [key["name"] for key in shown["keys"]] == ["laptop"]


@pytest.mark.parametrize(
    ("written", "seconds"), [("90m", 5400), ("12h", 43_200), ("30d", 2_592_000), ("4w", 2_419_200)]
)
def test_a_duration_counts_from_now(syze: Command, written: str, seconds: int) -> None:
    before = datetime.now(UTC).timestamp()
    syze.run("keys", "create", "--expires", written)
    with KeyStore.open(syze.store) as store:
        [key] = store.list_keys()
    assert key.expires_at is not None
    assert before <= key.expires_at - seconds <= datetime.now(UTC).timestamp()


def test_a_moment_may_say_its_offset(syze: Command) -> None:
    key = syze.json("keys", "create", "--expires", "2100-01-31T12:00:00+02:00")
    assert key["expires_at"] == "2100-01-31T10:00:00+00:00"


@pytest.mark.parametrize(
    "terms",
    [
        ["--tpm", "0"],
        ["--tpm", "-1"],
        ["--rpm", "many"],
        ["--rpm", "1.5"],
        ["--concurrency", "9" * 20],
        ["--hedge", "maybe"],
        ["--budget", "-1"],
        ["--budget", "nan"],
        ["--budget", "inf"],
        ["--budget", "1e30"],
        ["--budget", "0.0000000001"],
        ["--budget", "$5"],
        ["--expires", "soon"],
        ["--expires", "30"],
        ["--scope", "everything"],
    ],
    ids=" ".join,
)
def test_terms_that_cannot_be_read_are_exit_code_2(syze: Command, terms: list[str]) -> None:
    for command in (["keys", "create"], ["keys", "set", "x"]):
        assert terms[0] in syze.refused(*command, *terms, code=2)


def test_what_cannot_be_done_is_told_in_one_line_with_the_nearest_name(syze: Command) -> None:
    syze.run("accounts", "create", "northwind")
    syze.run("keys", "create", "--name", "laptop")
    near = "did you mean 'northwind'"
    assert near in syze.refused("keys", "create", "--account", "northwnd")
    assert near in syze.refused("accounts", "show", "Northwind")
    assert "did you mean 'laptop'" in syze.refused("keys", "set", "labtop", "--tpm", "1")
    assert "did you mean 'default'" in syze.refused("accounts", "create", "x", "--tier", "defalt")
    assert "in the past" in syze.refused("keys", "create", "--expires", "2001-01-01")
    assert "already" in syze.refused("accounts", "create", "northwind")
    assert "2 accounts" in syze.refused("tiers", "delete", "default")


@pytest.mark.parametrize(
    "command", [["keys", "set", "x"], ["accounts", "set", "default"], ["tiers", "set", "default"]]
)
def test_a_change_of_nothing_is_exit_code_2(syze: Command, command: list[str]) -> None:
    syze.run("keys", "create", "--name", "x")
    assert "Say what to change" in syze.refused(*command, code=2)


# Accounts


def test_accounts_are_opened_listed_changed_and_closed(syze: Command) -> None:
    syze.run("tiers", "create", "pro")
    opened = syze.run("accounts", "create", "customer", "--tier", "pro", "--prepaid", "--tpm", "9")
    identity = opened.stdout.strip()
    assert opened.stderr == f"Opened {identity} (customer).\n"
    [default, customer] = [
        line.split("\t") for line in syze.run("accounts", "list").stdout.splitlines()
    ]
    assert default[:7] == ["acc_default", "default", "default", "no", "-", "-", "-"]
    assert customer[:7] == [identity, "customer", "pro", "yes", "-", "9", "-"]
    assert customer[8] == "-"
    changed = syze.json("accounts", "set", "customer", "--no-prepaid", "--tpm", "none")
    assert (changed["prepaid"], changed["tokens_per_minute"], changed["tier"]) == (
        False,
        None,
        "pro",
    )
    changed = syze.json("accounts", "set", identity, "--name", "client", "--rpm", "7")
    assert (changed["name"], changed["requests_per_minute"]) == ("client", 7)
    assert syze.json("accounts", "close", "client")["closed_at"] is not None
    assert [account["name"] for account in syze.json("accounts", "list")] == ["default"]
    assert [a["id"] for a in syze.json("accounts", "list", "--all")] == ["acc_default", identity]
    assert "owns all keys" in syze.refused("accounts", "close", "default")


def test_an_account_is_shown_with_its_keys(syze: Command) -> None:
    key = syze.json("keys", "create", "--name", "laptop")
    syze.run("accounts", "create", "customer")
    syze.run("keys", "create", "--account", "customer")
    lines = syze.run("accounts", "show", "default").stdout.splitlines()
    assert lines[:4] == ["id\tacc_default", "name\tdefault", "tier\tdefault", "prepaid\tno"]
    assert lines[-1] == f"key\t{key['id']}\tlaptop\t{key['hint']}"
    assert sum(line.startswith("key\t") for line in lines) == 1


# Tiers


def test_tiers_are_created_listed_changed_and_deleted(syze: Command) -> None:
    made = syze.json(
        "tiers", "create", "pro", "--models", "openai/*", "--models", "x/y", "--rpm", "5"
    )
    assert made == {
        "name": "pro",
        "models": ["openai/*", "x/y"],
        "requests_per_minute": 5,
        "tokens_per_minute": None,
        "concurrency": None,
    }
    lines = syze.run("tiers", "list").stdout.splitlines()
    assert lines == ["default\t*\t-\t-\t-", "pro\topenai/*,x/y\t5\t-\t-"]
    changed = syze.json("tiers", "set", "pro", "--tpm", "9", "--rpm", "none")
    assert (changed["models"], changed["tokens_per_minute"]) == (["openai/*", "x/y"], 9)
    assert syze.json("tiers", "set", "pro", "--models", "a/*")["models"] == ["a/*"]
    assert syze.run("tiers", "delete", "pro").stderr == "Deleted the tier pro.\n"
    assert [tier["name"] for tier in syze.json("tiers", "list")] == ["default"]
    assert "has 1 account" in syze.refused("tiers", "delete", "default")


# Money


@pytest.mark.parametrize(
    ("written", "nanodollars", "shown"),
    [
        ("12.50", 12_500_000_000, "12.50"),
        ("0", 0, "0.00"),
        ("0.000000001", 1, "0.000000001"),
        ("1e-3", 1_000_000, "0.001"),
        ("4611686018", 4_611_686_018_000_000_000, "4611686018.00"),
        ("1.10", 1_100_000_000, "1.10"),
    ],
)
def test_dollars_are_read_and_shown_to_the_last_nano(
    written: str, nanodollars: int, shown: str
) -> None:
    assert nanodollars_of(written) == nanodollars
    assert usd_text(nanodollars) == shown
    assert nanodollars_of(usd_text(nanodollars)) == nanodollars
    assert usd_text(-1) == "-0.000000001"
