"""The seam of a rescued stream: exact wherever the first one broke, however it broke (design section 6)."""

from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from router.simulator import Behaviour, Latency, Profile, expected_text, expected_tokens
from tests.simulated.rescue_world import (
    CHAT,
    FIRST,
    LONG_ENOUGH,
    OTHER,
    UPSTREAM_MODEL,
    CutStream,
    chunks,
    plan,
    rescue_config,
    rescue_world,
    said,
    story_fields,
    whole_text,
)
from tests.simulated.world import in_virtual_time

TOKENS = len(expected_tokens({**story_fields(), "model": UPSTREAM_MODEL}))
USAGE = {"include_usage": True}
BREAKS: dict[str, dict[str, Any]] = {
    "cut": {"cut_after": 7},
    "stall": {"stall_after": 7},
    "error event": {"error_event_after": 7},
    "overload event": {"error_event_after": 7, "error": {"message": "m", "code": "slow_down"}},
    "rate event": {"error_event_after": 7, "error": {"message": "m", "code": 429}},
    "unfinished event": {"cut_after": 7, "malformed_at": 6},
}
FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no role": {"no_role": True},
    "crlf": {"crlf": True, "body_split": 3},
    "gzip": {"gzip": True},
    "at once": {"coalesce": 10_000},
    "no done": {"omit_done": True},
    "usage on the last chunk": {"usage_on_last_chunk": True},
}


def assert_one_stream(answer: Any, text: str) -> None:
    """One answer to the eye of the client: whole text, one role, one end, one id, one name."""
    events = chunks(answer)
    choices = [choice for event in events for choice in event["choices"]]
    assert said(answer) == text
    assert answer.events()[-1] == b"[DONE]"
    assert answer.finished
    assert [c["delta"]["role"] for c in choices if "role" in c["delta"]] == ["assistant"]
    assert [c["finish_reason"] for c in choices if c["finish_reason"]] == ["stop"]
    assert choices[-1]["finish_reason"] == "stop"
    assert len({(e["id"], e["created"], e["model"]) for e in events}) == 1
    assert events[0]["created"] == 1_800_000_000
    assert events[0]["model"] == FIRST


def test_the_seam_is_exact_after_every_token() -> None:
    async def scenario() -> None:
        async with rescue_world() as world:
            for token in range(1, TOKENS + 1):
                plan(world, Behaviour(cut_after=token), OTHER)
                answer = await world.post(CHAT, story_fields())
                assert_one_stream(answer, whole_text())
                line = world.log_lines()[-1]
                assert (line["provider"], line["rescuer"]) == ("first", "anthropic")
                assert (line["attempts"], line["outcome"]) == (2, "ok")
                assert line["events"] == len(answer.events())
                assert not world.simulators["two"].planned
                await trio.sleep(LONG_ENOUGH)
            await world.leak_check()

    in_virtual_time(scenario)


def test_the_seam_is_exact_wherever_in_its_bytes_a_stream_is_cut() -> None:
    """Within an event, a JSON string, a character of several bytes, a chunk of the encoding."""

    async def scenario() -> None:
        async with rescue_world() as world:
            plain, rescued = world.pair, 0
            for after in range(100, 10_000, 31):
                cuts = [after]

                def pair(left: list[int] = cuts) -> tuple[trio.abc.Stream, trio.abc.Stream]:
                    ours, theirs = plain()
                    return ours, CutStream(theirs, left.pop()) if left else theirs

                world.pair = pair
                world.simulators["two"].plan(OTHER)
                answer = await world.post(CHAT, story_fields())
                assert said(answer) == whole_text(), after
                assert answer.finished, after
                if "rescuer" in world.log_lines()[-1]:
                    assert_one_stream(answer, whole_text())
                    rescued += 1
                world.gateway.client.close_idle(trio.current_time() + LONG_ENOUGH)
                await trio.sleep(LONG_ENOUGH)
            assert rescued > 100
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("form", FORMS)
def test_the_seam_is_exact_however_the_stream_breaks_and_whatever_the_rescuer_writes_like(
    how: str, form: str
) -> None:
    async def scenario() -> None:
        async with rescue_world() as world:
            rescuer = msgspec.structs.replace(OTHER, **FORMS[form])
            plan(world, Behaviour(**BREAKS[how]), rescuer)
            answer = await world.post(CHAT, story_fields(stream_options=USAGE))
            *events, usage = chunks(answer)
            assert usage["choices"] == []
            assert said(answer) == whole_text()
            assert len({(e["id"], e["created"], e["model"]) for e in [*events, usage]}) == 1
            assert sum(c["finish_reason"] == "stop" for e in events for c in e["choices"]) == 1
            assert sum("role" in c["delta"] for e in events for c in e["choices"]) == 1
            assert all(event.get("usage") is None for event in events)
            await world.leak_check()

    in_virtual_time(scenario)


def test_the_rescuer_gets_the_clients_request_with_the_text_so_far_as_its_last_message() -> None:
    async def scenario() -> None:
        async with rescue_world() as world:
            plan(world, Behaviour(cut_after=5), OTHER)
            fields = story_fields(max_tokens=12, temperature=0.5, x_unknown={"a": [1, "\u00e9"]})
            answer = await world.post(CHAT, fields)
            sent = world.simulators["two"].requests[-1].json()
            begun = "".join(expected_tokens({**story_fields(), "model": UPSTREAM_MODEL})[:5])
            assert sent["messages"] == [
                *fields["messages"],
                {"role": "assistant", "content": begun},
            ]
            assert sent["max_tokens"] == 7
            assert (sent["temperature"], sent["x_unknown"]) == (0.5, {"a": [1, "\u00e9"]})
            assert said(answer) == whole_text(max_tokens=12)
            assert chunks(answer)[-1]["choices"][0]["finish_reason"] == "length"

    in_virtual_time(scenario)


def test_a_rescuer_with_words_of_its_own_is_passed_on_from_its_first_to_its_last() -> None:
    """Another model does not go on as the first would have, but the seam is as exact."""

    async def scenario() -> None:
        other = "claude-sonnet-4-5"
        config = rescue_config(fallbacks=[f"anthropic/{other}"], models=[other])
        async with rescue_world(config=config) as world:
            plan(world, Behaviour(cut_after=5), OTHER)
            answer = await world.post(CHAT, story_fields())
            begun = "".join(expected_tokens({**story_fields(), "model": UPSTREAM_MODEL})[:5])
            rest = expected_text(world.simulators["two"].requests[-1].json())
            assert other in rest
            assert_one_stream(answer, begun + rest)

    in_virtual_time(scenario)


def test_a_rescuer_that_repeats_a_long_beginning_says_it_once() -> None:
    async def scenario() -> None:
        async with rescue_world() as world:
            for token in range(1, TOKENS + 1):
                plan(
                    world,
                    Behaviour(cut_after=token),
                    msgspec.structs.replace(OTHER, prefill="echo"),
                )
                answer = await world.post(CHAT, story_fields())
                begun = "".join(
                    expected_tokens({**story_fields(), "model": UPSTREAM_MODEL})[:token]
                )
                doubled = begun + whole_text()  # what is too short is not taken for an echo
                assert_one_stream(answer, whole_text() if len(begun) >= 64 else doubled)
                await trio.sleep(LONG_ENOUGH)

    in_virtual_time(scenario)


def test_usage_is_what_was_produced_for_the_client_once() -> None:
    async def scenario() -> None:
        async with rescue_world() as world:
            whole = await world.post(CHAT, story_fields(stream_options=USAGE))
            alone = chunks(whole)[-1]["usage"]
            plan(world, Behaviour(cut_after=9), OTHER)
            answer = await world.post(CHAT, story_fields(stream_options=USAGE))
            usage = chunks(answer)[-1]["usage"]
            rescuer = world.simulators["two"].requests[-1].json()
            assert len(rescuer["messages"]) == 2
            assert usage["completion_tokens"] == alone["completion_tokens"] == TOKENS
            # Nine tokens of what the rescuer has read had been produced, not sent by the client.
            begun = "".join(expected_tokens({**story_fields(), "model": UPSTREAM_MODEL})[:9])
            read = alone["prompt_tokens"] + 4 + -(-len(begun) // 4)
            assert usage["prompt_tokens"] == read - 9
            assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
            first, second = world.log_lines()
            assert (first["usage_estimated"], second["usage_estimated"]) == (False, True)
            assert second["output_tokens"] == TOKENS
            assert second["input_tokens"] == usage["prompt_tokens"]

    in_virtual_time(scenario)


def test_the_client_hears_that_the_stream_lives_while_it_is_being_rescued() -> None:
    async def scenario() -> None:
        async with rescue_world() as world:
            plan(world, Behaviour(cut_after=5), msgspec.structs.replace(OTHER, ttft=10.0))
            answer = await world.post(CHAT, story_fields())
            comments = [at for at, piece in answer.pieces if piece == b": keep-alive\n\n"]
            assert comments == [pytest.approx(answer.head_at + wait) for wait in (3, 6, 9)]
            assert_one_stream(answer, whole_text())
            assert answer.pieces[-1][0] == pytest.approx(answer.head_at + 10)

    in_virtual_time(scenario)


def test_a_stall_is_rescued_at_the_idle_limit() -> None:
    async def scenario() -> None:
        async with rescue_world(config=rescue_config(idle=8.0)) as world:
            plan(world, Behaviour(stall_after=5), OTHER)
            answer = await world.post(CHAT, story_fields())
            assert_one_stream(answer, whole_text())
            assert answer.pieces[-1][0] == pytest.approx(answer.head_at + 8)
            assert world.simulators["one"].aborted == 1
            await world.leak_check()

    in_virtual_time(scenario)


def test_the_rescuers_stream_has_the_idle_limit_too() -> None:
    async def scenario() -> None:
        pace = Profile(gap=Latency.fixed(1.0))
        async with rescue_world(pace, config=rescue_config(idle=8.0)) as world:
            plan(world, Behaviour(cut_after=5), msgspec.structs.replace(OTHER, stall_after=3))
            answer = await world.post(CHAT, story_fields())
            begun = expected_tokens({**story_fields(), "model": UPSTREAM_MODEL})[:8]
            assert said(answer) == "".join(begun)
            assert chunks(answer)[-1]["error"]["code"] == "upstream_stream_broken"
            # 5 s to the cut, 2 s to the rescuer's third token, 8 s of silence.
            assert answer.pieces[-1][0] == pytest.approx(15)
            assert not answer.finished
            await world.leak_check()

    in_virtual_time(scenario)


@given(first=st.integers(1, TOKENS), second=st.integers(0, TOKENS))
def test_nothing_is_doubled_or_lost_if_the_rescue_breaks_as_well(first: int, second: int) -> None:
    """The client has a beginning of the answer and knows that it is one; or it has the whole."""

    async def scenario() -> None:
        async with rescue_world() as world:
            world.simulators["one"].plan(Behaviour(cut_after=first))
            world.simulators["two"].plan(*[Behaviour(cut_after=second)] * 3)
            answer = await world.post(CHAT, story_fields())
            tokens = expected_tokens({**story_fields(), "model": UPSTREAM_MODEL})
            assert said(answer) == "".join(tokens[: first + second])
            assert answer.finished == (first + second > TOKENS)
            if not answer.finished:
                assert b"[DONE]" not in answer.body
                assert chunks(answer)[-1]["error"]["code"] == "upstream_stream_broken"
            await world.leak_check()

    in_virtual_time(scenario)
