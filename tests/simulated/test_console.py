"""The admin API, what owners of keys can see and do, and the webhooks of payment providers."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from router.accounts.errors import StoreAway
from router.console.console import DOCUMENT_PATH
from router.console.operations import ADMIN, EVERY
from router.ledger.store import SettlementStore
from tests.ledger_world import batch, settlement
from tests.simulated.console_world import (
    ADMIN_KEY,
    DOCUMENT,
    NOW,
    ConsoleWorld,
    admin_config,
    faults,
    in_real_time,
    open_console,
)
from tests.simulated.world import Client

ADMIN_PATH = "/admin/v1"
ACCOUNTS = f"{ADMIN_PATH}/accounts"


async def new_owner(console: ConsoleWorld, name: str = "northwind", **terms: Any) -> dict[str, Any]:
    """Open a prepaid account and make a key for it that works; return what was told of the key."""
    await console.done("POST", ACCOUNTS, {"name": name, "prepaid": True})
    key: dict[str, Any] = await console.done(
        "POST", f"{ADMIN_PATH}/keys", {"account": name, **terms}
    )
    console.know_keys()
    return key


# The door


def test_without_an_admin_key_there_is_no_admin_api(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_console(tmp_path, admin_config(key=None)) as console:
            for one in ADMIN:
                found = await console.refused(one.method, one.path, secret="")
                assert found[:2] == [404, "unknown_url"]
            assert (await console.ask("GET", DOCUMENT_PATH)).status == 404

    in_real_time(scenario)


@pytest.mark.parametrize("shown", [None, "", "wrong", ADMIN_KEY[:-1], ADMIN_KEY + "x", "api key"])
def test_no_operation_is_open_without_the_admin_key(tmp_path: Path, shown: str | None) -> None:
    async def scenario() -> None:
        async with open_console(tmp_path) as console:
            secret = console.world.secret if shown == "api key" else shown
            for one in ADMIN:
                found = await console.refused(one.method, one.path, secret=secret)
                assert found[:2] == [401, "invalid_admin_key"], one.path

    in_real_time(scenario)


def test_the_admin_key_opens_nothing_for_owners(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_console(tmp_path) as console:
            for path in ("/v1/usage", "/v1/models"):
                assert (await console.refused("GET", path))[1] == "invalid_api_key"

    in_real_time(scenario)


# The document


def test_every_route_is_in_the_document_and_the_document_is_served(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_console(tmp_path) as console:
            assert await console.done("GET", DOCUMENT_PATH, secret=None) == DOCUMENT
            served = {
                (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
                for rule in console.world.gateway.front.url_map.iter_rules()
                for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
                if rule.rule.startswith(("/admin/", "/v1/usage", "/v1/credit"))
            }
            told = {
                (method.upper(), path)
                for path, methods in DOCUMENT["paths"].items()
                for method in methods
            }
            assert served - {("GET", DOCUMENT_PATH)} == told
            assert len(told) == len(EVERY)

    in_real_time(scenario)


def test_the_document_has_no_loose_ends() -> None:
    text = msgspec.json.encode(DOCUMENT).decode()
    schemas = DOCUMENT["components"]["schemas"]
    for name in re.findall(r'"#/components/schemas/([^"]+)"', text):
        assert name in schemas
    operations = [one for methods in DOCUMENT["paths"].values() for one in methods.values()]
    ids = [one["operationId"] for one in operations]
    assert len(set(ids)) == len(ids)
    for path, methods in DOCUMENT["paths"].items():
        for one in methods.values():
            in_path = [p["name"] for p in one["parameters"] if p["in"] == "path"]
            assert in_path == re.findall(r"\{(\w+)\}", path)


def test_an_answer_that_is_not_as_described_is_found() -> None:
    schema = {"$ref": "#/components/schemas/Credit"}
    good = {"account_id": "a", "account": "b", "prepaid": True, "balance_usd": "1.00"}
    assert faults(schema, good) == []
    for wrong in (
        good | {"more": 1},
        good | {"prepaid": "yes"},
        good | {"balance_usd": "$1"},
        {"account": "b"},
    ):
        assert len(faults(schema, wrong)) > 0


# Accounts, tiers, keys


def test_a_customer_is_set_up_changed_and_closed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_console(tmp_path) as console:
            tier = {"name": "pro", "models": ["openai/*"], "tokens_per_minute": 5}
            assert (await console.done("POST", f"{ADMIN_PATH}/tiers", tier))["concurrency"] is None
            made = await console.done("POST", ACCOUNTS, {"name": "northwind", "tier": "pro"})
            assert await console.done("GET", f"{ACCOUNTS}/northwind") == made
            path = f"{ACCOUNTS}/{made['id']}"
            change = {"requests_per_minute": 9, "prepaid": True}
            changed = await console.done("PATCH", path, change)
            assert changed == made | change
            changed = await console.done("PATCH", path, {"requests_per_minute": None})
            assert changed == made | {"prepaid": True}
            tiers = f"{ADMIN_PATH}/tiers"
            assert (await console.refused("DELETE", f"{tiers}/pro"))[:2] == [409, "conflict"]
            await console.done(
                "PATCH", f"{tiers}/pro", {"models": ["*"], "tokens_per_minute": None}
            )
            assert (await console.done("POST", f"{path}/close"))["closed_at"] is not None
            assert (await console.refused("POST", f"{path}/close"))[0] == 409
            listed = await console.done("GET", ACCOUNTS)
            assert [one["name"] for one in listed["data"]] == ["default"]
            listed = await console.done("GET", f"{ACCOUNTS}?closed=true")
            assert len(listed["data"]) == 2
            found = await console.done("GET", tiers)
            assert [(one["name"], one["tokens_per_minute"]) for one in found["data"]] == [
                ("default", None),
                ("pro", None),
            ]

    in_real_time(scenario)


def test_a_key_is_shown_once_works_and_stops_working(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_console(tmp_path) as console:
            key = await new_owner(console, name="northwind", scopes=["models"], budget_usd="5")
            secret = key.pop("key")
            assert key["budget_usd"] == "5.00"
            assert (await console.ask("GET", "/v1/models", secret=secret)).status == 200
            listed = await console.ask("GET", f"{ADMIN_PATH}/keys?account=northwind")
            assert listed.json()["data"] == [key]
            assert secret.encode() not in listed.body
            path = f"{ADMIN_PATH}/keys/{key['id']}"
            change = {"expires_at": "2100-01-31T00:00:00Z", "budget_usd": None, "scopes": None}
            assert await console.done("PATCH", path, change) == key | change
            assert (await console.done("POST", f"{path}/revoke"))["revoked_at"] is not None
            assert (await console.refused("POST", f"{path}/revoke"))[0] == 409
            console.know_keys()
            assert (await console.ask("GET", "/v1/models", secret=secret)).status == 401
            keys = await console.done("GET", f"{ADMIN_PATH}/keys?revoked=true")
            assert len(keys["data"]) == 1
            assert secret.encode() not in console.world.log.getvalue()

    in_real_time(scenario)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("POST", "/accounts", {"name": "x", "teir": "pro"}, 400, "teir"),
        ("POST", "/accounts", {"name": "x", "tier": "defalt"}, 404, "did you mean 'default'"),
        ("POST", "/accounts", {"name": ""}, 400, "needs a name"),
        ("POST", "/accounts", {}, 400, "name"),
        ("POST", "/accounts", {"name": "default"}, 409, "already"),
        ("POST", "/accounts", {"name": "x", "concurrency": 0}, 400, "concurrency"),
        ("GET", "/accounts?clsoed=true", None, 400, "did you mean 'closed'"),
        ("GET", "/accounts?closed=true&closed=true", None, 400, "twice"),
        ("GET", "/accounts/defalt", None, 404, "did you mean 'default'"),
        ("PATCH", "/keys/nobody", {}, 404, "nobody"),
        ("POST", "/keys", {"expires_at": "2001-01-01T00:00:00Z"}, 400, "past"),
        ("POST", "/keys", {"budget_usd": "-1"}, 400, "budget"),
        ("POST", "/keys", {"budget_usd": 5}, 400, "budget_usd"),
        ("POST", "/codes", {"amount_usd": "0"}, 400, "above zero"),
        ("GET", "/usage?by=dai", None, 400, "did you mean 'day'"),
        ("GET", "/usage?since=yesterday", None, 400, "since"),
        ("GET", "/usage?key=nobody", None, 404, "nobody"),
        ("DELETE", "/tiers/default", None, 409, "2 accounts|1 account"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(
    tmp_path: Path, method: str, path: str, body: Any, status: int, said: str
) -> None:
    async def scenario() -> None:
        async with open_console(tmp_path) as console:
            found = await console.refused(method, f"{ADMIN_PATH}{path}", body)
            assert found[0] == status, found
            assert re.search(said, found[2]), found

    in_real_time(scenario)


def test_a_body_is_read_within_bounds(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_console(tmp_path) as console:
            for content in (b"", b"{", b"[1]", b"\xff", b"[" * 100_000):
                found = await console.refused("POST", ACCOUNTS, content=content)
                assert found[0] == 400, found
            found = await console.refused("POST", ACCOUNTS, content=b" " * 1_100_000)
            assert found[:2] == [413, "request_too_large"]
            assert "1048576" in found[2]

    in_real_time(scenario)


def test_a_database_that_fails_is_a_503_and_is_reported(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_console(tmp_path) as console:
            key = await new_owner(console)

            def away() -> Any:
                raise StoreAway("the server at db.internal is gone")

            console.stores.database.reading = away  # type: ignore[method-assign]
            for path, secret in ((ACCOUNTS, ADMIN_KEY), ("/v1/usage", key["key"])):
                answer = await console.ask("GET", path, secret=secret)
                assert (answer.status, answer.headers["retry-after"]) == (503, "5")
                assert answer.json()["error"]["code"] == "store_unavailable"
                assert b"db.internal" not in answer.body
            assert len(console.troubles) == 2

    in_real_time(scenario)


# Credit


def test_credit_moves_once_for_each_idempotency_key(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_console(tmp_path) as console:
            await new_owner(console)
            path = f"{ACCOUNTS}/northwind/credit"
            top_up = {"amount_usd": "12.50", "reference": "invoice 7"}
            first = await console.done("POST", f"{path}/top-up", top_up, key="a")
            assert await console.done("POST", f"{path}/top-up", top_up, key="a") == first
            reused = await console.refused("POST", f"{path}/top-up", {"amount_usd": "1"}, key="a")
            assert reused[:2] == [409, "conflict"]
            missing = await console.refused("POST", f"{path}/top-up", top_up)
            assert missing[0] == 400
            assert "Idempotency-Key" in missing[2]
            await console.done("POST", f"{path}/refund", {"amount_usd": "0.5"}, key="b")
            await console.done("POST", f"{path}/adjust", {"amount_usd": "-3"}, key="c")
            overdrawn = await console.refused(
                "POST", f"{path}/adjust", {"amount_usd": "-10.01"}, key="d"
            )
            assert overdrawn[:2] == [409, "conflict"]
            assert "$10.00" in overdrawn[2]
            assert (await console.done("GET", path))["balance_usd"] == "10.00"
            entries = (await console.done("GET", f"{ACCOUNTS}/northwind/ledger?limit=2"))["data"]
            assert [one["kind"] for one in entries] == ["adjustment", "refund"]
            before = entries[-1]["id"]
            rest = await console.done("GET", f"{ACCOUNTS}/northwind/ledger?before={before}")
            assert rest["data"] == [first]
            proof = await console.done("GET", f"{ADMIN_PATH}/ledger/verify")
            assert (proof["sound"], proof["entries"]) == (True, 3)

    in_real_time(scenario)


@pytest.mark.parametrize("amount", ["0", "-1", "1000001", "1e3", "nan", "0.0000000001", "٣"])
def test_an_amount_that_cannot_be_booked_is_refused(tmp_path: Path, amount: str) -> None:
    async def scenario() -> None:
        async with open_console(tmp_path) as console:
            path = f"{ACCOUNTS}/default/credit"
            found = await console.refused("POST", f"{path}/top-up", {"amount_usd": amount}, key="a")
            assert found[0] == 400
            assert (await console.done("GET", path))["balance_usd"] == "0.00"

    in_real_time(scenario)


def test_a_code_is_redeemed_by_its_owner_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_console(tmp_path) as console:
            owner, other = await new_owner(console), await new_owner(console, "southwind")
            made = await console.done("POST", f"{ADMIN_PATH}/codes", {"amount_usd": "20"})
            body = {"code": made["code"].lower()}
            for _ in range(2):
                redeemed = await console.done(
                    "POST", "/v1/credit/redeem", body, secret=owner["key"]
                )
                assert redeemed == {"added_usd": "20.00", "balance_usd": "20.00"}
            for wrong in (body, {"code": "NOBODYS"}):
                found = await console.refused(
                    "POST", "/v1/credit/redeem", wrong, secret=other["key"]
                )
                assert found[:2] == [409, "code_refused"]
            by_operator = {"code": made["code"], "account": "southwind"}
            assert (await console.refused("POST", f"{ADMIN_PATH}/codes/redeem", by_operator))[
                0
            ] == 409
            listed = await console.ask("GET", f"{ADMIN_PATH}/codes")
            assert listed.json()["data"][0]["redeemed_by"] == owner["account_id"]
            assert made["code"].encode() not in listed.body

    in_real_time(scenario)


# Usage


def test_owners_see_their_own_use_and_credit_and_nothing_of_the_operators(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_console(tmp_path) as console:
            owner = await new_owner(console, budget_usd="1")
            mine = {"account_id": owner["account_id"], "key_id": owner["id"]}
            book(
                console,
                mine | {"charge_nanodollars": 2_000, "operator_nanodollars": 777},
                mine | {"key_id": "key_2", "charge_nanodollars": 3_000},
                {"account_id": "acc_default", "charge_nanodollars": 5_000},
            )
            credit = f"{ACCOUNTS}/northwind/credit/top-up"
            await console.done("POST", credit, {"amount_usd": "4"}, key="a")
            answer = await console.ask("GET", "/v1/usage", secret=owner["key"])
            assert b"777" not in answer.body
            report = answer.json()
            [line] = report["data"]
            assert (line["requests"], line["cost_usd"], line["day"]) == (
                2,
                "0.000005",
                "2025-10-09",
            )
            assert report["credit"] == {
                "account_id": owner["account_id"],
                "prepaid": True,
                "balance_usd": "4.00",
                "key_budget_usd": "1.00",
                "key_spent_usd": "0.000002",
            }
            own = await console.done("GET", "/v1/usage?of=key&by=model", secret=owner["key"])
            assert [(one["model"], one["requests"]) for one in own["data"]] == [
                ("openai/gpt-4o", 1)
            ]
            assert "day" not in own["data"][0]
            later = await console.done("GET", "/usage?since=2026-01-01", secret=owner["key"])
            assert later["data"] == []

    in_real_time(scenario)


def test_usage_needs_its_scope(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_console(tmp_path) as console:
            key = await new_owner(console, scopes=["inference"])
            for method, path in (("GET", "/v1/usage"), ("POST", "/v1/credit/redeem")):
                found = await console.refused(method, path, {"code": "x"}, secret=key["key"])
                assert found[:2] == [403, "scope_missing"]
                assert (await console.refused(method, path, secret=None))[0] == 401

    in_real_time(scenario)


def test_the_operators_costs_are_told_to_operators(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_console(tmp_path) as console:
            book(console, {"model": "a/b", "operator_nanodollars": 777}, {"model": "c/d"})
            report = await console.done("GET", f"{ADMIN_PATH}/operator/costs?by=model")
            [line] = report["data"]
            assert (line["model"], line["operator_usd"]) == ("a/b", "0.000000777")
            assert report["books"]["operator:attempts"] == "-0.000000777"
            usage = await console.done(
                "GET", f"{ADMIN_PATH}/usage?by=account,model&account=default"
            )
            assert [one["model"] for one in usage["data"]] == ["a/b", "c/d"]

    in_real_time(scenario)


# Payments


def test_a_payment_counts_once_however_often_it_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_console(tmp_path, admin_config(key=None)) as console:
            notice = {"id": "pay_1", "account": "acc_default", "amount_usd": "12.50"}
            for _ in range(3):
                answer = await console.notice(notice)
                assert (answer.status, answer.json()) == (200, {"received": True, "booked": True})
            assert console.stores.book.balance("acc_default") == 12_500_000_000
            [entry] = console.stores.book.history("acc_default")
            assert (entry.key, entry.reference) == ("payment:bank:pay_1", "pay_1")
            answer = await console.notice(notice | {"amount_usd": "13"})
            assert (answer.status, answer.json()["error"]["code"]) == (409, "conflict")

    in_real_time(scenario)


def test_a_payment_that_is_not_proved_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_console(tmp_path) as console:
            notice = {"id": "pay_1", "account": "acc_default", "amount_usd": "12.50"}
            for more in ({"secret": "another-secret-of-length"}, {"at": NOW - 301}):
                answer = await console.notice(notice, **more)
                assert (answer.status, answer.json()["error"]["code"]) == (400, "payment_refused")
            unsigned = await console.world.run(
                Client(msgspec.json.encode(notice)), "/webhooks/payments/bank", headers={}
            )
            assert unsigned.status == 400
            answer = await console.notice(notice, name="bnak")
            assert answer.status == 404
            assert "did you mean 'bank'" in answer.json()["error"]["message"]
            assert (await console.notice(notice | {"account": "acc_nobody"})).status == 404
            assert console.stores.book.balance("acc_default") == 0

    in_real_time(scenario)


def book(console: ConsoleWorld, *fields: dict[str, Any]) -> None:
    """Book a settlement for each set of fields."""
    SettlementStore(console.stores.database).apply(batch(*(settlement(**one) for one in fields)))
