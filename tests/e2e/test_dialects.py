"""The official SDKs at a real gateway over every dialect; Vertex AI is asked by a service account."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import anthropic
import openai
import pytest

from router.simulator import Simulator
from tests.e2e.gateway import Gateway, environ_of
from tests.e2e.process import GatewayProcess
from tests.simulated.dialect_world import EMBEDDINGS, MODELS, PNG, PREFIX
from tests.simulated.service_account import key_file

ASKED: Any = [{"role": "user", "content": "Hello"}]
SCHEMA: Any = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
ALL = pytest.mark.parametrize("model", [f"{name}/{model}" for name, model in MODELS.items()])
KEYS = {"vertex": "file:account.json"}
STREAMED = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])


class Spoken(NamedTuple):
    """A gateway over every dialect, and a client of each SDK."""

    gateway: Gateway
    anthropic: anthropic.Anthropic
    openai: openai.OpenAI


@pytest.fixture(scope="module")
def spoken(
    provider: Simulator, provider_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Spoken]:
    folder = tmp_path_factory.mktemp("dialects")
    config = folder / "syze.toml"
    config.write_text(_toml(provider_port))
    token_uri = f"http://127.0.0.1:{provider_port}/token"
    (folder / "account.json").write_text(key_file(token_uri=token_uri))
    with ExitStack() as stack:
        arguments = ["serve", "--config", str(config)]
        process = GatewayProcess(arguments, folder=folder, environ=environ_of(folder))
        gateway = Gateway(stack.enter_context(process), provider, config=config)
        claude = anthropic.Anthropic(
            api_key=gateway.key,
            base_url=gateway.root_url,
            max_retries=0,
            timeout=20,
        )
        gpt = openai.OpenAI(
            api_key=gateway.key, base_url=gateway.base_url, max_retries=0, timeout=20
        )
        yield Spoken(gateway, stack.enter_context(claude), stack.enter_context(gpt))


@pytest.fixture(autouse=True)
def nothing_left(spoken: Spoken) -> Iterator[None]:
    yield
    spoken.gateway.leak_check()


def _toml(port: int) -> str:
    providers = "".join(
        f"""
[providers.{name}]
dialect = "{name}"
base_url = "http://127.0.0.1:{port}/{name}{PREFIX[name]}"
key = "{KEYS.get(name, "env:UPSTREAM_KEY")}"
models = {json.dumps([model, *([EMBEDDINGS[name]] if name in EMBEDDINGS else [])])}
"""
        for name, model in MODELS.items()
    )
    return f"""
[server]
bind = ["127.0.0.1:0"]
[store]
path = "keys.db"
[log]
format = "json"
[limits]
folder = "counts"
{providers}"""


@ALL
@STREAMED
def test_anthropics_sdk_runs_a_loop_of_tools_with_vision(
    spoken: Spoken, model: str, streamed: bool
) -> None:
    image = {"type": "base64", "media_type": "image/png", "data": PNG}
    look = [{"type": "text", "text": "Look."}, {"type": "image", "source": image}]
    messages: list[Any] = [{"role": "user", "content": look}]
    fields: Any = {
        "model": model,
        "max_tokens": 2000,
        "tools": [{"name": "get_weather", "description": "Weather.", "input_schema": SCHEMA}],
    }
    first = _message(spoken, streamed, messages=messages, **fields)
    assert first.stop_reason == "tool_use"
    [call] = [block for block in first.content if block.type == "tool_use"]
    assert call.input == {"city": "example"}
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    messages += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    last = _message(spoken, streamed, messages=messages, **fields)
    assert last.stop_reason == "end_turn"
    assert last.model == model
    assert "sunny" in "".join(block.text for block in last.content if block.type == "text")
    assert last.usage.input_tokens > 0
    assert last.usage.output_tokens > 0


def _message(spoken: Spoken, streamed: bool, **fields: Any) -> anthropic.types.Message:
    if not streamed:
        whole: anthropic.types.Message = spoken.anthropic.messages.create(**fields)
        return whole
    with spoken.anthropic.messages.stream(**fields) as stream:
        return stream.get_final_message()


@ALL
def test_anthropics_sdk_counts_tokens(spoken: Spoken, model: str) -> None:
    counted = spoken.anthropic.messages.count_tokens(model=model, messages=ASKED)
    assert counted.input_tokens > 0


def test_anthropics_sdk_raises_what_the_gateway_refuses(spoken: Spoken) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        spoken.anthropic.messages.create(model="none-such", max_tokens=9, messages=ASKED)
    assert caught.value.request_id is not None
    assert caught.value.request_id.startswith("req_")
    stranger = spoken.anthropic.with_options(api_key="sk-wrong")
    with pytest.raises(anthropic.AuthenticationError):
        stranger.messages.create(model="none-such", max_tokens=9, messages=ASKED)


@ALL
@STREAMED
def test_openais_sdk_runs_a_loop_of_tools_through_responses(
    spoken: Spoken, model: str, streamed: bool
) -> None:
    look = [
        {"type": "input_text", "text": "Look."},
        {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PNG}"},
    ]
    asked: list[Any] = [{"role": "user", "content": look}]
    tool: Any = {
        "type": "function",
        "name": "get_weather",
        "description": "Weather.",
        "parameters": SCHEMA,
        "strict": False,
    }
    first = _response(spoken, streamed, model=model, input=asked, tools=[tool])
    [call] = [item for item in first.output if item.type == "function_call"]
    assert call.arguments.replace(" ", "") == '{"city":"example"}'
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    asked += [*first.output, result]
    last = _response(spoken, streamed, model=model, input=asked, tools=[tool])
    assert last.status == "completed"
    assert "sunny" in last.output_text
    assert last.model == model
    assert last.usage is not None
    assert last.usage.total_tokens > 0


def _response(spoken: Spoken, streamed: bool, **fields: Any) -> openai.types.responses.Response:
    if not streamed:
        whole: openai.types.responses.Response = spoken.openai.responses.create(**fields)
        return whole
    last: Any = None
    for last in spoken.openai.responses.create(stream=True, **fields):
        assert last.type
    assert last.type == "response.completed"
    found: openai.types.responses.Response = last.response
    return found


@ALL
@STREAMED
def test_openais_sdk_chats_with_every_dialect(spoken: Spoken, model: str, streamed: bool) -> None:
    create = spoken.openai.chat.completions.create
    if streamed:
        chunks = list(create(model=model, messages=ASKED, stream=True))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert chunks[-1].choices[0].finish_reason == "stop"
    else:
        text = create(model=model, messages=ASKED).choices[0].message.content or ""
    assert "Hello" in text


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_openais_sdk_gets_vectors_from_every_dialect_that_has_them(
    spoken: Spoken, name: str
) -> None:
    model = f"{name}/{EMBEDDINGS[name]}"
    made = spoken.openai.embeddings.create(model=model, input=["one", "two"])
    assert [len(one.embedding) for one in made.data] == [len(made.data[0].embedding)] * 2
    assert made.data[0].embedding != made.data[1].embedding
    assert made.usage.prompt_tokens == 2


def test_a_response_that_is_asked_for_again_is_not_there(spoken: Spoken) -> None:
    made = _response(spoken, streamed=False, model="openai/gpt-4o-mini", input="Hello")
    with pytest.raises(openai.NotFoundError):
        spoken.openai.responses.retrieve(made.id)
