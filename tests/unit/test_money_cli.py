"""`syze credit`, `syze usage` and `syze ledger` as an operator and his scripts use them."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from router.accounts.account_store import AccountStore
from router.accounts.database import open_database
from router.accounts.schema import metadata
from router.cli import main
from router.ledger.cost import Tokens
from router.ledger.store import SettlementStore
from tests.ledger_world import batch, settlement

DAY = "2025-10-09"  # that of 1_760_000_000, in UTC


class Command:
    """The command with a store of its own, and a prepaid account named northwind in it."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "syze.db"
        self._config = folder / "syze.toml"
        self._config.write_text('[store]\npath = "syze.db"\n')
        with open_database(self.store) as database:
            self.account = AccountStore(database).create("northwind", prepaid=True).id

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--config", str(self._config)])

    def json(self, *arguments: str) -> Any:
        result = self.run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def lines(self, *arguments: str) -> list[list[str]]:
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return [line.split("\t") for line in result.stdout.splitlines()]

    def refused(self, *arguments: str, code: int = 1) -> str:
        """What is said on standard error: one line, unless the command line itself was wrong."""
        result = self.run(*arguments)
        assert (result.exit_code, result.stdout) == (code, ""), result.output
        assert code == 2 or result.stderr.count("\n") == 1
        return result.stderr

    def book(self, *fields: dict[str, Any]) -> None:
        """Book a settlement of northwind's for each set of fields."""
        settled = [settlement(**{"account_id": self.account} | one) for one in fields]
        with open_database(self.store) as database:
            SettlementStore(database).apply(batch(*settled))


@pytest.fixture
def syze(tmp_path: Path) -> Command:
    return Command(tmp_path)


# Credit


def test_credit_is_added_and_shown(syze: Command) -> None:
    said = syze.run("credit", "add", "northwind", "12.50", "--reference", "invoice 7")
    assert (said.exit_code, said.stdout) == (0, "")
    assert said.stderr == f"Entry 1: $12.50 to {syze.account}. {syze.account} has $12.50 now.\n"
    assert syze.json("credit", "show", syze.account) == {
        "account_id": syze.account,
        "account": "northwind",
        "prepaid": True,
        "balance_usd": "12.50",
    }
    assert syze.lines("credit", "show", "northwind")[3] == ["balance_usd", "12.50"]
    [entry] = syze.json("ledger", "show", "northwind")
    assert (entry["kind"], entry["reference"], entry["amount_usd"]) == (
        "top_up",
        "invoice 7",
        "12.50",
    )


def test_credit_with_a_key_is_added_once(syze: Command) -> None:
    first = syze.json("credit", "add", "northwind", "5", "--key", "invoice-7")
    assert syze.json("credit", "add", "northwind", "5", "--key", "invoice-7") == first
    assert "other figures" in syze.refused("credit", "add", "northwind", "6", "--key", "invoice-7")
    assert syze.json("credit", "show", "northwind")["balance_usd"] == "5.00"


def test_without_a_key_every_payment_counts(syze: Command) -> None:
    for _ in range(2):
        syze.json("credit", "add", "northwind", "0.000000001")
    assert syze.json("credit", "show", "northwind")["balance_usd"] == "0.000000002"


@pytest.mark.parametrize("amount", ["0", "-1", "nan", "1000001", "none", "0.0000000001", "$5"])
def test_an_amount_that_cannot_be_booked_is_exit_code_2(syze: Command, amount: str) -> None:
    for command in (["credit", "add", "northwind"], ["credit", "codes", "create"]):
        syze.refused(*command, "--", amount, code=2)
    assert syze.json("credit", "show", "northwind")["balance_usd"] == "0.00"


def test_an_unknown_account_is_told_with_the_nearest(syze: Command) -> None:
    near = "did you mean 'northwind'"
    for command in (["credit", "add", "nortwind", "1"], ["credit", "show", "nortwind"]):
        assert near in syze.refused(*command)
    assert near in syze.refused("usage", "--account", "nortwind")
    assert near in syze.refused("ledger", "show", "nortwind")


def test_a_closed_account_takes_no_credit(syze: Command) -> None:
    code = syze.json("credit", "codes", "create", "1")["code"]
    syze.run("accounts", "close", "northwind")
    assert "closed" in syze.refused("credit", "add", syze.account, "1")
    assert "closed" in syze.refused("credit", "redeem", code, syze.account)


# Codes


def test_a_code_is_made_listed_and_redeemed_once(syze: Command) -> None:
    made = syze.json("credit", "codes", "create", "20", "--expires", "2100-01-31")
    code = made.pop("code")
    assert (made["amount_usd"], made["expires_at"]) == ("20.00", "2100-01-31T00:00:00Z")
    assert syze.json("credit", "codes", "list") == [made]
    entry = syze.json("credit", "redeem", code.lower(), "northwind")
    assert (entry["amount_usd"], entry["reference"]) == ("20.00", made["id"])
    assert "another account" in syze.refused("credit", "redeem", code, "default")
    assert syze.json("credit", "show", "northwind")["balance_usd"] == "20.00"
    [line] = syze.lines("credit", "codes", "list")
    assert line[:2] == [made["id"], "20.00"]
    assert line[3:5] == ["2100-01-31T00:00:00+00:00", syze.account]
    assert code not in syze.run("credit", "codes", "list").stdout


def test_a_code_can_be_piped_from_its_making(syze: Command) -> None:
    made = syze.run("credit", "codes", "create", "3")
    assert "cannot be shown again" in made.stderr
    syze.json("credit", "redeem", made.stdout.strip(), "northwind")
    assert "no such code" in syze.refused("credit", "redeem", "AAAAA-BBBBB", "northwind")
    syze.refused("credit", "codes", "create", "1", "--expires", "2001-01-01", code=2)


# Usage


def test_usage_is_divided_as_asked(syze: Command) -> None:
    syze.json("credit", "add", "northwind", "1")
    syze.book(
        {"model": "openai/gpt-4o", "charge_nanodollars": 2_000},
        {"model": "openai/gpt-4o", "key_id": "key_2", "charge_nanodollars": 500},
        {"model": "x/y", "outcome": "upstream_failed", "charge_nanodollars": 0, "estimated": True},
    )
    first, second = syze.lines("usage")
    assert first[:3] == [DAY, "openai/gpt-4o", "2"]
    assert first[5:] == ["20", "8", "0", "12", "2", "0.0000025", "0.0000025", "0.5", "0.25"]
    assert second[:5] == [DAY, "x/y", "1", "1", "1"]
    assert [line[:2] for line in syze.lines("usage", "--by", "key,day")] == [
        ["key_1", DAY],
        ["key_2", DAY],
    ]
    [whole] = syze.json("usage", "--by", "")
    assert (whole["requests"], whole["cost_usd"]) == (3, "0.0000025")
    assert {"day", "account_id", "key_id", "model"}.isdisjoint(whole)


def test_usage_can_be_narrowed(syze: Command) -> None:
    syze.book({"model": "a/b"}, {"account_id": "acc_default", "at": 1_760_100_000.0})
    assert [line[1] for line in syze.lines("usage", "--account", "northwind")] == ["a/b"]
    assert [line[1] for line in syze.lines("usage", "--model", "a/b")] == ["a/b"]
    assert len(syze.lines("usage", "--since", "2025-10-10")) == 1
    assert len(syze.lines("usage", "--until", DAY)) == 1
    assert syze.lines("usage", "--since", "2025-10-11") == []


def test_a_key_may_be_named_or_revoked(syze: Command) -> None:
    key = syze.json("keys", "create", "--name", "laptop", "--account", "northwind")["id"]
    syze.book({"key_id": key}, {"key_id": "key_other"})
    assert syze.lines("usage", "--by", "key", "--key", "laptop")[0][:2] == [key, "1"]
    assert "did you mean 'laptop'" in syze.refused("usage", "--key", "labtop")
    syze.run("keys", "revoke", key)
    assert syze.lines("usage", "--by", "key", "--key", key)[0][:2] == [key, "1"]


@pytest.mark.parametrize(
    "wrong", [["--by", "dai"], ["--since", "2025-13-01"], ["--until", "yesterday"]], ids=" ".join
)
def test_a_report_that_cannot_be_is_exit_code_2(syze: Command, wrong: list[str]) -> None:
    said = syze.refused("usage", *wrong, code=2)
    assert wrong[0] in said
    assert wrong[0] != "--by" or "did you mean 'day'" in said


def test_the_operators_costs_are_in_a_report_of_their_own(syze: Command) -> None:
    syze.json("credit", "add", "northwind", "1")
    syze.book(
        {"model": "a/b", "charge_nanodollars": 1_000, "operator_nanodollars": 300},
        {"model": "c/d", "charge_nanodollars": 1_000},
    )
    assert syze.lines("usage", "--operator", "--by", "model") == [
        ["a/b", "1", "0.0000003", "0.000001"]
    ]
    report = syze.json("usage", "--operator", "--by", "model")
    assert report["books"]["operator:attempts"] == "-0.0000003"
    assert "0.0000003" not in syze.run("usage", "--json").stdout
    [entry] = syze.json("ledger", "show", "operator:attempts")
    assert (entry["kind"], entry["amount_usd"]) == ("operator_cost", "-0.0000003")


# Ledger


def test_the_books_are_shown_newest_first_a_page_at_a_time(syze: Command) -> None:
    for amount in ("1", "2", "3"):
        syze.json("credit", "add", "northwind", amount, "--key", amount)
    lines = syze.lines("ledger", "show", "northwind", "--limit", "2")
    assert [line[5] for line in lines] == ["3.00", "2.00"]
    assert lines[0][2:5] == ["top_up", syze.account, "operator:payments"]
    assert lines[0][7:] == ["-", "manual:3"]
    [oldest] = syze.json("ledger", "show", "northwind", "--before", lines[1][0])
    assert oldest["amount_usd"] == "1.00"


def test_verify_proves_the_books_and_fails_when_they_are_wrong(syze: Command) -> None:
    syze.json("credit", "add", "northwind", "1")
    syze.book({"tokens": Tokens(input=1), "charge_nanodollars": 7})
    proof = syze.json("ledger", "verify")
    assert (proof["sound"], proof["entries"], proof["wrong"]) == (True, 2, [])
    assert proof["charged_usd"] == proof["used_usd"] == "0.000000007"
    balances = metadata.tables["balances"]
    with open_database(syze.store) as database, database.writing() as connection:
        mine = balances.c.account == syze.account
        connection.execute(balances.update().where(mine).values(amount=5))
    result = syze.run("ledger", "verify")
    assert result.exit_code == 1
    assert result.stderr == "The books are not sound.\n"
    assert f"wrong\t{syze.account}\t0.000000005\t0.999999993" in result.stdout.splitlines()
