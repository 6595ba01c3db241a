"""Chat clients at providers of other dialects, through the whole gateway in virtual time."""

import base64
import struct
from typing import Any

import msgspec
import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from router.simulator import Behaviour, expected_text
from tests.simulated.dialect_world import (
    ACCESS_KEY,
    EMBEDDINGS,
    MODELS,
    OTHERS,
    PNG,
    TOOL,
    UPSTREAM_KEY,
    open_dialects,
    plan,
    received,
    simulator,
)
from tests.simulated.world import ClientAnswer, World, chat_fields, in_virtual_time

HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Hello"}]
FORMS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
DIALECTS = pytest.mark.parametrize("name", OTHERS)


def read(answer: ClientAnswer, *, stream: bool) -> ChatCompletion:
    """What the official SDK makes of an answer."""
    assert answer.status == 200, answer.body
    if not stream:
        return ChatCompletion.model_validate(answer.json())
    *chunks, done = answer.events()
    assert done == b"[DONE]"
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for chunk in chunks:
        found = ChatCompletionChunk.model_validate(msgspec.json.decode(chunk))
        assert found.choices or found.usage, "a chunk without choices that nobody asked for"
        state.handle_chunk(found)
    return state.current_completion_snapshot


async def ask(world: World, *, stream: bool, **fields: Any) -> ChatCompletion:
    """Ask for `m`, with the usage wanted."""
    if stream:
        fields["stream_options"] = {"include_usage": True}
    return read(await world.chat(model="m", stream=stream, **fields), stream=stream)


@DIALECTS
@FORMS
def test_a_chat_is_answered_and_billed_as_its_provider_counted(name: str, stream: bool) -> None:
    async def scenario() -> None:
        async with open_dialects(name) as world:
            plan(world, name, cached_tokens=3, tokens=20)
            found = await ask(world, stream=stream, max_tokens=100)
            [choice] = found.choices
            assert choice.message.content
            assert choice.finish_reason == "stop"
            assert found.model == f"{name}/{MODELS[name]}"
            assert found.id
            if name != "bedrock":  # which names no answers
                assert "req_" not in found.id, "the provider's own name for its answer is lost"
            usage = found.usage
            assert usage is not None
            assert usage.prompt_tokens_details is not None
            assert usage.prompt_tokens_details.cached_tokens == 3
            [(record, bill, _)] = world.gateway.bills
            assert bill.customer is not None
            billed = bill.customer.usage
            assert (billed.input_tokens, billed.output_tokens) == (
                usage.prompt_tokens,
                usage.completion_tokens,
            )
            assert billed.cached_tokens == 3
            assert not billed.estimated
            assert record.provider == name
            await world.leak_check()

    in_virtual_time(scenario)


@DIALECTS
@FORMS
def test_a_tool_is_called_and_its_result_read(name: str, stream: bool) -> None:
    async def scenario() -> None:
        async with open_dialects(name) as world:
            first = await ask(world, stream=stream, tools=[TOOL], tool_choice="required")
            [choice] = first.choices
            assert choice.finish_reason == "tool_calls"
            assert choice.message.tool_calls
            [call] = choice.message.tool_calls
            assert call.type == "function"
            assert call.function.name == "get_weather"
            assert isinstance(msgspec.json.decode(call.function.arguments), dict)
            said = choice.message.model_dump(exclude_none=True, include={"role", "tool_calls"})
            for one in said["tool_calls"]:
                one.pop("index", None)
            result = {"role": "tool", "tool_call_id": call.id, "content": "Rain, 7 degrees."}
            second = await ask(world, stream=stream, tools=[TOOL], messages=[*HELLO, said, result])
            assert second.choices[0].finish_reason == "stop"
            assert "Rain, 7 degrees." in (second.choices[0].message.content or "")
            await world.leak_check()

    in_virtual_time(scenario)


@DIALECTS
def test_an_image_reaches_its_provider(name: str) -> None:
    async def scenario() -> None:
        async with open_dialects(name) as world:
            image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
            asked = [{"type": "text", "text": "What is this?"}, image]
            found = await ask(world, stream=False, messages=[{"role": "user", "content": asked}])
            assert found.choices[0].message.content
            [request] = simulator(world, name).requests
            assert PNG.encode() in request.body

    in_virtual_time(scenario)


BEARER = (b"authorization", b"Bearer " + UPSTREAM_KEY.encode())
PROOFS = {
    "anthropic": (b"x-api-key", UPSTREAM_KEY.encode()),
    "gemini": (b"x-goog-api-key", UPSTREAM_KEY.encode()),
    "cohere": BEARER,
    "vertex": BEARER,
}


@pytest.mark.parametrize("name", PROOFS)
def test_a_key_goes_out_in_the_header_of_its_dialect_only(name: str) -> None:
    async def scenario() -> None:
        async with open_dialects(name) as world:
            await ask(world, stream=False)
            [request] = simulator(world, name).requests
            proofs = [one for one in request.headers if UPSTREAM_KEY.encode() in one[1]]
            assert proofs == [PROOFS[name]]

    in_virtual_time(scenario)


def test_an_access_key_signs_and_its_secret_stays_here() -> None:
    async def scenario() -> None:
        async with open_dialects("bedrock") as world:
            await ask(world, stream=False)
            [request] = simulator(world, "bedrock").requests
            key_id, secret, token = ACCESS_KEY.split(":")
            proof = request.header(b"authorization") or b""
            assert proof.startswith(b"AWS4-HMAC-SHA256 Credential=" + key_id.encode() + b"/")
            assert request.header(b"x-amz-security-token") == token.encode()
            assert not any(secret.encode() in value for _, value in request.headers)

    in_virtual_time(scenario)


@pytest.mark.parametrize("fault", ["error_event_after", "cut_after", "stall_after"])
@DIALECTS
def test_a_stream_that_breaks_in_the_middle_is_told_and_not_paid(name: str, fault: str) -> None:
    async def scenario() -> None:
        async with open_dialects(name) as world:
            plan(world, name, tokens=40, **{fault: 25})  # beyond what Gemini thinks unseen
            answer = await world.chat(model="m", stream=True)
            *_, last = answer.events()
            assert "error" in msgspec.json.decode(last), answer.body
            assert not answer.finished
            assert b"[DONE]" not in answer.body
            assert b'"finish_reason":"stop"' not in answer.body
            [(_, bill, _)] = world.gateway.bills
            assert bill.customer is None
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_request_that_a_dialect_has_no_words_for_is_a_plain_400() -> None:
    async def scenario() -> None:
        async with open_dialects("anthropic") as world:
            fields = {"model": "m", "prompt": "Once", "max_tokens": 5}
            answer = await world.post("/v1/completions", fields)
            assert answer.status == 400
            assert answer.json()["error"]["code"] == "unsupported_endpoint"
            assert received(world, "anthropic") == 0
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize("form", [None, "float", "base64"])
@pytest.mark.parametrize("name", EMBEDDINGS)
def test_embeddings_come_in_the_form_that_was_asked_for(name: str, form: str | None) -> None:
    async def scenario() -> None:
        async with open_dialects(name) as world:
            fields: dict[str, Any] = {
                "model": f"{name}/{EMBEDDINGS[name]}",
                "input": ["one", "two"],
                "dimensions": 768,
            }
            if form is not None:
                fields["encoding_format"] = form
            answer = await world.post("/v1/embeddings", fields)
            assert answer.status == 200, answer.body
            body = answer.json()
            vectors = [one["embedding"] for one in body["data"]]
            if form == "base64":
                raw = [base64.b64decode(vector) for vector in vectors]
                vectors = [list(struct.unpack(f"<{len(one) // 4}f", one)) for one in raw]
            assert [len(vector) for vector in vectors] == [768, 768]
            assert vectors[0] != vectors[1]
            assert body["usage"]["prompt_tokens"] > 0
            if form != "base64":  # which the SDK decodes before it looks
                CreateEmbeddingResponse.model_validate(body)
            [(_, bill, _)] = world.gateway.bills
            assert bill.customer is not None
            assert bill.customer.usage.input_tokens == body["usage"]["prompt_tokens"]
            await world.leak_check()

    in_virtual_time(scenario)


def test_more_texts_than_a_provider_takes_at_once_are_asked_for_in_pieces() -> None:
    async def scenario() -> None:
        async with open_dialects("gemini") as world:
            texts = [f"text number {number}" for number in range(230)]
            fields: dict[str, Any] = {"model": "gemini/gemini-embedding-001", "input": texts}
            answer = await world.post("/v1/embeddings", fields)
            assert answer.status == 200, answer.body
            body = answer.json()
            sizes = [len(one.json()["requests"]) for one in simulator(world, "gemini").requests]
            assert sizes == [100, 100, 30]
            assert [one["index"] for one in body["data"]] == list(range(230))
            for place in (0, 99, 100, 229):
                alone = await world.post("/v1/embeddings", {**fields, "input": texts[place]})
                assert body["data"][place]["embedding"] == alone.json()["data"][0]["embedding"]
            [(_, bill, _), *others] = world.gateway.bills
            assert bill.customer is not None
            assert bill.customer.usage.input_tokens == body["usage"]["prompt_tokens"]
            one = others[0][1].customer
            assert one is not None
            assert bill.customer.usage.input_tokens > 200 * one.usage.input_tokens
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_piece_that_fails_is_the_failure_of_all() -> None:
    async def scenario() -> None:
        async with open_dialects("gemini") as world:
            simulator(world, "gemini").plan(Behaviour(), Behaviour(status=400))
            fields = {"model": "gemini/gemini-embedding-001", "input": ["x"] * 101}
            answer = await world.post("/v1/embeddings", fields)
            assert answer.status == 400
            assert received(world, "gemini") == 2
            [(_, bill, _)] = world.gateway.bills
            [charge] = bill.charges
            assert charge.payer == "operator"
            assert charge.usage.input_tokens > 0, "the first piece was read"
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize("tokens", [[1, 2], [[1, 2]]])
def test_tokens_in_place_of_texts_are_refused(tokens: list[Any]) -> None:
    async def scenario() -> None:
        async with open_dialects("gemini") as world:
            fields = {"model": "gemini/gemini-embedding-001", "input": tokens}
            answer = await world.post("/v1/embeddings", fields)
            assert answer.status == 400
            assert answer.json()["error"]["param"] == "input"
            assert received(world, "gemini") == 0

    in_virtual_time(scenario)


# What each dialect makes of a wish to think: are its thoughts shown, and are they counted apart?
THINKERS = {
    "anthropic": (True, True),
    "gemini": (False, True),
    "vertex": (False, True),
    "bedrock": (True, False),
    "cohere": (True, False),
}


@pytest.mark.parametrize("name", THINKERS)
@FORMS
def test_thinking_is_told_apart_from_the_answer(name: str, stream: bool) -> None:
    async def scenario() -> None:
        shown, counted = THINKERS[name]
        async with open_dialects(name) as world:
            found = await ask(world, stream=stream, reasoning_effort="low")
            message = found.choices[0].message
            assert message.content == expected_text(chat_fields(model=MODELS[name]))
            thoughts = (message.model_extra or {}).get("reasoning_content")
            assert bool(thoughts) == shown
            assert found.usage is not None
            details = found.usage.completion_tokens_details
            told = (details.reasoning_tokens or 0) if details is not None else 0
            assert (told > 0) == counted
            [(_, bill, _)] = world.gateway.bills
            assert bill.customer is not None
            assert bill.customer.usage.reasoning_tokens == told
            await world.leak_check()

    in_virtual_time(scenario)


SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("name", MODELS)
@FORMS
def test_an_answer_has_the_form_that_was_asked_for(name: str, stream: bool) -> None:
    async def scenario() -> None:
        form = {"name": "weather", "schema": SCHEMA, "strict": True}
        wanted = {"type": "json_schema", "json_schema": form}
        async with open_dialects(name) as world:
            found = await ask(world, stream=stream, response_format=wanted)
            [choice] = found.choices
            assert msgspec.json.decode(choice.message.content or "") == {
                "city": "example",
                "degrees": 1,
            }
            assert choice.finish_reason == "stop"
            assert not choice.message.tool_calls
            await world.leak_check()

    in_virtual_time(scenario)
