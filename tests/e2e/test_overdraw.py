"""Two hundred calls at once on credit for ten, through two workers, with faults and clients that leave."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
import trio

from router.simulator import (
    Behaviour,
    Latency,
    Profile,
    SeenRequest,
    Simulator,
    expected_tokens,
)
from router.simulator.fields import ChatFields
from router.simulator.performance import Performance
from router.simulator.usage import chat_prompt_tokens
from tests.e2e.process import GatewayProcess, wait_until
from tests.e2e.provider import serving
from tests.e2e.till import INPUT, OUTPUT, Till

CALLS = 200
CAP = 100
HELD = OUTPUT * CAP + INPUT * 130  # about what one call holds
CREDIT = 10 * HELD
PATIENCE = 8.0  # seconds that a client goes on asking while the credit is held
PROFILE = Profile(
    ttft=Latency.lognormal(0.08, 0.6, straggler_share=0.1, straggler_factor=8.0),
    gap=Latency.lognormal(0.002, 0.3),
)
FAULTS = [
    Behaviour(status=500),
    Behaviour(status=429, retry_after=1),
    Behaviour(reset_before_head=True),
    Behaviour(cut_after=4),
    Behaviour(error_event_after=10),
    Behaviour(stall_after=5),
    Behaviour(silence=True),
    Behaviour(omit_done=True),
]


class Provider(Simulator):
    """A simulated provider that keeps what it was asked, by the words of the prompt."""

    def __init__(self, seed: int, asked: dict[str, Any]) -> None:
        super().__init__(PROFILE, seed=seed)
        self._asked = asked

    def answer(self, request: SeenRequest) -> Performance:
        body = request.json()
        self._asked[body["messages"][0]["content"]] = body
        return super().answer(request)


@pytest.fixture
def asked() -> dict[str, Any]:
    """What the providers were asked."""
    return {}


@pytest.fixture(params=["sqlite", "postgresql"])
def till(
    request: pytest.FixtureRequest, tmp_path: Path, asked: dict[str, Any]
) -> Iterator[tuple[Till, tuple[Simulator, Simulator]]]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    simulators = Provider(1, asked), Provider(2, asked)
    with (
        serving(simulators[0]) as first,
        serving(simulators[1]) as second,
        closing(Till(tmp_path, (first, second), database_url=url, budget_ratio=1.0)) as opened,
    ):
        yield opened, simulators


def test_i3_parallel_calls_never_spend_more_than_there_is(
    till: tuple[Till, tuple[Simulator, Simulator]], asked: dict[str, Any]
) -> None:
    shop, simulators = till
    rng = Random(7)
    shop.pay_in(CREDIT)
    for simulator in simulators:
        simulator.plan(*(rng.choice([Behaviour(), Behaviour(), *FAULTS]) for _ in range(3 * CALLS)))
    with shop.serving() as process:
        balances = trio.run(crowd, shop, process, rng)
        wait_until("everything is booked and nothing held", lambda: shop.held() == 0)
    assert min(balances) >= 0
    assert shop.left_in_journals() == [], "a graceful end leaves nothing behind"
    booked = shop.check_books(CREDIT)
    whole = {id_: seen for id_, seen in shop.seen.items() if seen.ending == "whole"}
    assert len(whole) >= 8, Counter((seen.ending, seen.code) for seen in shop.seen.values())
    assert "credits_held" in {seen.code for seen in shop.seen.values()}
    for request_id, seen in whole.items():
        assert booked[request_id].charged == produced(asked[seen.fields["messages"][0]["content"]])
    assert shop.book.operator_balances().get("operator:losses", 0) == 0, (
        "a charge beyond the credit"
    )
    assert all(one.cost == one.charged for one in booked.values())


async def crowd(till: Till, process: GatewayProcess, rng: Random) -> list[int]:
    """All clients at once, and somebody who looks at the balance all the time; return what they saw."""
    balances: list[int] = []

    async def look() -> None:
        while True:
            balances.append(await trio.to_thread.run_sync(till.book.balance, till.account))
            await trio.sleep(0.05)

    async def call(number: int) -> None:
        stream, leaves = number % 3 > 0, rng.random() < 0.2
        until = trio.current_time() + PATIENCE
        while trio.current_time() < until:
            seen = await till.ask(
                process,
                leaves=rng.uniform(0.01, 0.5) if leaves else 60.0,
                stream=stream,
                max_tokens=None if number % 6 == 0 else CAP,  # only of whole answers
            )
            if seen.code not in {"credits_held", "rate_limit_exceeded"}:
                return
            await trio.sleep(rng.uniform(0.2, 0.6))

    async with trio.open_nursery() as looking:
        looking.start_soon(look)
        async with trio.open_nursery() as calls:
            for number in range(CALLS):
                calls.start_soon(call, number)
        looking.cancel_scope.cancel()
    return balances


def produced(body: Any) -> int:
    """What the provider reads and writes for a request, at the price."""
    read = chat_prompt_tokens(msgspec.convert(body, ChatFields))
    return INPUT * read + OUTPUT * len(expected_tokens(body))
