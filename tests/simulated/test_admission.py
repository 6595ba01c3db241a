"""Limits through the whole gateway, in virtual time: who is refused, what a request counts, what is told."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from limiter.demand import Limits
from router.admission.headers import duration
from router.simulator import Latency, Profile
from tests.simulated.limit_world import (
    CHAT,
    FREE_AGAIN,
    OTHER_MODEL,
    PROMPT,
    TOKENS,
    Customer,
    Customers,
    ask,
    ask_until_served,
    customer,
    fields_of,
    limits_config,
    no_reservation_left,
    run,
    standing,
    together,
)
from tests.simulated.race_world import LongestWait, plan, race_config
from tests.simulated.world import INSTANT, MODEL, Client, World, in_virtual_time, open_world

SLOW = Profile(ttft=Latency.fixed(2.0))
SCOPES = ["key", "tier", "account", "model", "configuration"]
EACH_LIMIT = {
    "requests": Limits(requests=2),
    "tokens": Limits(tokens=2 * (TOKENS + PROMPT)),
    "concurrency": Limits(concurrency=2),
}


@asynccontextmanager
async def limited(
    scope: str, limits: Limits, profile: Profile = INSTANT, *, wait: float = 0.0
) -> AsyncIterator[tuple[World, Customer, Customer]]:
    """A world in which one scope has limits, and two keys of one account."""
    config = limits_config(
        wait=wait,
        models={MODEL: limits} if scope == "model" else None,
        general=limits if scope == "configuration" else None,
    )
    async with open_world(profile, config=config) as world:
        customers = Customers(world)
        customers.tier("default", limits if scope == "tier" else None)
        customers.account("someone", limits if scope == "account" else None)
        own = limits if scope == "key" else None
        first, second = customers.key(own), customers.key(own)
        yield world, first, second
        await no_reservation_left(world, first, second)


@pytest.mark.parametrize("kind", EACH_LIMIT)
@pytest.mark.parametrize("scope", SCOPES)
def test_every_limit_of_every_scope_refuses_what_is_beyond_it(scope: str, kind: str) -> None:
    async def scenario() -> None:
        profile = SLOW if kind == "concurrency" else INSTANT
        async with limited(scope, EACH_LIMIT[kind], profile) as (world, who, _):
            answers = await together(world, 3, ask, who)
            assert sorted(answer.status for answer in answers) == [200, 200, 429]
            [refused] = [answer for answer in answers if answer.status == 429]
            assert (refused.error["type"], refused.error["code"]) == (kind, "rate_limit_exceeded")
            told = "key" if scope in {"tier", "configuration"} else scope
            assert f"for this {told} on" in refused.error["message"]
            assert refused.error["message"].endswith(f"try again in {refused.retry_after:.3f}s.")

    in_virtual_time(scenario)


@pytest.mark.parametrize(
    ("scope", "shared"),
    [("key", False), ("tier", False), ("configuration", False), ("account", True), ("model", True)],
)
def test_accounts_and_models_share_their_limits_and_keys_do_not(scope: str, shared: bool) -> None:
    async def scenario() -> None:
        async with limited(scope, Limits(requests=1)) as (world, first, second):
            assert (await ask(world, first)).status == 200
            assert (await ask(world, second)).status == (429 if shared else 200)

    in_virtual_time(scenario)


def test_a_models_limit_leaves_other_models_alone() -> None:
    async def scenario() -> None:
        async with limited("model", Limits(requests=1)) as (world, who, _):
            assert (await ask(world, who)).status == 200
            assert (await ask(world, who)).status == 429
            assert (await ask(world, who, model=OTHER_MODEL)).status == 200

    in_virtual_time(scenario)


def test_each_limit_of_a_key_is_its_own_else_its_tiers_else_the_configurations() -> None:
    async def scenario() -> None:
        config = limits_config(general=Limits(requests=1, tokens=2000, concurrency=3))
        async with open_world(config=config) as world:
            customers = Customers(world)
            customers.tier("default", Limits(requests=20, tokens=40_000))
            who = customers.key(Limits(requests=300))
            headers = (await ask(world, who)).headers
            assert headers["x-ratelimit-limit-requests"] == "300"
            assert headers["x-ratelimit-limit-tokens"] == "40000"
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(lambda: ask(world, who, simulate={"ttft": 5.0}))
                await trio.testing.wait_all_tasks_blocked()
                assert (await ask(world, who)).error["type"] == "concurrency"

    in_virtual_time(scenario)


def test_what_one_limit_refuses_is_taken_from_no_other() -> None:
    async def scenario() -> None:
        async with limited("account", Limits(requests=1)) as (world, first, second):
            assert (await ask(world, first)).status == 200
            before = standing(world, second.subject)
            assert (await ask(world, second)).status == 429
            assert standing(world, second.subject) == before

    in_virtual_time(scenario)


# What a request counts


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_counts_what_it_really_used_as_soon_as_it_ends(stream: bool) -> None:
    async def scenario() -> None:
        async with open_world(SLOW, config=limits_config()) as world:
            who = customer(world)
            async with trio.open_nursery() as nursery:
                few = {"simulate": {"tokens": 10}, "stream": stream}
                nursery.start_soon(lambda: ask(world, who, tokens=5000, **few))
                await trio.sleep(1)
                during = standing(world, who.subject)
                assert during.in_flight == 1
                assert 5000 < during.used_tokens < 5000 + PROMPT
            after = standing(world, who.subject)
            assert (after.used_requests, after.used_tokens, after.in_flight) == (1, 6 + 10, 0)
            await no_reservation_left(world, who)

    in_virtual_time(scenario)


def usage(prompt: int, completion: int, *, cached: int = 0, reasoning: int = 0) -> Any:
    """The usage that the provider is to tell."""
    return {
        "extra": {
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
                "prompt_tokens_details": {"cached_tokens": cached},
                "completion_tokens_details": {"reasoning_tokens": reasoning},
            }
        }
    }


@pytest.mark.parametrize(
    ("told", "weight", "counted"),
    [
        (usage(100, 50), 1.0, 150),
        (usage(100, 50, cached=80), 1.0, 150),
        (usage(100, 50, cached=80), 0.1, 20 + 8 + 50),
        (usage(100, 50, cached=80), 0.0, 20 + 50),
        (usage(100, 50, reasoning=40), 1.0, 150),
    ],
)
def test_cached_input_counts_by_its_weight_and_reasoning_once(
    told: Any, weight: float, counted: int
) -> None:
    async def scenario() -> None:
        async with open_world(config=limits_config(cached_weight=weight)) as world:
            who = customer(world)
            assert (await ask(world, who, simulate=told)).status == 200
            assert standing(world, who.subject).used_tokens == counted

    in_virtual_time(scenario)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_without_usage_counts_an_estimate_of_what_came(stream: bool) -> None:
    async def scenario() -> None:
        async with open_world(config=limits_config()) as world:
            who = customer(world)
            silent = {"omit_usage": True, "tokens": 100}
            assert (await ask(world, who, simulate=silent, stream=stream)).status == 200
            assert 100 < standing(world, who.subject).used_tokens < TOKENS
            assert world.log_lines()[-1]["usage_estimated"]

    in_virtual_time(scenario)


def test_use_beyond_the_reservation_is_a_debt_that_the_next_one_waits_for() -> None:
    async def scenario() -> None:
        async with open_world(config=limits_config()) as world:
            who = customer(world, Limits(tokens=5000))
            greedy = {"simulate": usage(6, 8000)}
            assert (await ask(world, who, tokens=100, **greedy)).status == 200
            assert standing(world, who.subject).used_tokens == 8006
            refused = await ask(world, who, tokens=10)
            assert refused.status == 429
            assert "Limit 5000, Used 8006" in refused.error["message"]
            await trio.sleep_until(FREE_AGAIN)
            assert (await ask(world, who, tokens=10)).status == 200

    in_virtual_time(scenario)


def test_a_request_that_asks_for_more_than_the_limit_is_served_by_an_empty_window() -> None:
    async def scenario() -> None:
        async with open_world(config=limits_config()) as world:
            who = customer(world, Limits(tokens=1000))
            large = {"tokens": 20_000, "simulate": {"tokens": 500}}
            assert (await ask(world, who, **large)).status == 200
            refused = await ask(world, who, **large)
            assert refused.status == 429
            assert "Requested 1000." in refused.error["message"]
            await trio.sleep(refused.retry_after)
            assert (await ask(world, who, **large)).status == 200

    in_virtual_time(scenario)


FAULTS = {
    "an upstream failure": ({"status": 500}, 503),
    "a cut answer": ({"cut_after": 3}, 503),
    "an upstream limit": ({"status": 429, "retry_after": 60}, 503),
    "a provider's refusal": ({"status": 400, "error": {"message": "no"}}, 400),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_charged_is_given_back_whole(fault: str) -> None:
    behaviour, status = FAULTS[fault]

    async def scenario() -> None:
        async with open_world(config=limits_config()) as world:
            who = customer(world, Limits(requests=10, tokens=10_000))
            answer = await ask(world, who, simulate=behaviour)
            assert answer.status == status
            after = standing(world, who.subject)
            assert (after.used_requests, after.used_tokens) == (0, 0)
            assert answer.headers["x-ratelimit-remaining-requests"] == "10"
            assert answer.headers["x-ratelimit-remaining-tokens"] == "10000"
            await no_reservation_left(world, who)

    in_virtual_time(scenario)


HEDGED_AFTER_A_SECOND = race_config("ab", model={"hedge": 1.0})


@pytest.mark.parametrize(
    ("trouble", "hedged"),
    [({"status": 500}, False), ({"ttft": 20.0}, True)],
    ids=["retry", "hedge"],
)
def test_the_attempts_of_a_request_count_once(trouble: Any, hedged: bool) -> None:
    async def scenario() -> None:
        config = limits_config(HEDGED_AFTER_A_SECOND)
        async with open_world(config=config, hosts="ab", rng=LongestWait()) as world:
            who = customer(world, Limits(requests=1, concurrency=1))
            plan(world, "a", **trouble)
            answer = await ask(world, who, model="m", tokens=20, simulate=None)
            assert answer.status == 200
            assert answer.headers["x-syze-attempts"] == "2"
            assert answer.headers["x-syze-hedged"] == ("true" if hedged else "false")
            used = answer.answer.json()["usage"]["total_tokens"]
            after = standing(world, who.subject)
            assert (after.used_requests, after.used_tokens) == (1, used)
            await no_reservation_left(world, who)

    in_virtual_time(scenario)


@pytest.mark.parametrize("wish", [None, "on", "0.5"])
def test_a_key_without_hedging_is_never_hedged_whatever_it_asks(wish: str | None) -> None:
    async def scenario() -> None:
        config = limits_config(HEDGED_AFTER_A_SECOND)
        async with open_world(config=config, hosts="ab", rng=LongestWait()) as world:
            who = customer(world, hedge=False)
            plan(world, "a", ttft=5.0)
            headers = {"authorization": f"Bearer {who.secret}"}
            if wish is not None:
                headers["x-syze-hedge"] = wish
            fields = fields_of(model="m", tokens=20, simulate=None)
            answer = await world.post(CHAT, fields, headers=headers)
            assert (answer.status, answer.headers["x-syze-attempts"]) == (200, "1")
            assert trio.current_time() == pytest.approx(5.0)
            assert not world.simulators["b"].requests

    in_virtual_time(scenario)


# What is told


ANSWERS: dict[str, tuple[int, dict[str, Any]]] = {
    "whole": (200, {}),
    "stream": (200, {"stream": True}),
    "bad request": (400, {"messages": None}),
    "not in the tier": (403, {"model": OTHER_MODEL}),
    "no such model": (404, {"model": "openai/nothing"}),
    "limit": (429, {"tokens": 9500}),
    "upstream failure": (503, {"simulate": {"status": 500}}),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_every_answer_tells_how_the_limits_stand(name: str) -> None:
    status, fields = ANSWERS[name]

    async def scenario() -> None:
        async with open_world(config=limits_config()) as world:
            customers = Customers(world)
            customers.tier("default", None, MODEL, "openai/nothing")
            who = customers.key(Limits(requests=100, tokens=10_000))
            await ask(world, who)
            await trio.sleep(10.5)
            answer = await ask(world, who, **fields)
            assert answer.status == status
            told = {n: v for n, v in answer.headers.items() if n.startswith("x-ratelimit-")}
            taken = 1 if status == 200 else 0
            assert told.pop("x-ratelimit-limit-requests") == "100"
            assert told.pop("x-ratelimit-limit-tokens") == "10000"
            assert told.pop("x-ratelimit-remaining-requests") == str(99 - taken)
            left = int(told.pop("x-ratelimit-remaining-tokens"))
            assert 0 <= 10_000 - (1 + taken) * TOKENS - left < (1 + taken) * PROMPT
            # In whole seconds of the clock: bucket 0 until 61, bucket 10 until 71.
            reset = duration((71 if taken else 61) - answer.at).decode()
            assert told == {"x-ratelimit-reset-requests": reset, "x-ratelimit-reset-tokens": reset}

    in_virtual_time(scenario)


def test_where_there_is_no_limit_nothing_is_told_of_one() -> None:
    async def scenario() -> None:
        async with open_world(config=limits_config()) as world:
            unlimited = await ask(world, customer(world))
            assert not [name for name in unlimited.headers if name.startswith("x-ratelimit")]
            some = await ask(world, customer(world, Limits(requests=5)))
            told = [name for name in some.headers if name.startswith("x-ratelimit")]
            assert told
            assert all(name.endswith("-requests") for name in told)

    in_virtual_time(scenario)


def test_the_limit_with_the_least_room_is_told() -> None:
    async def scenario() -> None:
        async with open_world(config=limits_config(models={MODEL: Limits(requests=4)})) as world:
            customers = Customers(world)
            customers.account("someone", Limits(requests=50))
            who = customers.key(Limits(requests=100))
            assert (await ask(world, who)).headers["x-ratelimit-remaining-requests"] == "3"
            other = await ask(world, who, model=OTHER_MODEL)
            assert other.headers["x-ratelimit-remaining-requests"] == "48"
            failed = await ask(world, who, simulate={"status": 500})
            assert failed.status == 503
            assert failed.headers["x-ratelimit-remaining-requests"] == "3"

    in_virtual_time(scenario)


@pytest.mark.parametrize("start", [0.0, 0.1, 7.77, 59.999, 123.456789])
@pytest.mark.parametrize("limits", [Limits(requests=1), Limits(tokens=TOKENS + PROMPT)])
def test_the_same_request_is_admitted_at_the_moment_told_and_not_before(
    limits: Limits, start: float
) -> None:
    async def scenario() -> None:
        async with open_world(config=limits_config()) as world:
            who = customer(world, limits)
            await trio.sleep(start)
            assert (await ask(world, who)).status == 200
            refused = await ask(world, who)
            assert refused.status == 429
            seconds = refused.retry_after
            assert int(refused.headers["retry-after"]) == math.ceil(seconds)
            assert f"try again in {seconds:.3f}s" in refused.error["message"]
            assert 60.0 < seconds <= 61.0 + 0.001
            await trio.sleep(seconds - 0.002)
            assert (await ask(world, who)).status == 429
            await trio.sleep(0.002)
            assert (await ask(world, who)).status == 200

    in_virtual_time(scenario)


def test_fifty_clients_refused_at_once_come_back_as_told_and_are_all_admitted() -> None:
    async def scenario() -> None:
        async with open_world(config=limits_config()) as world:
            who = customer(world, Limits(tokens=12_000))
            tries = await together(world, 50, ask_until_served, who)
            assert [len(answers) for answers in tries] == [1] * 11 + [2] * 39
            for index, answers in enumerate(tries):
                # A window and its last bucket, and a second more for those who come late.
                turn = index // 11
                assert answers[-1].at == pytest.approx(max(0, 62 * turn - 1), abs=0.1)
            await no_reservation_left(world, who)

    in_virtual_time(scenario)


def test_where_calls_and_tokens_are_used_up_the_moment_told_is_that_of_the_tokens() -> None:
    async def scenario() -> None:
        async with open_world(SLOW, config=limits_config()) as world:
            who = customer(world, Limits(tokens=TOKENS + PROMPT, concurrency=1))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, world, who)
                await trio.sleep(1)
                refused = await ask(world, who)
                assert refused.error["type"] == "concurrency"
                assert refused.retry_after == pytest.approx(60.0, abs=0.01)
            await trio.sleep_until(refused.at + refused.retry_after)
            assert (await ask(world, who)).status == 200

    in_virtual_time(scenario)


def test_a_call_that_is_refused_for_running_ones_is_told_a_second() -> None:
    async def scenario() -> None:
        async with open_world(SLOW, config=limits_config()) as world:
            who = customer(world, Limits(tokens=100_000, concurrency=1))
            answers = await together(world, 3, ask, who)
            refused = [answer for answer in answers if answer.status == 429]
            assert len(refused) == 2
            assert all(1.0 <= answer.retry_after < 1.01 for answer in refused)

    in_virtual_time(scenario)


# Who may use what


def test_a_model_of_another_tier_is_refused_with_the_tier_that_has_it() -> None:
    async def scenario() -> None:
        async with open_world(config=limits_config()) as world:
            customers = Customers(world)
            customers.tier("default", None, MODEL)
            customers.tier("pro", None, "openai/*")
            who = customers.key(Limits(requests=5))
            wishes: list[dict[str, Any]] = [
                {"model": OTHER_MODEL},
                {"models": [OTHER_MODEL]},
                {"models": [MODEL, OTHER_MODEL]},
                {"models": ["gpt-4o"]},
            ]
            for wish in wishes:
                answer = await ask(world, who, **wish)
                assert (answer.status, answer.error["code"]) == (403, "model_not_allowed"), wish
                assert "The tier 'pro' has it." in answer.error["message"]
                assert OTHER_MODEL in answer.error["message"]
            assert not world.simulator.requests
            assert standing(world, who.subject).used_requests == 0
            assert (await ask(world, who, models=[MODEL])).status == 200

    in_virtual_time(scenario)


# Whatever happens


class CancelAfter(trio.abc.Instrument):
    """Cancels a scope at the n-th scheduling of the task that it watches."""

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.task: trio.lowlevel.Task | None = None
        self.scope = trio.CancelScope()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            self.left -= 1
            if self.left == 0:
                self.scope.cancel()


@pytest.mark.parametrize("fields", [{}, {"stream": True}, {"simulate": {"status": 500}}])
@pytest.mark.parametrize("must_wait", [False, True])
def test_i1_cancelled_at_any_checkpoint_no_reservation_stays(
    fields: dict[str, Any], must_wait: bool
) -> None:
    async def attempt(steps: int) -> bool:
        """Whether a request was done before so many steps."""
        async with open_world(config=limits_config(wait=5.0)) as world:
            who = customer(world, Limits(requests=10, tokens=20_000, concurrency=1))
            after = CancelAfter(steps)

            async def cancelled() -> None:
                client = Client(msgspec.json.encode(fields_of(tokens=20, **fields)))
                after.task = trio.lowlevel.current_task()
                with after.scope:
                    await run(world, who, client)

            trio.lowlevel.add_instrument(after)
            async with trio.open_nursery() as nursery:
                if must_wait:
                    nursery.start_soon(lambda: ask(world, who, simulate={"ttft": 0.03}))
                    await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(cancelled)
            trio.lowlevel.remove_instrument(after)
            await no_reservation_left(world, who)
            taken = standing(world, who.subject)
            if after.scope.cancelled_caught:
                assert taken.used_requests <= 2
                assert taken.used_tokens <= (1000 if must_wait else 0) + 2 * PROMPT
            assert (await ask(world, who, tokens=20)).status == 200
            return not after.scope.cancelled_caught

    async def scenario() -> None:
        steps = 1
        while not await attempt(steps):
            steps += 1
        assert steps > (5 if must_wait else 3)

    in_virtual_time(scenario)
