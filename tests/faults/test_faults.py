"""The table of faults by phase, for a gateway with one candidate a model.

Each row says what the provider does and what the client must see; each ends with the leak check.
"""

from typing import Any

import msgspec
import pytest

from router.routing.backoff import FIRST_SECONDS
from tests.simulated.world import World, chat_fields, in_virtual_time, open_world


class Row(msgspec.Struct, frozen=True):
    """A provider's behaviour, and the status and error code the client gets before any byte."""

    behaviour: dict[str, Any]
    status: int
    code: str | None
    within: float = 0.0  # virtual seconds the refusal takes: exact, but for a retry's backoff
    retried: bool = False  # once, since the only candidate is alone in its tier


def error(message: str, **fields: Any) -> dict[str, Any]:
    return {"message": message, **fields}


REFUSED_BEFORE_ANY_BYTE = {
    "reset before the head": Row(
        {"reset_before_head": True}, 503, "upstream_unreachable", retried=True
    ),
    "silence until the first-byte limit": Row({"silence": True}, 503, "upstream_timeout", 30.0),
    "429": Row({"status": 429, "retry_after": 7}, 503, "upstream_rate_limited"),
    "500": Row({"status": 500}, 503, "upstream_overloaded", retried=True),
    "502": Row({"status": 502, "error": "bad gateway"}, 503, "upstream_overloaded", retried=True),
    "529": Row({"status": 529}, 503, "upstream_overloaded", retried=True),
    "401": Row({"status": 401}, 503, "upstream_key_rejected"),
    "402": Row({"status": 402}, 503, "upstream_key_rejected"),
    "403": Row({"status": 403}, 503, "upstream_key_rejected"),
    "429 for want of quota": Row(
        {"status": 429, "error": error("no quota", code="insufficient_quota")},
        503,
        "upstream_key_rejected",
    ),
    "400 of the client's making": Row(
        {"status": 400, "error": error("odd", code="odd_code", param="n")}, 400, "odd_code"
    ),
    "context length": Row(
        {"status": 400, "error": error("too long", code="context_length_exceeded")},
        400,
        "context_length_exceeded",
    ),
    "content policy": Row(
        {"status": 400, "error": error("no", code="content_policy_violation")},
        400,
        "content_policy_violation",
    ),
    "422": Row({"status": 422, "error": error("unprocessable")}, 422, None),
}
STREAMS_BROKEN_BEFORE_COMMIT = {
    "error event first": Row({"error_event_after": 0}, 503, "upstream_overloaded", retried=True),
    "cut after the role": Row({"cut_after": 0}, 503, "upstream_unreachable", retried=True),
    "stall after the role": Row({"stall_after": 0}, 503, "upstream_timeout", 30.0),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", REFUSED_BEFORE_ANY_BYTE)
def test_a_fault_before_any_byte_is_an_honest_status(name: str, stream: bool) -> None:
    check_refusal(REFUSED_BEFORE_ANY_BYTE[name], stream=stream)


@pytest.mark.parametrize("name", STREAMS_BROKEN_BEFORE_COMMIT)
def test_a_fault_inside_a_200_before_the_first_token_is_an_honest_status(name: str) -> None:
    check_refusal(STREAMS_BROKEN_BEFORE_COMMIT[name], stream=True)


def check_refusal(row: Row, *, stream: bool) -> None:
    async def scenario() -> None:
        async with open_world() as world:
            answer = await world.chat(simulate=row.behaviour, stream=stream)
            assert answer.status == row.status, answer.body
            assert answer.json()["error"]["code"] == row.code
            assert answer.finished
            assert answer.headers["x-request-id"].startswith("req_")
            if row.status == 503:
                dead = 60 if row.code == "upstream_key_rejected" else 15  # until its key is probed
                assert int(answer.headers["retry-after"]) == row.behaviour.get("retry_after", dead)
            await world.leak_check()
            (line,) = world.log_lines()
            assert line["status"] == row.status
            assert line["attempts"] == len(world.simulator.requests) == 1 + row.retried
            slack = FIRST_SECONDS if row.retried else 1e-3
            assert row.within <= line["duration_seconds"] <= row.within + slack

    in_virtual_time(scenario)


BROKEN_AFTER_COMMIT = {
    "cut": ({"cut_after": 3}, "upstream_stream_broken", 0.0),
    "end without a finish": ({"error_event_after": 3}, "upstream_overloaded", 0.0),
    "stall until the idle limit": ({"stall_after": 3}, "upstream_stream_broken", 20.0),
}


@pytest.mark.parametrize("name", BROKEN_AFTER_COMMIT)
def test_i5_a_stream_broken_after_its_first_token_is_never_presented_as_complete(name: str) -> None:
    behaviour, code, seconds = BROKEN_AFTER_COMMIT[name]

    async def scenario() -> None:
        async with open_world() as world:
            answer = await world.chat(simulate=behaviour, stream=True)
            *tokens, last = answer.events()
            assert answer.status == 200
            assert len([t for t in tokens if b'"content"' in t]) >= 3
            assert msgspec.json.decode(last)["error"]["code"] == code
            assert b"[DONE]" not in answer.body
            assert not answer.finished
            await world.leak_check()
            (line,) = world.log_lines()
            assert line["outcome"] == "cut"
            assert line["duration_seconds"] == pytest.approx(seconds)

    in_virtual_time(scenario)


@pytest.mark.parametrize("fault", [{"cut_after": 3}, {"malformed_at": 3}])
def test_i5_a_whole_answer_that_broke_is_a_503(fault: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with open_world() as world:
            answer = await world.chat(simulate=fault)
            assert answer.status == 503
            assert answer.json()["error"]["type"] == "server_error"
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_malformed_event_is_skipped_and_the_stream_goes_on() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            whole = await world.chat(stream=True)
            answer = await world.chat(stream=True, simulate={"malformed_at": 3})
            assert answer.text() == whole.text()
            assert answer.events()[-1] == b"[DONE]"
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_complete_stream_without_done_is_finalised_at_once() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            answer = await world.chat(stream=True, simulate={"omit_done": True})
            assert answer.events()[-1] == b"[DONE]"
            assert answer.finished
            await world.leak_check()
            assert world.log_lines()[0]["outcome"] == "ok"

    in_virtual_time(scenario)


def test_the_body_ends_right_after_done_whatever_the_upstream_does() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            answer = await world.chat(stream=True, simulate={"keep_open_after_done": 50.0})
            assert answer.finished
            assert answer.pieces[-1][0] == answer.pieces[0][0]
            await world.leak_check()
            assert world.log_lines()[0]["duration_seconds"] <= 0.2

    in_virtual_time(scenario)


def test_refused_connections_are_a_503_that_names_no_secret() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            world.refuse_connections = True
            for stream in (False, True):
                answer = await world.chat(stream=stream)
                assert answer.status == 503
                assert answer.json()["error"]["code"] == "upstream_unreachable"
            await world.leak_check()

    in_virtual_time(scenario)


def test_an_idle_connection_that_turns_out_closed_is_replaced_unseen() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            first = await world.chat(simulate={"hang_up": True})
            second = await world.chat()
            assert (first.status, second.status) == (200, 200)
            await world.leak_check()

    in_virtual_time(scenario)


async def _serve_twice(world: World) -> None:
    await world.chat()
    await world.chat()


def test_upstream_connections_are_kept_alive_also_after_streams() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            await world.chat(stream=True)
            await _serve_twice(world)
            await world.post("/v1/chat/completions", chat_fields(stream=True))
            await world.leak_check()
            assert world.gateway.client.snapshot().idle == 1
            assert world.simulator.open_connections == 1

    in_virtual_time(scenario)
