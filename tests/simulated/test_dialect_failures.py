"""The failure table over every dialect, in exact virtual time, and what failing over leaves behind: nothing.

Each provider fails in its dialect's own words. Beside a provider of another dialect a failure goes over at
once; alone it shows how it was understood, by when the provider is asked again and what the client is told.
A backoff is always the longest here, a quarter of a second.
"""

from itertools import product
from typing import Any, NamedTuple

import pytest

from limiter.demand import Limits
from router.simulator import expected_text
from tests.simulated.dialect_world import (
    MODELS,
    OTHERS,
    at_providers,
    dialect_config,
    open_dialects,
    plan,
    provider,
    received,
    street_config,
)
from tests.simulated.limit_world import standing
from tests.simulated.money_world import cost, open_shop, priced
from tests.simulated.race_world import FOREVER, LongestWait, ask
from tests.simulated.test_dialects import read
from tests.simulated.test_faces import MESSAGES, RESPONSES, body_for, text_of
from tests.simulated.world import ClientAnswer, World, chat_fields, in_virtual_time

BACKOFF = 0.25
ALL = pytest.mark.parametrize("first", MODELS)
FORMS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


class Row(NamedTuple):
    """A failure, so many times; and alone: after how many seconds, asked how often, with which outcome.

    No outcome: it answers in the end.
    """

    failure: dict[str, Any]
    times: int
    seconds: float
    asked: int
    outcome: str | None = None


ROWS = {
    "429 with Retry-After 2, once": Row({"status": 429, "retry_after": 2}, 1, 2, 2),
    "429 with Retry-After 60": Row(
        {"status": 429, "retry_after": 60}, FOREVER, 0, 1, "upstream_rate_limited"
    ),
    "429": Row({"status": 429}, FOREVER, 0, 1, "upstream_rate_limited"),
    "503 with Retry-After 2, once": Row({"status": 503, "retry_after": 2}, 1, 2, 2),
    **{
        f"{status} once": Row({"status": status}, 1, BACKOFF, 2)
        for status in (500, 502, 503, 504, 529)
    },
    "529 for ever": Row({"status": 529}, FOREVER, BACKOFF, 2, "upstream_overloaded"),
    "401": Row({"status": 401}, FOREVER, 0, 1, "upstream_key_rejected"),
    "403": Row({"status": 403}, FOREVER, 0, 1, "upstream_key_rejected"),
    "reset once": Row({"reset_before_head": True}, 1, 0, 2),
    "an overload inside a 200, once": Row(
        {"error_event_after": 0, "error_event_status": 503}, 1, BACKOFF, 2
    ),
    "a quota error inside a 200": Row(
        {"error_event_after": 0, "error_event_status": 429}, FOREVER, 0, 1, "upstream_rate_limited"
    ),
    "cut before the first token, once": Row({"cut_after": 0}, 1, 0, 2),
}
# Inside a whole answer Bedrock has no words for an error, and Cohere has none for its reason at all.
OTHERWISE = {
    ("an overload inside a 200, once", "bedrock", False): Row({}, 1, 0, 2),
    ("a quota error inside a 200", "bedrock", False): Row({}, 9, 0, 2, "upstream_invalid_response"),
    **{
        ("a quota error inside a 200", "cohere", stream): Row(
            {}, 9, BACKOFF, 2, "upstream_overloaded"
        )
        for stream in (False, True)
    },
}


def other_than(dialect: str) -> str:
    """Who stands beside a dialect: another for each."""
    names = list(MODELS)
    return names[(names.index(dialect) + 1) % len(names)]


class Fate(NamedTuple):
    """After how many seconds a request was over, how often its first provider was asked, and what came of it:
    who answered, or why nobody did."""

    seconds: float
    asked: int
    outcome: str | None


def assert_untouched(answer: ClientAnswer, name: str, *, stream: bool) -> None:
    """The answer is that of this provider, and of nobody else."""
    dialect = name.rstrip("0123456789")
    found = read(answer, stream=stream)
    assert found.choices[0].message.content == expected_text(chat_fields(model=MODELS[dialect]))
    assert found.model == f"{name}/{MODELS[dialect]}"
    assert answer.headers["x-syze-provider"] == name
    assert b"error" not in answer.body


async def fate_of(world: World, number: int, *, stream: bool) -> Fate:
    """Ask for the id of this number; an answer must be nobody's but its provider's."""
    served = await ask(world, model=f"m{number}", stream=stream)
    seen = received(world, list(world.gateway.config.providers)[number])
    if served.status != 200:
        assert served.status == 503
        assert served.retry_after is not None
        return Fate(served.seconds, seen, served.code)
    assert served.provider is not None
    assert_untouched(served.answer, served.provider, stream=stream)
    return Fate(served.seconds, seen, served.provider)


@ALL
@FORMS
def test_beside_another_dialect_a_failure_goes_over_at_once_and_leaves_no_trace(
    first: str, stream: bool
) -> None:
    second = other_than(first)

    async def scenario() -> None:
        config = street_config(first, len(ROWS), second)
        async with open_dialects(config=config, rng=LongestWait(1)) as world:
            fates = {}
            for number, (name, row) in enumerate(ROWS.items()):
                plan(world, f"{first}{number}", row.times, **row.failure)
                fates[name] = await fate_of(world, number, stream=stream)
                charges = world.gateway.bills[-1].bill.charges
                assert [charge.payer for charge in charges] == ["operator", "customer"]
                await world.leak_check()
            assert fates == dict.fromkeys(ROWS, Fate(0, 1, second))

    in_virtual_time(scenario)


@ALL
@FORMS
def test_alone_a_failure_is_understood_in_every_dialect(first: str, stream: bool) -> None:
    async def scenario() -> None:
        config = street_config(first, len(ROWS))
        async with open_dialects(config=config, rng=LongestWait(1)) as world:
            expected, fates = {}, {}
            for number, (name, row) in enumerate(ROWS.items()):
                plan(world, f"{first}{number}", row.times, **row.failure)
                fates[name] = await fate_of(world, number, stream=stream)
                told = OTHERWISE.get((name, first, stream), row)
                outcome = told.outcome or f"{first}{number}"
                expected[name] = Fate(told.seconds, told.asked, outcome)
                await world.leak_check()
            assert fates == expected

    in_virtual_time(scenario)


@ALL
def test_a_whole_answer_of_broken_json_is_asked_for_again_and_an_event_of_it_passed_over(
    first: str,
) -> None:
    async def scenario() -> None:
        async with open_dialects(first) as world:
            for stream, asked in ((False, 2), (True, 3)):
                plan(world, first, malformed_at=1)
                served = await ask(world, stream=stream)
                assert_untouched(served.answer, first, stream=stream)
                assert received(world, first) == asked
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize("first", OTHERS)
def test_an_event_that_nobody_knows_does_no_harm(first: str) -> None:
    async def scenario() -> None:
        async with open_dialects(first) as world:
            plan(world, first, unknown_event=True)
            served = await ask(world, stream=True)
            assert_untouched(served.answer, first, stream=True)

    in_virtual_time(scenario)


@ALL
def test_a_refused_prompt_is_told_to_the_client_and_asked_of_nobody_else(first: str) -> None:
    second = other_than(first)

    async def scenario() -> None:
        async with open_dialects(first, second) as world:
            for stream in (False, True) * 4:  # nothing is held against the provider
                plan(world, first, refuses="length")
                long = await ask(world, stream=stream)
                assert (long.status, long.code) == (400, "context_length_exceeded")
                plan(world, first, refuses="content")
                refused = await ask(world, stream=stream)
                assert refused.status == 400, refused.answer.body
            assert (received(world, first), received(world, second)) == (16, 0)
            assert all(bill.customer is None for _, bill, _ in world.gateway.bills)
            await world.leak_check()

    in_virtual_time(scenario)


@ALL
def test_a_prompt_that_is_too_long_goes_to_the_larger_context_of_another_dialect(
    first: str,
) -> None:
    second = other_than(first)

    async def scenario() -> None:
        config = dialect_config(first, larger_context=[f"{second}/{MODELS[second]}"])
        config.providers[second] = provider(second)
        async with open_dialects(config=config) as world:
            for stream in (False, True):
                plan(world, first, refuses="length")
                served = await ask(world, stream=stream)
                assert_untouched(served.answer, second, stream=stream)
            assert (received(world, first), received(world, second)) == (2, 2)
            await world.leak_check()

    in_virtual_time(scenario)


FAILURES = ("529 for ever", "a quota error inside a 200")
CASES = tuple(product((MESSAGES, RESPONSES), FAILURES, (False, True)))


@ALL
def test_no_face_shows_who_failed(first: str) -> None:
    second = other_than(first)

    async def scenario() -> None:
        async with open_dialects(config=street_config(first, len(CASES), second)) as world:
            for number, (face, failure, stream) in enumerate(CASES):
                plan(world, f"{first}{number}", 9, **ROWS[failure].failure)
                answer = await world.post(face, body_for(face, model=f"m{number}", stream=stream))
                assert answer.headers["x-syze-provider"] == second
                assert text_of(face, answer) == expected_text(chat_fields(model=MODELS[second]))
                assert f'"{second}/{MODELS[second]}"'.encode() in answer.body
                assert f"{first}{number}".encode() not in answer.body
            await world.leak_check()

    in_virtual_time(scenario)


@ALL
def test_money_and_limits_count_what_the_one_who_answered_used(first: str) -> None:
    second = other_than(first)
    cases = tuple(product(("503 once", "an overload inside a 200, once"), (False, True)))

    async def scenario() -> None:
        config = priced(street_config(first, len(cases), second))
        async with open_shop(**at_providers(config)) as shop:
            for number, (failure, stream) in enumerate(cases):
                buyer = shop.buyer(limits=Limits(tokens=1_000_000))
                plan(shop.world, f"{first}{number}", **ROWS[failure].failure)
                fields: dict[str, Any] = {"model": f"m{number}", "max_tokens": 80, "stream": stream}
                if stream:
                    fields["stream_options"] = {"include_usage": True}
                usage = read(await shop.ask(buyer, **fields), stream=stream).usage
                assert usage is not None
                told = usage.prompt_tokens, usage.completion_tokens
                settlement = shop.settlements[-1]
                assert (settlement.tokens.input, settlement.tokens.output) == told
                assert settlement.charge_nanodollars == cost(*told)
                assert standing(shop.world, f"key:{buyer.key.id}").used_tokens == sum(told)
            assert len(shop.settlements) == len(cases)

    in_virtual_time(scenario)
