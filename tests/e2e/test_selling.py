"""Access sold over the real process: set up over the admin API, used with the SDKs, and found on the bill."""

import contextlib
import http.client
import json
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest

from adapters.providers import KNOWN_PROVIDERS
from router.ledger.payment import SIGNATURE_HEADER, sign
from router.simulator import Simulator
from tests.e2e.gateway import environ_of
from tests.e2e.node_sdk import NodeDriver, NodeSdk
from tests.e2e.process import GatewayProcess, run_syze, wait_until
from tests.e2e.sdk import AsyncPythonSdk, PythonSdk, Sdk

ADMIN_KEY = "the-admin-key-of-the-tests"
PAYMENT_SECRET = "the-secret-of-the-payments"
HAIKU = "anthropic/claude-haiku-4-5-20251001"
OPUS = "anthropic/claude-opus-4-7"
SEED_IDS = (HAIKU, OPUS, "anthropic/claude-sonnet-4-5-20250929", "text-embedding-3-small")
CHAT = "chat.completions.create"
USER = [{"role": "user", "content": "Hello"}]
PRICES = {"input": Decimal("1.2e-6"), "output": Decimal("6e-6")}  # a fifth more than the list's


class Shop:
    """A gateway with every known provider, its admin API, and the command line beside it."""

    def __init__(self, process: GatewayProcess, config: Path) -> None:
        self.process = process
        self._config = config

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Make one request; return its status and its JSON answer."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes | None) else msgspec.json.encode(body)
        connection = http.client.HTTPConnection("127.0.0.1", self.process.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, content, sent)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def admin(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Do something as the operator; it must succeed."""
        bearer = f"Bearer {ADMIN_KEY}"
        status, answer = self.call(
            method, f"/admin/v1{path}", body, authorization=bearer, **headers
        )
        assert status in {200, 201}, answer
        return answer

    def owner(self, key: str, path: str) -> Any:
        """Ask as the owner of a key."""
        status, answer = self.call("GET", path, authorization=f"Bearer {key}")
        assert status == 200, answer
        return answer

    def customer(self, name: str, *, tier: str = "default", usd: str = "5") -> str:
        """Open a prepaid account with credit and return a key of it that works."""
        self.admin("POST", "/accounts", {"name": name, "prepaid": True, "tier": tier})
        paid = {"amount_usd": usd}
        self.admin("POST", f"/accounts/{name}/credit/top-up", paid, Idempotency_Key=name)
        key = str(self.admin("POST", "/keys", {"account": name})["key"])

        def works() -> bool:
            return self.call("GET", "/v1/models", authorization=f"Bearer {key}")[0] == 200

        wait_until("the new key works", works)
        return key

    def command(self, *arguments: str) -> Any:
        """Run a `syze` command against the gateway's configuration, with `--json`."""
        named = [*arguments, "--config", str(self._config), "--json"]
        return json.loads(run_syze(named, shop_environ(self._config.parent)))


def shop_environ(folder: Path) -> dict[str, str]:
    secrets = {"ADMIN_KEY": ADMIN_KEY, "PAYMENT_SECRET": PAYMENT_SECRET}
    return environ_of(folder) | secrets


@pytest.fixture(scope="module")
def shop(
    provider: Simulator, provider_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    config = folder / "syze.toml"
    config.write_text(
        """
[server]
bind = ["127.0.0.1:0"]
[store]
path = "syze.db"
[log]
format = "json"
[limits]
folder = "counts"
[money]
markup = 1.2
[race]
budget_ratio = 0.5
[models.haiku-or-its-twin]
targets = ["anthropic/claude-haiku-4-5-20251001", "anthropic/claude-haiku-4-5"]
[admin]
key = "env:ADMIN_KEY"
[admin.payments.bank]
secrets = ["env:PAYMENT_SECRET"]
"""
        + "".join(
            f"""
[providers.{name}]
base_url = "http://127.0.0.1:{provider_port}/{name}/v1"
key = "env:UPSTREAM_KEY"
key_header = "authorization"
dialect = "openai"
discover = false
"""
            for name in KNOWN_PROVIDERS
        )
    )
    arguments = ["serve", "--config", str(config)]
    with GatewayProcess(arguments, folder=folder, environ=shop_environ(folder)) as process:
        yield Shop(process, config)


@pytest.fixture(scope="module")
def narrow_key(shop: Shop) -> str:
    """A key whose tier has one family of models only, beside a tier that has another."""
    shop.admin("POST", "/tiers", {"name": "small", "models": ["openai/*"]})
    shop.admin("POST", "/tiers", {"name": "thinkers", "models": ["anthropic/*"]})
    return shop.customer("narrow", tier="small")


@pytest.fixture(params=["python", "python-async", "node"])
def sdk_with(shop: Shop, request: pytest.FixtureRequest) -> Callable[[str], Sdk]:
    """Makes each of the official SDKs with a key."""
    base_url = shop.process.base_url

    def make(key: str) -> Sdk:
        if request.param == "python":
            return PythonSdk(base_url, key)
        if request.param == "python-async":
            return AsyncPythonSdk(base_url, key)
        driver: NodeDriver = request.getfixturevalue("node_driver")
        return NodeSdk(driver, base_url, key)

    return make


@pytest.fixture
def narrow_sdk(sdk_with: Callable[[str], Sdk], narrow_key: str) -> Sdk:
    """Each of the official SDKs with that key."""
    return sdk_with(narrow_key)


@pytest.fixture(scope="module")
def poor_key(shop: Shop) -> str:
    """A key of an account that has a cent: enough for some 1,600 tokens of answer."""
    return shop.customer("poor", usd="0.01")


def test_with_all_providers_over_300_models_are_listed_the_documented_ones_priced(
    shop: Shop,
) -> None:
    key = shop.customer("reader")
    with openai.OpenAI(base_url=shop.process.base_url, api_key=key) as client:
        models = {model.id: model.model_dump() for model in client.models.list()}
    assert len(models) > 300
    for id_ in SEED_IDS:
        assert Decimal(models[id_]["pricing"]["prompt"]) > 0
        assert models[id_]["context_length"] > 1000
    assert Decimal(models[HAIKU]["pricing"]["prompt"]) == PRICES["input"]
    assert Decimal(models[HAIKU]["pricing"]["completion"]) == PRICES["output"]


def test_a_model_outside_the_tier_is_a_403_that_names_the_tier_that_has_it(
    narrow_sdk: Sdk,
) -> None:
    failure = narrow_sdk.call(CHAT, {"model": OPUS, "messages": USER}).failure
    assert failure is not None
    assert (failure.kind, failure.status) == ("PermissionDeniedError", 403)
    assert (failure.code, failure.param) == ("model_not_allowed", "model")
    assert "'small'" in failure.message
    assert "'thinkers'" in failure.message


def test_an_unknown_model_is_a_404_with_the_nearest_ids(narrow_sdk: Sdk) -> None:
    wrong = "openai/gpt-4o-mni"
    failure = narrow_sdk.call(CHAT, {"model": wrong, "messages": USER}).failure
    assert failure is not None
    assert (failure.kind, failure.status) == ("NotFoundError", 404)
    assert (failure.code, failure.param) == ("model_not_found", "model")
    assert "'openai/gpt-4o-mini'" in failure.message


def test_an_account_without_enough_credit_is_a_402_that_tells_the_figures(
    sdk_with: Callable[[str], Sdk], poor_key: str
) -> None:
    fields = {"model": HAIKU, "messages": USER, "max_tokens": 50_000}
    failure = sdk_with(poor_key).call(CHAT, fields).failure
    assert failure is not None
    assert failure.status == 402
    assert (failure.type, failure.code) == ("insufficient_quota", "insufficient_credits")
    assert "$0.30" in failure.message  # 50,000 tokens of answer, and a little for the prompt
    assert "$0.01" in failure.message


def test_credit_that_running_calls_hold_is_another_402_and_comes_back(
    shop: Shop, sdk_with: Callable[[str], Sdk], poor_key: str
) -> None:
    fields: dict[str, Any] = {"model": HAIKU, "messages": USER, "max_tokens": 1_200}
    with openai.OpenAI(base_url=shop.process.base_url, api_key=poor_key, max_retries=0) as client:
        running = client.chat.completions.create(
            **fields, stream=True, extra_body={"simulate": {"stall_after": 3, "tokens": 9}}
        )
        next(iter(running))
        failure = sdk_with(poor_key).call(CHAT, fields).failure
        assert failure is not None
        assert failure.status == 402
        assert (failure.type, failure.code) == ("insufficient_quota", "credits_held")
        assert "$0.00" in failure.message
        running.close()

    def answered() -> bool:
        return sdk_with(poor_key).call(CHAT, fields | {"max_tokens": 20}).failure is None

    wait_until("the credit has come back", answered)


def test_a_key_sees_the_models_of_its_tier_only(shop: Shop, narrow_key: str) -> None:
    with openai.OpenAI(base_url=shop.process.base_url, api_key=narrow_key) as client:
        listed = {model.id for model in client.models.list()}
        assert {id_ for id_ in listed if "/" in id_ and not id_.startswith("openai/")} == set()
        assert client.models.retrieve("openai/gpt-4o-mini").id in listed
        with pytest.raises(openai.PermissionDeniedError, match="'thinkers'"):
            client.models.retrieve(HAIKU)
        with pytest.raises(openai.NotFoundError, match="openai/gpt-4o-mini"):
            client.models.retrieve("openai/gpt-4o-mni")


def test_what_is_used_is_found_on_the_bill_to_the_nano_dollar(shop: Shop) -> None:
    key = shop.customer("buyer")
    cost = Decimal(0)
    with openai.OpenAI(base_url=shop.process.base_url, api_key=key) as client:
        for _ in range(3):
            answer = client.chat.completions.create(
                model=HAIKU,
                messages=[{"role": "user", "content": "Hello"}],
                max_tokens=20,
            )
            assert answer.usage is not None
            read, written = answer.usage.prompt_tokens, answer.usage.completion_tokens
            cost += read * PRICES["input"] + written * PRICES["output"]

    def booked() -> Any:
        report = shop.owner(key, "/v1/usage?by=model")
        return report if report["data"] and report["data"][0]["requests"] == 3 else None

    report = wait_until("the requests are booked", booked)
    [line] = report["data"]
    assert line["model"] == HAIKU
    assert Decimal(line["charged_usd"]) == Decimal(line["cost_usd"]) == cost
    assert Decimal(report["credit"]["balance_usd"]) == 5 - cost
    assert shop.command("usage", "--account", "buyer", "--by", "model") == [line]
    assert shop.command("credit", "show", "buyer")["balance_usd"] == report["credit"]["balance_usd"]
    assert shop.admin("GET", "/ledger/verify")["sound"] is True


def test_a_failed_upstream_is_the_operators_cost_and_never_the_customers(shop: Shop) -> None:
    key = shop.customer("unlucky")
    with openai.OpenAI(base_url=shop.process.base_url, api_key=key, max_retries=0) as client:
        stream = client.chat.completions.create(
            model="openai/gpt-4o",
            messages=[{"role": "user", "content": "Hello"}],
            stream=True,
            extra_body={"simulate": {"cut_after": 5}},
            extra_headers={"x-syze-rescue": "off"},
        )
        with pytest.raises(openai.APIError), stream:
            list(stream)

    def booked() -> Any:
        return shop.owner(key, "/v1/usage?by=model")["data"]

    [line] = wait_until("the request is booked", booked)
    assert (line["errors"], line["cost_usd"], line["charged_usd"]) == (1, "0.00", "0.00")
    assert shop.owner(key, "/v1/usage")["credit"]["balance_usd"] == "5.00"
    [cost] = shop.admin("GET", "/operator/costs?by=model&account=unlucky")["data"]
    assert Decimal(cost["operator_usd"]) > 0
    by_command = shop.command("usage", "--operator", "--by", "model", "--account", "unlucky")
    assert by_command["data"] == [cost]


def test_a_lost_hedge_is_the_operators_cost_and_never_the_customers(shop: Shop) -> None:
    key = shop.customer("hedged")
    cost = Decimal(0)
    with openai.OpenAI(base_url=shop.process.base_url, api_key=key, max_retries=0) as client:
        for late in (False, False, False, True):  # a hedge is paid for by those that need none
            raw = client.chat.completions.with_raw_response.create(
                model="haiku-or-its-twin",
                messages=[{"role": "user", "content": "Hello"}],
                max_tokens=20,
                extra_body={"simulate": {"ttft": 1.0}} if late else {},
                extra_headers={"x-syze-hedge": "0.1" if late else "off"},
            )
            assert raw.headers["x-syze-attempts"] == ("2" if late else "1")
            usage = raw.parse().usage
            assert usage is not None
            cost += usage.prompt_tokens * PRICES["input"]
            cost += usage.completion_tokens * PRICES["output"]

    def booked() -> Any:
        [line] = shop.owner(key, "/v1/usage")["data"]
        return line if line["requests"] == 4 else None

    line = wait_until("the requests are booked", booked)
    assert Decimal(line["charged_usd"]) == cost
    [lost] = shop.admin("GET", "/operator/costs?account=hedged")["data"]
    assert 0 < Decimal(lost["operator_usd"]) < cost


def test_a_payment_is_told_of_by_webhook(shop: Shop) -> None:
    shop.customer("payer")
    account = shop.admin("GET", "/accounts/payer")["id"]
    body = msgspec.json.encode({"id": "pay_9", "account": account, "amount_usd": "2.50"})
    at = str(int(time.time()))
    signed = f"t={at},v1={sign(PAYMENT_SECRET.encode(), at, body)}"
    for _ in range(2):
        status, answer = shop.call(
            "POST", "/webhooks/payments/bank", body, **{SIGNATURE_HEADER: signed}
        )
        assert (status, answer) == (200, {"received": True, "booked": True})
    assert shop.admin("GET", "/accounts/payer/credit")["balance_usd"] == "7.50"
    status, _ = shop.call(
        "POST", "/webhooks/payments/bank", body + b" ", **{SIGNATURE_HEADER: signed}
    )
    assert status == 400


def test_nothing_secret_is_in_the_log(shop: Shop) -> None:
    shop.customer("secretive")
    code = shop.admin("POST", "/codes", {"amount_usd": "1"})["code"]
    shop.call("GET", "/admin/v1/accounts", authorization="Bearer nobody-has-this-key")
    for secret in (ADMIN_KEY, PAYMENT_SECRET, code, "nobody-has-this-key", "sk-syze-"):
        assert secret not in shop.process.errors
