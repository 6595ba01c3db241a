"""The failure table in exact virtual time: what each failure of the first provider leads to.

Three arrangements meet each failure: another provider in the same tier; a fallback in the next tier; and
nobody else. A backoff is always the longest here, a quarter of a second.
"""

from typing import Any, NamedTuple

import pytest
import trio

from router.config import RaceConfig
from tests.simulated.race_world import (
    AT_ONCE,
    FIRST_BYTE,
    FOREVER,
    LongestWait,
    ask,
    plan,
    race_config,
    received,
    seen,
)
from tests.simulated.world import in_virtual_time, open_world

BACKOFF = 0.25
SLOW = RaceConfig().slow_first_token


class Fate(NamedTuple):
    """When the request is over, how many requests a and b got, and who served or why nobody did."""

    seconds: float
    asked: tuple[int, int]
    outcome: str


class Row(NamedTuple):
    """A failure of `a`, so many times, and the fates in the three arrangements."""

    failure: dict[str, Any]
    times: int
    pooled: Fate
    below: Fate
    alone: Fate


BY_THE_OTHER = Fate(0, (1, 1), "b")
LIMITED = {"status": 429}
ERROR = {"message": "m", "type": "server_error", "code": "server_error"}
ROWS = {
    "reset once": Row(
        {"reset_before_head": True}, 1, BY_THE_OTHER, Fate(0, (2, 0), "a"), Fate(0, (2, 0), "a")
    ),
    "reset for ever": Row(
        {"reset_before_head": True},
        FOREVER,
        BY_THE_OTHER,
        Fate(0, (2, 1), "b"),
        Fate(0, (2, 0), "upstream_unreachable"),
    ),
    "silence": Row(
        {"silence": True},
        FOREVER,
        Fate(SLOW, (1, 1), "b"),
        Fate(SLOW, (1, 1), "b"),
        Fate(FIRST_BYTE, (1, 0), "upstream_timeout"),
    ),
    "a slow first token": Row(
        {"ttft": 20, "gap": 0, "tokens": 3},
        1,
        Fate(SLOW, (1, 1), "b"),
        Fate(SLOW, (1, 1), "b"),
        Fate(20, (1, 0), "a"),
    ),
    "429 with Retry-After 2, once": Row(
        LIMITED | {"retry_after": 2},
        1,
        BY_THE_OTHER,
        Fate(2, (2, 0), "a"),
        Fate(2, (2, 0), "a"),
    ),
    "429 with Retry-After 2, for ever": Row(
        LIMITED | {"retry_after": 2},
        FOREVER,
        BY_THE_OTHER,
        Fate(2, (2, 1), "b"),
        Fate(2, (2, 0), "upstream_rate_limited"),
    ),
    "429 with Retry-After 60": Row(
        LIMITED | {"retry_after": 60},
        FOREVER,
        BY_THE_OTHER,
        BY_THE_OTHER,
        Fate(0, (1, 0), "upstream_rate_limited"),
    ),
    "429 without Retry-After": Row(
        LIMITED,
        FOREVER,
        BY_THE_OTHER,
        BY_THE_OTHER,
        Fate(0, (1, 0), "upstream_rate_limited"),
    ),
    **{
        f"{status} once": Row(
            {"status": status},
            1,
            BY_THE_OTHER,
            Fate(BACKOFF, (2, 0), "a"),
            Fate(BACKOFF, (2, 0), "a"),
        )
        for status in (500, 502, 503, 504, 529)
    },
    "503 for ever": Row(
        {"status": 503},
        FOREVER,
        BY_THE_OTHER,
        Fate(BACKOFF, (2, 1), "b"),
        Fate(BACKOFF, (2, 0), "upstream_overloaded"),
    ),
    "503 with Retry-After 2, once": Row(
        {"status": 503, "retry_after": 2},
        1,
        BY_THE_OTHER,
        Fate(2, (2, 0), "a"),
        Fate(2, (2, 0), "a"),
    ),
    "503 with Retry-After 60": Row(
        {"status": 503, "retry_after": 60},
        FOREVER,
        BY_THE_OTHER,
        BY_THE_OTHER,
        Fate(0, (1, 0), "upstream_overloaded"),
    ),
    **{
        f"{status}": Row(
            {"status": status},
            FOREVER,
            BY_THE_OTHER,
            BY_THE_OTHER,
            Fate(0, (1, 0), "upstream_key_rejected"),
        )
        for status in (401, 402, 403)
    },
    "an error inside a 200, once": Row(
        {"error_event_after": 0, "error": ERROR},
        1,
        BY_THE_OTHER,
        Fate(BACKOFF, (2, 0), "a"),
        Fate(BACKOFF, (2, 0), "a"),
    ),
    "cut before the first token, for ever": Row(
        {"cut_after": 0},
        FOREVER,
        BY_THE_OTHER,
        Fate(0, (2, 1), "b"),
        Fate(0, (2, 0), "upstream_unreachable"),
    ),
}
ARRANGEMENTS = {"pooled": ("ab",), "below": ("a", "b"), "alone": ("a",)}


async def meets(row: Row, arrangement: str, *, stream: bool) -> None:
    expected: Fate = getattr(row, arrangement)
    config = race_config(*ARRANGEMENTS[arrangement])
    async with open_world(AT_ONCE, config=config, hosts="ab", rng=LongestWait(1)) as world:
        plan(world, "a", row.times, **row.failure)
        served = await ask(world, stream=stream, max_tokens=3)
        fate = Fate(
            served.seconds,
            (received(world, "a"), received(world, "b")),
            served.provider or served.code or "",
        )
        assert fate == expected
        if served.status == 200:
            assert served.attempts == sum(expected.asked)
        else:
            assert served.status == 503
            assert served.retry_after is not None
        (line,) = world.log_lines()
        assert line["attempts"] == sum(expected.asked)
        await world.leak_check()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("name", ROWS)
def test_each_failure_leads_where_the_table_says_and_when(
    name: str, arrangement: str, stream: bool
) -> None:
    in_virtual_time(lambda: meets(ROWS[name], arrangement, stream=stream))


@pytest.mark.parametrize(
    ("arrangement", "dials", "outcome"),
    [("pooled", "ab", "b"), ("below", "aab", "b"), ("alone", "aa", "upstream_unreachable")],
)
def test_a_refused_connection_is_tried_again_at_once_where_nobody_stands_beside(
    arrangement: str, dials: str, outcome: str
) -> None:
    async def scenario() -> None:
        config = race_config(*ARRANGEMENTS[arrangement])
        async with open_world(AT_ONCE, config=config, hosts="ab") as world:
            world.unreachable.add("a")
            served = await ask(world)
            assert "".join(world.dials) == dials
            assert served.seconds == 0
            assert (served.provider or served.code) == outcome
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_connection_that_is_never_made_is_given_up_and_not_tried_again() -> None:
    async def scenario() -> None:
        config = race_config("a")
        async with open_world(AT_ONCE, config=config, hosts="a") as world:
            world.dialling = trio.sleep_forever
            served = await ask(world)
            assert (served.seconds, served.code) == (5, "upstream_timeout")
            assert world.dials == ["a"]
            await world.leak_check()

    in_virtual_time(scenario)


TOO_LONG: dict[str, Any] = {
    "status": 400,
    "error": {"message": "too long", "code": "context_length_exceeded"},
}
REFUSED: dict[str, Any] = {
    "status": 400,
    "error": {"message": "no", "code": "content_policy_violation"},
}
REFUSALS: dict[str, tuple[dict[str, Any], int, str]] = {
    "context length": (TOO_LONG, 400, "context_length_exceeded"),
    "content policy": (REFUSED, 400, "content_policy_violation"),
    "404": ({"status": 404, "error": {"message": "what", "code": "x"}}, 404, "x"),
    "422": ({"status": 422, "error": {"message": "what", "code": "y"}}, 422, "y"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_of_the_request_itself_is_asked_of_nobody_else(
    name: str, arrangement: str, stream: bool
) -> None:
    behaviour, status, code = REFUSALS[name]

    async def scenario() -> None:
        config = race_config(*ARRANGEMENTS[arrangement])
        async with open_world(AT_ONCE, config=config, hosts="ab") as world:
            plan(world, "a", **behaviour)
            served = await ask(world, stream=stream)
            assert (served.status, served.code, served.seconds) == (status, code, 0)
            assert seen(world) == "a1 b0"
            for _ in range(10):  # nothing is held against the provider
                plan(world, "a", **behaviour)
                await ask(world, stream=stream)
            assert seen(world) == "a11 b0"
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_prompt_that_was_too_long_goes_to_the_model_with_a_larger_context(stream: bool) -> None:
    async def scenario() -> None:
        config = race_config("a", "b", model={"larger_context": ["c/m"]}, others="c")
        async with open_world(AT_ONCE, config=config, hosts="abc") as world:
            plan(world, "a", **TOO_LONG)
            served = await ask(world, stream=stream)
            assert (served.status, served.provider, served.attempts) == (200, "c", 2)
            assert seen(world) == "a1 b0 c1"
            assert (await ask(world)).provider == "a"
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_prompt_too_long_even_for_the_larger_context_is_told_so() -> None:
    async def scenario() -> None:
        config = race_config("a", model={"larger_context": ["c/m"]}, others="c")
        async with open_world(AT_ONCE, config=config, hosts="ac") as world:
            plan(world, "a", **TOO_LONG)
            plan(world, "c", **TOO_LONG)
            served = await ask(world)
            assert (served.status, served.code) == (400, "context_length_exceeded")
            assert seen(world) == "a1 c1"
            await world.leak_check()

    in_virtual_time(scenario)
