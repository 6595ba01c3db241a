"""The simulated provider's other dialects on the wire: under Anthropic's SDK, and in virtual time."""

import base64
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import anthropic
import msgspec
import pytest
import trio
from trio.testing import MockClock

from router.simulator import Behaviour, Latency, Profile, Simulator, expected_text
from tests.e2e.provider import serving
from tests.simulated.simulator_wire import Answer, WireClient, chat, connected, still
from tests.unit.simulator_dialects import KEYS, PNG, generate, message

PATIENCE = 60.0
PACED = Profile(ttft=Latency.fixed(0.5), gap=Latency.fixed(0.25), tokens=4)
MODEL = "claude-haiku-4-5-20251001"
ASKED: Any = [{"role": "user", "content": "Hello"}]
CITY: Any = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
WIRES: Any = {
    "anthropic": ("/v1/messages", message(stream=True)),
    "gemini": ("/v1beta/models/m:streamGenerateContent?alt=sse", generate()),
    "vertex": (
        "/v1/projects/p/locations/l/publishers/google/models/m:streamGenerateContent?alt=sse",
        generate(),
    ),
    "bedrock": (
        "/model/m/converse-stream",
        {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]},
    ),
    "cohere": (
        "/v2/chat",
        {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "stream": True},
    ),
}
# What a piece of text looks like in each.
TEXTS = {
    "anthropic": [b'"text_delta"'],
    "gemini": [b'"parts":[{"text":" ', b'"parts":[{"text":"H'],
    "vertex": [b'"parts":[{"text":" ', b'"parts":[{"text":"H'],
    "bedrock": [b'"delta":{"text":'],
    "cohere": [b'"content":{"text":'],
}
DIALECTS = pytest.mark.parametrize("dialect", WIRES)


class Served(NamedTuple):
    """Anthropic's SDK and the provider it talks to."""

    client: anthropic.Anthropic
    simulator: Simulator


@pytest.fixture
def served() -> Iterator[Served]:
    simulator = Simulator(required_keys=["k"])
    with serving(simulator) as port:
        url = f"http://127.0.0.1:{port}"
        with anthropic.Anthropic(
            base_url=url, api_key="k", max_retries=0, timeout=PATIENCE
        ) as client:
            yield Served(client, simulator)


def test_the_sdk_gets_a_message_and_its_stream(served: Served) -> None:
    create: Any = partial(
        served.client.messages.create, model=MODEL, max_tokens=500, messages=ASKED
    )
    whole = create()
    assert [block.type for block in whole.content] == ["text"]
    assert whole.content[0].text == expected_text(chat(model=MODEL))
    with served.client.messages.stream(model=MODEL, max_tokens=500, messages=ASKED) as stream:
        said = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert said == whole.content[0].text
    assert final.usage.output_tokens == whole.usage.output_tokens
    assert (final.stop_reason, whole.stop_reason) == ("end_turn", "end_turn")
    counted = served.client.messages.count_tokens(model=MODEL, messages=ASKED)
    assert counted.input_tokens == whole.usage.input_tokens
    assert whole._request_id is not None
    assert whole._request_id.startswith("req_")


@pytest.mark.parametrize("streamed", [True, False])
def test_the_sdk_runs_a_loop_of_tools_with_thoughts_and_vision(
    served: Served, streamed: bool
) -> None:
    image = {"type": "base64", "media_type": "image/png", "data": PNG}
    look = [{"type": "text", "text": "Look, then the weather."}, {"type": "image", "source": image}]
    messages: list[Any] = [{"role": "user", "content": look}]
    answer: Any = None
    for _ in range(3):
        answer = answered(served.client, messages, streamed=streamed)
        messages.append({"role": "assistant", "content": answer.content})
        calls = [block for block in answer.content if block.type == "tool_use"]
        if not calls:
            break
        assert [call.input for call in calls] == [{"city": "example"}]
        messages.append({"role": "user", "content": [result_of(call.id) for call in calls]})
    assert [block.type for block in messages[1]["content"]] == ["thinking", "text", "tool_use"]
    assert answer.stop_reason == "end_turn"
    assert "The tool answered “sunny”. I received 1 image" in answer.content[-1].text


def answered(client: anthropic.Anthropic, messages: Sequence[Any], *, streamed: bool) -> Any:
    fields: Any = {
        "model": MODEL,
        "max_tokens": 4096,
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "tools": [CITY],
        "messages": messages,
    }
    if not streamed:
        return client.messages.create(**fields)
    with client.messages.stream(**fields) as stream:
        return stream.get_final_message()


def result_of(call_id: str) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": "sunny"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (404, anthropic.NotFoundError),
        (429, anthropic.RateLimitError),
        (529, anthropic.InternalServerError),
    ],
)
def test_the_sdk_raises_what_was_ordered(
    served: Served, status: int, kind: type[anthropic.APIStatusError]
) -> None:
    served.simulator.plan(Behaviour(status=status, retry_after=2))
    with pytest.raises(kind, match="told to fail") as raised:
        served.client.messages.create(model=MODEL, max_tokens=9, messages=ASKED)
    assert raised.value.status_code == status
    assert raised.value.response.headers["retry-after"] == "2"


def test_the_sdk_raises_errors_in_the_middle_of_a_stream(served: Served) -> None:
    served.simulator.plan(Behaviour(error_event_after=3, error_event_status=529))
    said: list[str] = []
    with (
        pytest.raises(anthropic.APIStatusError, match="overloaded_error"),
        served.client.messages.stream(model=MODEL, max_tokens=500, messages=ASKED) as stream,
    ):
        said.extend(stream.text_stream)
    assert expected_text(chat(model=MODEL)).startswith("".join(said))
    assert len(said) == 3


def test_the_sdk_is_told_what_it_sent_wrong(served: Served) -> None:
    with pytest.raises(anthropic.BadRequestError, match="Extra inputs are not permitted"):
        served.client.messages.create(
            model=MODEL, max_tokens=9, messages=ASKED, extra_body={"simulate": {}}
        )
    with pytest.raises(anthropic.RateLimitError):
        served.client.messages.create(
            model=MODEL,
            max_tokens=9,
            messages=ASKED,
            extra_body={"metadata": {"simulate": {"status": 429}}},
        )


async def test_one_process_serves_all_dialects() -> None:
    command = [sys.executable, "-m", "router.simulator", "--tokens", "2", "--key", "k"]
    with trio.fail_after(PATIENCE):
        process = await trio.lowlevel.open_process(
            command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."}
        )
        try:
            assert process.stdout is not None
            line = (await process.stdout.receive_some()).decode()
            port = int(line.removesuffix("/v1\n").rpartition(":")[2])
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                client = WireClient(stream)
                openai = await client.ask(chat(), headers=[("authorization", "Bearer k")])
                anthropics = await asked(client, "anthropic")
                gemini = await asked(client, "gemini")
                others = [await asked(client, name) for name in ("vertex", "bedrock", "cohere")]
            await process.stdout.aclose()
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
    assert openai.json()["usage"]["completion_tokens"] == 2
    assert b'"output_tokens":2}' in anthropics.body
    assert gemini.events()[-1]["usageMetadata"]["candidatesTokenCount"] == 2
    assert [answer.status for answer in others] == [200] * 3
    counts = (b'"candidatesTokenCount":2', b'"outputTokens":2', b'"output_tokens":2}')
    assert all(count in answer.body for count, answer in zip(counts, others, strict=True))


async def asked(client: WireClient, dialect: str) -> Answer:
    path, body = WIRES[dialect]
    return await client.ask(body, path=path, headers=list(KEYS[dialect].items()))


async def streamed_under(dialect: str, behaviour: Behaviour) -> Answer:
    simulator = Simulator(PACED, wall_clock=still)
    simulator.plan(behaviour)
    async with connected(simulator) as client:
        start = trio.current_time()
        answer = await asked(client, dialect)
    chunks = [chunk._replace(at=chunk.at - start) for chunk in answer.chunks]
    return answer._replace(chunks=chunks, end_at=answer.end_at - start)


def tokens_of(dialect: str, answer: Answer) -> int:
    return sum(answer.body.count(mark) for mark in TEXTS[dialect])


@DIALECTS
async def test_tokens_come_at_their_time(dialect: str, autojump_clock: MockClock) -> None:
    answer = await streamed_under(dialect, Behaviour())
    assert tokens_of(dialect, answer) == 4
    times = [chunk.at for chunk in answer.chunks]
    assert sorted(set(times)) == [0.5, 0.75, 1.0, 1.25, 1.5]
    assert answer.whole


@DIALECTS
@pytest.mark.parametrize("after", [0, 2])
async def test_a_cut(dialect: str, after: int, autojump_clock: MockClock) -> None:
    answer = await streamed_under(dialect, Behaviour(cut_after=after))
    assert tokens_of(dialect, answer) == after
    assert not answer.whole
    assert answer.end_at == 0.5 + after * 0.25
    assert b"message_stop" not in answer.body
    assert b"finishReason" not in answer.body
    assert b"messageStop" not in answer.body
    assert b"message-end" not in answer.body


@DIALECTS
async def test_a_stall_lasts_until_the_client_leaves(
    dialect: str, autojump_clock: MockClock
) -> None:
    simulator = Simulator(wall_clock=still)
    simulator.plan(Behaviour(stall_after=1))
    async with connected(simulator) as client:
        with trio.move_on_after(10_000) as waiting:
            await asked(client, dialect)
        assert waiting.cancelled_caught
    assert simulator.aborted == 1


@DIALECTS
async def test_the_form_of_the_bytes(dialect: str, autojump_clock: MockClock) -> None:
    plain = await streamed_under(dialect, Behaviour())
    pieces = await streamed_under(dialect, Behaviour(body_split=5))
    assert pieces.body == plain.body
    squeezed = await streamed_under(dialect, Behaviour(gzip=True))
    assert squeezed.headers["content-encoding"] == "gzip"
    assert len(squeezed.body) < len(plain.body)
    shared = await streamed_under(dialect, Behaviour(coalesce=50))
    assert (len(shared.chunks), shared.body) == (1, plain.body)


async def test_large_images_pass(autojump_clock: MockClock) -> None:
    data = base64.b64encode(base64.b64decode(PNG) + bytes(2_000_000)).decode()
    source = {"type": "base64", "media_type": "image/png", "data": data}
    body = message({"role": "user", "content": [{"type": "image", "source": source}]})
    async with connected(Simulator(wall_clock=still)) as client:
        answer = await client.ask(
            msgspec.json.encode(body), path="/v1/messages", headers=list(KEYS["anthropic"].items())
        )
    assert "2000070 bytes" in answer.json()["content"][0]["text"]
