"""Limits of a real gateway, met by the official SDK with its own retries off.

A window is a real minute here. What takes a minute to see is seen when `SYZE_TEST_SIZE` is above 1; in
virtual time it is seen always (`tests/simulated/test_admission.py`).
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import openai
import pytest

from router.simulator import Simulator
from tests.conftest import SIZE
from tests.e2e.gateway import MODEL, Gateway, environ_of
from tests.e2e.process import GatewayProcess, wait_until

CLIENTS = 50
TOKENS_PER_MINUTE = 10_000
PATIENT = 30.0


class Outcome(NamedTuple):
    """How often one client asked until it was served, and what it was told meanwhile."""

    tries: int
    refusals: list[openai.RateLimitError]


@contextmanager
def limited_gateway(
    folder: Path, provider: Simulator, port: int, *, wait: float, workers: int = 1
) -> Iterator[Gateway]:
    """Run a gateway whose counts are in `folder`, where a later one finds them."""
    config = folder / "syze.toml"
    config.write_text(
        f"""
[server]
bind = ["127.0.0.1:0"]
workers = {workers}

[store]
path = "keys.db"

[log]
format = "json"

[limits]
wait_seconds = {wait}
folder = "counts"

[providers.openai]
base_url = "http://127.0.0.1:{port}/openai/v1"
key = "env:UPSTREAM_KEY"
discover = false
"""
    )
    arguments = ["serve", "--config", str(config)]
    with GatewayProcess(arguments, folder=folder, environ=environ_of(folder)) as process:
        yield Gateway(process, provider, config=config)


@pytest.fixture(scope="module")
def patient_gateway(
    provider: Simulator, provider_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("limits")
    with limited_gateway(folder, provider, provider_port, wait=PATIENT) as running:
        yield running


@pytest.fixture
def patient(patient_gateway: Gateway) -> Iterator[Gateway]:
    """A gateway in which requests may wait for long."""
    yield patient_gateway
    patient_gateway.leak_check()


def limited_key(gateway: Gateway, *limits: str) -> dict[str, Any]:
    """A key with these limits that all workers know; to find that out it has not been used."""
    created: dict[str, Any] = msgspec.json.decode(gateway.command("keys", "create", *limits))

    def is_known() -> bool:
        return all(gateway.status_of("/v1/models", created["key"]) == 200 for _ in range(20))

    wait_until("every worker knows the key", is_known)
    return created


def ask_all(
    gateway: Gateway, key: str, count: int, *, cap: int, again: bool = False, **simulate: Any
) -> list[Outcome]:
    """Ask with so many clients at once; with `again` each comes back as it is told."""

    async def one(client: openai.AsyncOpenAI) -> Outcome:
        refusals: list[openai.RateLimitError] = []
        while True:
            try:
                await client.chat.completions.create(
                    model=MODEL,
                    messages=[{"role": "user", "content": "Hello"}],
                    max_tokens=cap,
                    extra_body={"simulate": {"tokens": cap, **simulate}},
                )
                return Outcome(len(refusals) + 1, refusals)
            except openai.RateLimitError as error:
                refusals.append(error)
            if not again:
                return Outcome(0, refusals)
            await asyncio.sleep(seconds_told(refusals[-1]))

    async def every() -> list[Outcome]:
        async with openai.AsyncOpenAI(
            base_url=gateway.base_url, api_key=key, max_retries=0, timeout=60.0
        ) as client:
            return await asyncio.gather(*(one(client) for _ in range(count)))

    return asyncio.run(every())


def seconds_told(error: openai.RateLimitError) -> float:
    """After how many seconds a refused client may come back; told three times, and each time the same."""
    headers = error.response.headers
    seconds = int(headers["retry-after-ms"]) / 1000
    assert seconds <= int(headers["retry-after"]) < seconds + 1
    assert f"Please try again in {seconds:.3f}s." in error.message
    return seconds


def test_fifty_clients_whose_use_fits_see_no_429(patient: Gateway) -> None:
    key = limited_key(patient, "--tpm", str(TOKENS_PER_MINUTE))
    outcomes = ask_all(patient, key["key"], CLIENTS, cap=1000, tokens=100, ttft=0.1)
    assert [outcome.tries for outcome in outcomes] == [1] * CLIENTS
    assert {line["status"] for line in patient.process.log("request")} == {200}


def test_clients_beyond_the_limit_are_told_when_to_come_back(
    provider: Simulator, provider_port: int, tmp_path: Path
) -> None:
    """More than a minute's tokens are asked for: two thirds are served now, the others are told a moment."""
    with limited_gateway(tmp_path, provider, provider_port, wait=0.5) as gateway:
        key = limited_key(gateway, "--tpm", str(TOKENS_PER_MINUTE))
        outcomes = ask_all(gateway, key["key"], CLIENTS, cap=300, again=SIZE > 1)
        refusals = [refusal for outcome in outcomes for refusal in outcome.refusals]
        assert 15 <= len(refusals) <= 25, "one 429 for each client at most"
        for refusal in refusals:
            assert (refusal.status_code, refusal.type) == (429, "tokens")
            assert refusal.code == "rate_limit_exceeded"
            assert 50 < seconds_told(refusal) < 65
            assert refusal.response.headers["x-ratelimit-limit-tokens"] == "10000"
            assert int(refusal.response.headers["x-ratelimit-remaining-tokens"]) < 400
        if SIZE > 1:
            tries = Counter(outcome.tries for outcome in outcomes)
            assert tries == {1: CLIENTS - len(refusals), 2: len(refusals)}
        gateway.leak_check()


def test_limits_survive_a_restart(provider: Simulator, provider_port: int, tmp_path: Path) -> None:
    with limited_gateway(tmp_path, provider, provider_port, wait=1.0) as gateway:
        key = limited_key(gateway, "--rpm", "3")
        assert [one.tries for one in ask_all(gateway, key["key"], 3, cap=5)] == [1, 1, 1]
    with limited_gateway(tmp_path, provider, provider_port, wait=1.0) as gateway:
        [outcome] = ask_all(gateway, key["key"], 1, cap=5)
        assert [refusal.type for refusal in outcome.refusals] == ["requests"]


def test_limits_hold_over_all_workers(
    provider: Simulator, provider_port: int, tmp_path: Path
) -> None:
    with limited_gateway(tmp_path, provider, provider_port, wait=0.0, workers=2) as gateway:
        key = limited_key(gateway, "--rpm", "20")
        outcomes = ask_all(gateway, key["key"], 60, cap=5)
        assert sum(outcome.tries for outcome in outcomes) == 20
        lines = gateway.process.log("request")
        assert {line["worker"] for line in lines} == {0, 1}
        assert Counter(line["status"] for line in lines) == {200: 20, 429: 40}


def test_the_use_of_a_key_is_shown_while_the_gateway_runs(patient: Gateway) -> None:
    key = limited_key(patient, "--rpm", "20", "--tpm", "5000")
    ask_all(patient, key["key"], 3, cap=50)
    shown = msgspec.json.decode(patient.command("limits", "show", key["id"]))
    used = {use["kind"]: (use["used"], use["left"]) for use in shown}
    assert used["requests"] == (3, 17)
    assert used["tokens"] == (3 * 56, 5000 - 3 * 56)
    assert used["concurrency"] == (0, None)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_tells_how_the_limits_stand(patient: Gateway, stream: bool) -> None:
    key = limited_key(patient, "--rpm", "20", "--tpm", "5000")
    with openai.OpenAI(base_url=patient.base_url, api_key=key["key"], max_retries=0) as client:
        raw = client.chat.completions.with_raw_response.create(
            model=MODEL, messages=[{"role": "user", "content": "Hello"}], stream=stream
        )
        headers = raw.headers
        raw.http_response.read()
    assert headers["x-ratelimit-limit-requests"] == "20"
    assert headers["x-ratelimit-remaining-requests"] == "19"
    assert headers["x-ratelimit-limit-tokens"] == "5000"
    assert int(headers["x-ratelimit-remaining-tokens"]) < 5000
    assert headers["x-ratelimit-reset-tokens"].startswith("1m")
