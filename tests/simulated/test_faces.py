"""Clients of Messages and of Responses at providers of every dialect, through the gateway in virtual time."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from anthropic.types import Message
from openai.types.responses import Response

from router.simulator import expected_text
from tests.simulated.dialect_world import MODELS, open_dialects, plan, received, simulator
from tests.simulated.world import ClientAnswer, World, chat_fields, in_virtual_time

MESSAGES = "/v1/messages"
RESPONSES = "/v1/responses"
COUNT = "/v1/messages/count_tokens"
HELLO = [{"role": "user", "content": "Hello"}]
ALL = pytest.mark.parametrize("name", list(MODELS))
FACES = pytest.mark.parametrize("face", [MESSAGES, RESPONSES])


def body_for(face: str, **fields: Any) -> dict[str, Any]:
    if face == RESPONSES:
        return {"model": "m", "input": "Hello", **fields}
    return {"model": "m", "max_tokens": 500, "messages": HELLO, **fields}


def named_events(answer: ClientAnswer) -> list[tuple[str, dict[str, Any]]]:
    """The name and the data of each event; each must have both."""
    found = []
    for block in answer.body.split(b"\n\n"):
        if not block or block.startswith(b":"):
            continue
        name, data = block.split(b"\n")
        assert name.startswith(b"event: ")
        found.append((name[7:].decode(), msgspec.json.decode(data.removeprefix(b"data: "))))
    return found


def text_of(face: str, answer: ClientAnswer) -> str:
    """What an answer says, streamed or whole, once it has been held against the SDK's types."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        events = named_events(answer)
        if face == RESPONSES:
            assert events[-1][0] == "response.completed"
            return Response.model_validate(events[-1][1]["response"]).output_text
        assert events[-1][0] == "message_stop"
        deltas = [data["delta"] for name, data in events if name == "content_block_delta"]
        return "".join(delta.get("text", "") for delta in deltas)
    if face == RESPONSES:
        return Response.model_validate(answer.json()).output_text
    blocks = Message.model_validate(answer.json()).content
    return "".join(block.text for block in blocks if block.type == "text")


async def send(
    world: World, face: str, *, headers: Mapping[str, str] | None = None, **fields: Any
) -> ClientAnswer:
    return await world.post(face, body_for(face, **fields), headers=headers)


@ALL
@FACES
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_every_face_is_answered_by_every_dialect_and_billed(
    face: str, name: str, stream: bool
) -> None:
    async def scenario() -> None:
        async with open_dialects(name) as world:
            answer = await send(world, face, stream=stream)
            assert answer.status == 200, answer.body
            assert answer.finished
            assert text_of(face, answer) == expected_text(chat_fields(model=MODELS[name]))
            assert f'"{name}/{MODELS[name]}"'.encode() in answer.body
            [(record, bill, _)] = world.gateway.bills
            assert record.endpoint == face.rpartition("/")[2]
            assert bill.customer is not None
            assert bill.customer.usage.input_tokens > 0
            assert bill.customer.usage.output_tokens > 0
            assert not bill.customer.usage.estimated
            await world.leak_check()

    in_virtual_time(scenario)


@FACES
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_failed_provider_is_followed_by_one_of_another_dialect(face: str, stream: bool) -> None:
    async def scenario() -> None:
        names = ("anthropic", "gemini", "openai")
        async with open_dialects(*names) as world:
            plan(world, "anthropic", 9, status=529)
            plan(world, "gemini", 9, error_event_after=0, error_event_status=503)
            answer = await send(world, face, stream=stream)
            assert answer.headers["x-syze-provider"] == "openai"
            assert text_of(face, answer) == expected_text(chat_fields(model=MODELS["openai"]))
            assert b'"openai/gpt-4o-mini"' in answer.body
            await world.leak_check()

    in_virtual_time(scenario)


@ALL
@FACES
@pytest.mark.parametrize("fault", ["error_event_after", "cut_after"])
def test_a_stream_that_breaks_says_so_in_the_words_of_its_face(
    face: str, name: str, fault: str
) -> None:
    async def scenario() -> None:
        async with open_dialects(name) as world:
            plan(world, name, tokens=40, **{fault: 25})
            answer = await send(world, face, stream=True)
            events = named_events(answer)
            names = [event for event, _ in events]
            assert not answer.finished
            if face == MESSAGES:
                assert names[-1] == "error"
                assert events[-1][1]["error"]["type"] == "overloaded_error"
                assert events[-1][1]["request_id"] == answer.headers["request-id"]
                assert "message_stop" not in names
            else:
                assert names[-2:] == ["error", "response.failed"]
                assert events[-1][1]["response"]["status"] == "failed"
                assert "response.completed" not in names
            [(_, bill, _)] = world.gateway.bills
            assert bill.customer is None
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize(
    ("fields", "status", "kind"),
    [
        ({"model": "nobody-knows-it"}, 404, "not_found_error"),
        ({"messages": []}, 400, "invalid_request_error"),
        ({"max_tokens": None}, 400, "invalid_request_error"),
    ],
)
def test_errors_of_messages_have_anthropics_form(
    fields: dict[str, Any], status: int, kind: str
) -> None:
    async def scenario() -> None:
        async with open_dialects("openai") as world:
            answer = await send(world, MESSAGES, **fields)
            assert answer.status == status
            told = answer.json()
            assert (told["type"], told["error"]["type"]) == ("error", kind)
            assert told["error"]["message"]
            assert told["request_id"] == answer.headers["x-request-id"]

    in_virtual_time(scenario)


@pytest.mark.parametrize("path", [MESSAGES, COUNT])
def test_wrong_keys_methods_and_full_providers_are_told_in_anthropics_form(path: str) -> None:
    async def scenario() -> None:
        async with open_dialects("openai") as world:
            plan(world, "openai", 9, status=503)
            stranger = await world.post(path, body_for(path), headers={"x-api-key": "sk-wrong"})
            assert stranger.status == 401
            assert stranger.json()["error"]["type"] == "authentication_error"
            method = await world.get(path)
            assert (method.status, method.json()["type"]) == (405, "error")
            assert method.headers["allow"] == "POST"
            if path == MESSAGES:
                away = await send(world, path)
                assert (away.status, away.json()["error"]["type"]) == (503, "overloaded_error")
                assert away.headers["retry-after"]

    in_virtual_time(scenario)


def test_a_client_of_messages_may_send_its_key_as_anthropics_do() -> None:
    async def scenario() -> None:
        async with open_dialects("gemini") as world:
            answer = await send(world, MESSAGES, headers={"x-api-key": world.secret})
            assert answer.status == 200
            [request] = simulator(world, "gemini").requests
            assert all(world.secret.encode() not in value for _, value in request.headers)

    in_virtual_time(scenario)


def test_beta_flags_and_version_go_to_providers_of_anthropics_dialect_only() -> None:
    async def scenario() -> None:
        names = ("anthropic", "gemini", "openai")
        async with open_dialects(*names) as world:
            plan(world, "anthropic", status=529)
            plan(world, "gemini", status=503)
            headers = {
                "x-api-key": world.secret,
                "anthropic-beta": "context-1m-2025-08-07",
                "anthropic-version": "2026-10-21",
            }
            answer = await send(world, MESSAGES, headers=headers)
            assert answer.headers["x-syze-provider"] == "openai"
            [native] = simulator(world, "anthropic").requests
            assert native.header(b"anthropic-beta") == b"context-1m-2025-08-07"
            assert native.header(b"anthropic-version") == b"2026-10-21"
            for name in ("gemini", "openai"):
                [request] = simulator(world, name).requests
                assert request.header(b"anthropic-beta") is None
                assert request.header(b"anthropic-version") is None

    in_virtual_time(scenario)


def test_tokens_are_counted_without_asking_or_charging_anybody() -> None:
    async def scenario() -> None:
        async with open_dialects("openai") as world:
            short = await world.post(COUNT + "?beta=true", {"model": "m", "messages": HELLO})
            asked = [{"role": "user", "content": "Hello " * 500}]
            long = await world.post(COUNT, {"model": "m", "messages": asked})
            assert set(short.json()) == {"input_tokens"}
            assert 0 < short.json()["input_tokens"] < 100 < long.json()["input_tokens"] < 2_000
            unknown = await world.post(COUNT, {"model": "none-such", "messages": HELLO})
            assert (unknown.status, unknown.json()["type"]) == (404, "error")
            assert received(world, "openai") == 0
            assert world.gateway.bills == []
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_response_cannot_be_had_again() -> None:
    async def scenario() -> None:
        async with open_dialects("openai") as world:
            made = await send(world, RESPONSES)
            headers = {"authorization": f"Bearer {world.secret}"}
            again = await world.get(f"{RESPONSES}/{made.json()['id']}", headers=headers)
            assert again.status == 404
            assert again.json()["error"]["code"] == "response_not_found"
            before = await send(world, RESPONSES, previous_response_id=made.json()["id"])
            assert before.status == 400
            assert before.json()["error"]["param"] == "previous_response_id"
            assert received(world, "openai") == 1

    in_virtual_time(scenario)
