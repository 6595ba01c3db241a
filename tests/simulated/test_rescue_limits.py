"""Streams that are not rescued, and rescues that fail or are given up: the client is told of the break."""

from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from router.simulator import Behaviour, Latency, Profile, SeenRequest, expected_tokens
from tests.simulated.rescue_world import (
    CHAT,
    LONG_ENOUGH,
    OTHER,
    RESCUER,
    STORY,
    UPSTREAM_MODEL,
    chunks,
    plan,
    rescue_config,
    rescue_world,
    said,
    story_fields,
)
from tests.simulated.world import Client, ClientAnswer, in_virtual_time

TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
CUT = Behaviour(cut_after=5)
PLAIN = SeenRequest(b"GET", b"/v1/models", [], b"")
SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}


def assert_told_of_the_break(answer: ClientAnswer, code: str = "upstream_stream_broken") -> None:
    assert chunks(answer)[-1]["error"]["code"] == code
    assert b"[DONE]" not in answer.body
    assert not answer.finished


def begun(count: int) -> str:
    return "".join(expected_tokens({**story_fields(), "model": UPSTREAM_MODEL})[:count])


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": TOOLS, "tool_choice": "required"},
        {"n": 2},
        {"logprobs": True},
        {"response_format": {"type": "json_object"}},
        {"response_format": SCHEMA},
        {"response_format": {"type": "something_new"}},
        {
            "messages": [
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": "Hello "},
            ]
        },
    ],
    ids=str,
)
def test_only_plain_text_whose_rest_could_be_asked_for_is_rescued(fields: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with rescue_world() as world:
            plan(world, Behaviour(cut_after=1), OTHER)
            answer = await world.post(CHAT, story_fields(**fields))
            assert_told_of_the_break(answer)
            assert not world.simulators["two"].requests
            assert "rescuer" not in world.log_lines()[-1]
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": TOOLS, "tool_choice": "none"},
        {"n": 1},
        {"logprobs": False},
        {"logprobs": None},
        {"response_format": {"type": "text"}},
        {"max_completion_tokens": 1000},
    ],
    ids=str,
)
def test_fields_that_change_nothing_of_that_do_not_stand_in_the_way(fields: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with rescue_world() as world:
            plan(world, CUT, OTHER)
            answer = await world.post(CHAT, {**story_fields(), **fields})
            assert answer.finished
            assert world.log_lines()[-1]["rescuer"] == "anthropic"

    in_virtual_time(scenario)


@pytest.mark.parametrize("path", ["/v1/completions"])
def test_a_legacy_completion_is_not_rescued(path: str) -> None:
    async def scenario() -> None:
        async with rescue_world() as world:
            plan(world, CUT, OTHER)
            answer = await world.post(path, {"model": STORY, "prompt": "Hello", "stream": True})
            assert_told_of_the_break(answer)
            assert not world.simulators["two"].requests

    in_virtual_time(scenario)


@pytest.mark.parametrize("value", ["off", " OFF "])
def test_the_client_may_refuse_to_be_rescued(value: str) -> None:
    async def scenario() -> None:
        async with rescue_world() as world:
            plan(world, CUT, OTHER)
            asked = {"authorization": f"Bearer {world.secret}", "X-Syze-Rescue": value}
            answer = await world.post(CHAT, story_fields(), headers=asked)
            assert_told_of_the_break(answer)
            assert said(answer) == begun(5)
            assert not world.simulators["two"].requests
            await world.leak_check()

    in_virtual_time(scenario)


def test_without_a_candidate_that_takes_a_prefill_there_is_no_rescue() -> None:
    async def scenario() -> None:
        async with rescue_world(config=rescue_config(fallbacks=[])) as world:
            world.simulators["one"].plan(CUT)
            assert_told_of_the_break(await world.post(CHAT, story_fields()))
            await world.leak_check()

    in_virtual_time(scenario)


def test_whoever_broke_is_not_asked_for_the_rest() -> None:
    async def scenario() -> None:
        async with rescue_world() as world:
            world.simulators["two"].plan(CUT)
            answer = await world.post(CHAT, story_fields(model=RESCUER))
            assert_told_of_the_break(answer)
            assert len(world.simulators["two"].requests) == 1
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_client_that_wants_no_fallbacks_is_not_rescued_by_one() -> None:
    async def scenario() -> None:
        async with rescue_world() as world:
            plan(world, CUT, OTHER)
            wish = {"allow_fallbacks": False}
            assert_told_of_the_break(await world.post(CHAT, story_fields(provider=wish)))
            assert not world.simulators["two"].requests

    in_virtual_time(scenario)


@pytest.mark.parametrize(
    "refusal",
    [
        {"prefill": "refuse"},
        {"status": 422},
        {"status": 404},
        {"status": 401},
        {"status": 429},
        {"status": 500},
        {"reset_before_head": True},
        {"error_event_after": 0},
        {"cut_after": 0},
    ],
    ids=str,
)
def test_the_client_never_sees_why_a_rescue_failed(refusal: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with rescue_world() as world:
            plan(world, CUT, *[Behaviour(**refusal)] * 2)
            answer = await world.post(CHAT, story_fields())
            assert_told_of_the_break(answer)
            assert said(answer) == begun(5)
            assert chunks(answer)[-1]["error"]["message"].startswith("The provider first cut")
            (line,) = world.log_lines()
            assert line["attempts"] == 1 + len(world.simulators["two"].requests)
            assert line["outcome"] == "cut"
            assert "rescuer" not in line
            await world.leak_check()

    in_virtual_time(scenario)


def test_an_error_about_the_request_itself_is_not_rescued() -> None:
    async def scenario() -> None:
        async with rescue_world() as world:
            error = {"message": "No.", "code": "content_filter"}
            plan(world, Behaviour(error_event_after=5, error=error), OTHER)
            answer = await world.post(CHAT, story_fields())
            assert_told_of_the_break(answer, "content_filter")
            assert not world.simulators["two"].requests
            await world.leak_check()

    in_virtual_time(scenario)


def test_an_answer_that_has_used_up_its_tokens_is_not_asked_for_more() -> None:
    async def scenario() -> None:
        async with rescue_world() as world:
            plan(world, CUT, OTHER)
            assert_told_of_the_break(await world.post(CHAT, story_fields(max_tokens=5)))
            assert not world.simulators["two"].requests

    in_virtual_time(scenario)


def test_a_rescue_is_paid_for_by_the_budget_of_all_extra_attempts() -> None:
    async def scenario() -> None:
        async with rescue_world(config=rescue_config(budget_burst=2, budget_ratio=0)) as world:
            for _ in range(4):
                plan(world, CUT, OTHER)
                await world.post(CHAT, story_fields())
            rescued = ["rescuer" in line for line in world.log_lines()]
            assert rescued == [True, True, False, False]
            await trio.sleep(LONG_ENOUGH)
            plan(world, CUT)
            answer = await world.post(CHAT, story_fields())
            assert answer.finished

    in_virtual_time(scenario)


def test_a_rescue_counts_among_the_attempts_of_its_request() -> None:
    async def scenario() -> None:
        async with rescue_world(config=rescue_config(max_attempts=1)) as world:
            plan(world, CUT, OTHER)
            assert_told_of_the_break(await world.post(CHAT, story_fields()))
            assert not world.simulators["two"].requests

    in_virtual_time(scenario)


@pytest.mark.parametrize(
    ("rescuer", "leaves_at"),
    [({"ttft": 30.0}, 7.0), ({"silence": True}, 7.0), ({"gap": 1.0}, 7.0)],
    ids=["while it is opened", "while it is silent", "while it goes on"],
)
def test_a_client_that_leaves_ends_the_rescue_at_once(
    rescuer: dict[str, Any], leaves_at: float
) -> None:
    async def scenario() -> None:
        async with rescue_world(Profile(gap=Latency.fixed(1.0))) as world:
            plan(world, CUT, Behaviour(**rescuer))
            client = Client(msgspec.json.encode(story_fields()))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(world.run, client, CHAT)
                await trio.sleep(leaves_at)
                assert world.simulators["two"].open_exchanges == 1
                client.leave()
                await trio.testing.wait_all_tasks_blocked()
                assert world.simulators["two"].aborted == 1
            await world.leak_check()
            (line,) = world.log_lines()
            assert (line["outcome"], line["attempts"]) == ("client_gone", 2)

    in_virtual_time(scenario)


def test_no_leak_when_a_rescued_request_is_cancelled_at_any_checkpoint() -> None:
    class CancelAfter(trio.abc.Instrument):
        def __init__(self, steps: int) -> None:
            self.left = steps
            self.scope = trio.CancelScope()

        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            self.left -= 1
            if self.left == 0:
                self.scope.cancel()

    async def scenario() -> None:
        async with rescue_world() as world:
            for steps in range(1, 2000):
                plan(world, CUT, msgspec.structs.replace(OTHER, cut_after=8))
                after = CancelAfter(steps)
                trio.lowlevel.add_instrument(after)
                with after.scope:
                    await world.run(Client(msgspec.json.encode(story_fields())), CHAT)
                trio.lowlevel.remove_instrument(after)
                await world.leak_check()
                for simulator in world.simulators.values():
                    while simulator.planned:
                        simulator.answer(PLAIN)
                await trio.sleep(LONG_ENOUGH)
                if not after.scope.cancelled_caught and after.left > 0:
                    return
            raise AssertionError("the request never got through")

    in_virtual_time(scenario)


def test_the_total_limit_holds_for_both_parts_together() -> None:
    async def scenario() -> None:
        config = rescue_config(total=12.0)
        async with rescue_world(Profile(gap=Latency.fixed(1.0)), config=config) as world:
            plan(world, CUT, OTHER)
            answer = await world.post(CHAT, story_fields())
            assert_told_of_the_break(answer, "upstream_timeout")
            assert answer.pieces[-1][0] == pytest.approx(12.0)
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_client_that_does_not_read_does_not_keep_a_rescue_that_was_won() -> None:
    """Its comment blocks while the rescue is won; when it leaves, both are let go of."""

    async def scenario() -> None:
        async with rescue_world() as world:
            plan(world, CUT, msgspec.structs.replace(OTHER, ttft=4.0))
            client = Client(msgspec.json.encode(story_fields()))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(world.run, client, CHAT)
                await trio.sleep(1.0)
                client.reading = trio.Event()
                await trio.sleep(5.0)
                client.leave()
                await trio.testing.wait_all_tasks_blocked()
                assert world.gateway.observer.in_flight == 0
            await world.leak_check()

    in_virtual_time(scenario)
