"""What the client sends is what the upstream receives, and what the upstream says is what arrives.

The only differences are the model's name and `stream_options`, which the gateway sets. Every official
SDK is asked the same things.
"""

import json
from typing import Any

import msgspec
import pytest

from router.simulator import SeenRequest, Simulator, expected_text
from tests.e2e.gateway import MODEL, UPSTREAM_KEY, Gateway
from tests.e2e.node_sdk import NodeSdk
from tests.e2e.raw import Wire
from tests.e2e.sdk import PythonSdk, Sdk

CHAT = "chat.completions.create"
UPSTREAM_MODEL = MODEL.partition("/")[2]
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Météo — 天気",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
CLOCK = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}
PERSON = {
    "name": "person",
    "strict": True,
    "schema": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    },
}

REQUESTS: dict[str, dict[str, Any]] = {
    "sampling": {"temperature": 0.7, "top_p": 0.95, "max_tokens": 12, "seed": 7},
    "newer limit": {"max_completion_tokens": 9},
    "stop as a text": {"stop": "provider"},
    "stop as a list": {"stop": ["\n\n", "Hello", "END"]},
    "several choices": {"n": 3},
    "log probabilities": {"logprobs": True, "top_logprobs": 3},
    "tools, auto": {"tools": [WEATHER, CLOCK], "tool_choice": "auto"},
    "tools, none": {"tools": [WEATHER], "tool_choice": "none"},
    "tools, named": {
        "tools": [WEATHER, CLOCK],
        "tool_choice": {"type": "function", "function": {"name": "get_time"}},
        "parallel_tool_calls": False,
    },
    "a tool's result": {
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Weather in Jakarta?"}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "get_weather", "arguments": '{"city":"Jakarta"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "31 °C, 雨"},
        ],
        "tools": [WEATHER],
    },
    "images": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Compare"},
                    {"type": "image_url", "image_url": {"url": "https://example.test/a.png"}},
                    {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
                ],
            }
        ]
    },
    "JSON mode": {"response_format": {"type": "json_object"}},
    "a JSON schema": {"response_format": {"type": "json_schema", "json_schema": PERSON}},
    "other known fields": {
        "frequency_penalty": -0.5,
        "presence_penalty": 1.5,
        "logit_bias": {"50256": -100},
        "metadata": {"order": "4711"},
        "user": "someone",
        "reasoning_effort": "low",
        "store": False,
    },
}
UNKNOWN = {"top_k": 40, "provider_hints": {"deep": [1, 2.5, None, {"x": "ü\u2028"}]}}


def fields_of(name: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "What is the weather? 你好 🌍"}]
    return {"model": MODEL, "messages": messages, **REQUESTS[name], **more}


def latest(provider: Simulator) -> SeenRequest:
    return provider.requests[-1]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", REQUESTS)
def test_the_upstream_receives_what_the_client_sent(
    sdk: Sdk, provider: Simulator, name: str, stream: bool
) -> None:
    sent = fields_of(name, stream=True) if stream else fields_of(name)
    answer = sdk.call(CHAT, sent, extra=UNKNOWN)
    assert answer.failure is None
    received = latest(provider).json()
    if stream:
        assert received.pop("stream_options") == {"include_usage": True}
    assert received == {**sent, **UNKNOWN, "model": UPSTREAM_MODEL}


@pytest.mark.parametrize("name", ["sampling", "several choices", "stop as a text", "images"])
def test_the_client_gets_the_text_the_upstream_said_whole_and_streamed(
    sdk: Sdk, provider: Simulator, name: str
) -> None:
    for more in ({}, {"stream": True}):
        answer = sdk.call(CHAT, fields_of(name, **more))
        received = latest(provider).json()
        for choice in range(received.get("n", 1)):
            assert answer.text(choice) == expected_text(received, choice=choice)


ODDITIES: dict[str, dict[str, Any]] = {
    "compressed": {"gzip": True},
    "CRLF, comments, ids": {"crlf": True},
    "byte by byte": {"body_split": 1, "tokens": 30},
    "several events in a write": {"coalesce": 5},
    "no role in the first delta": {"no_role": True},
    "an event of an unknown type": {"unknown_event": True},
    "no [DONE]": {"omit_done": True},
    "no usage": {"omit_usage": True},
    "usage on the last chunk": {"usage_on_last_chunk": True},
    "a connection closed without warning": {"hang_up": True},
    "open long after [DONE]": {"keep_open_after_done": 600},
    "a long answer": {"tokens": 3000},
}


@pytest.mark.parametrize("name", ODDITIES)
def test_an_odd_upstream_gives_a_stream_by_the_book(
    sdk: Sdk, provider: Simulator, name: str
) -> None:
    answer = sdk.call(
        CHAT,
        fields_of("sampling", stream=True, max_tokens=None),
        extra={"simulate": ODDITIES[name]},
    )
    assert answer.failure is None
    assert answer.text() == expected_text(latest(provider).json())
    chunks = [chunk for chunk in answer.chunks if chunk.get("choices")]
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert {chunk["model"] for chunk in chunks} == {MODEL}
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert [reason for reason in reasons if reason] == ["stop"]


@pytest.mark.parametrize("simulate", [{"gzip": True}, {"body_split": 1}, {"hang_up": True}])
def test_an_odd_upstream_gives_a_whole_answer_too(
    sdk: Sdk, provider: Simulator, simulate: dict[str, Any]
) -> None:
    answer = sdk.call(CHAT, fields_of("sampling"), extra={"simulate": simulate})
    assert answer.failure is None
    assert answer.text() == expected_text(latest(provider).json())


def test_unknown_fields_of_an_answer_arrive(sdk: Sdk) -> None:
    extra = {"simulate": {"extra": {"service_tier": "default", "x_cost": {"nano": 12}}}}
    whole = sdk.call(CHAT, fields_of("sampling"), extra=extra)
    assert whole.value["x_cost"] == {"nano": 12}
    streamed = sdk.call(CHAT, fields_of("sampling", stream=True), extra=extra)
    assert all(chunk["x_cost"] == {"nano": 12} for chunk in streamed.chunks)


def test_an_image_of_20_mb_passes_as_a_data_url(sdk: Sdk, provider: Simulator) -> None:
    image = "data:image/png;base64," + "iVBORw0K" * (20 * 1024 * 1024 // 8)
    content = [
        {"type": "text", "text": "Describe this image"},
        {"type": "image_url", "image_url": {"url": image}},
    ]
    sent = {"model": MODEL, "messages": [{"role": "user", "content": content}]}
    answer = sdk.call(CHAT, sent)
    assert answer.failure is None
    assert latest(provider).json() == {**sent, "model": UPSTREAM_MODEL}
    assert "I received 1 image" in answer.text()
    provider.requests.clear()


def test_numbers_and_texts_keep_the_spelling_of_the_client(
    gateway: Gateway, provider: Simulator
) -> None:
    body = (
        b'{ "messages":[ {"content":"caf\\u00e9 \\/ \\ud83c\\udf0d","role":"user"} ],'
        b'"seed":12345678901234567,"temperature":0.70,"top_p":1e-1, "x":[1.0,-0.0,1E2, 3] ,'
        b'"y" : {"k" :  null}, "model":"%b"}' % MODEL.encode()
    )
    with Wire(gateway) as wire:
        assert wire.post("/v1/chat/completions", body).status == 200
    received = spelled(latest(provider).body)
    assert received.pop("model") == f'"{UPSTREAM_MODEL}"'
    sent = spelled(body)
    sent.pop("model")
    assert received == sent
    assert list(received) == list(sent)


def spelled(body: bytes) -> dict[str, str]:
    """Each field's own text."""
    return {
        name: bytes(raw).decode()
        for name, raw in msgspec.json.decode(body, type=dict[str, msgspec.Raw]).items()
    }


def test_the_upstream_gets_the_operators_key_and_nothing_of_the_clients(
    sdk: Sdk, gateway: Gateway, provider: Simulator
) -> None:
    sdk.call(CHAT, fields_of("sampling"))
    seen = latest(provider)
    assert seen.target == b"/openai/v1/chat/completions"
    assert seen.header(b"authorization") == f"Bearer {UPSTREAM_KEY}".encode()
    everything = b"\n".join(name + b":" + value for name, value in seen.headers)
    assert gateway.key.encode() not in everything
    assert b"x-stainless" not in everything


def test_usage_is_told_only_to_a_stream_that_asked_for_it(sdk: Sdk, provider: Simulator) -> None:
    asked = sdk.call(
        CHAT, fields_of("sampling", stream=True, stream_options={"include_usage": True})
    )
    *others, last = asked.chunks
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 12
    assert all(chunk["usage"] is None and chunk["choices"] for chunk in others)

    for options in ({}, {"stream_options": {"include_usage": False}}, {"stream_options": None}):
        unasked = sdk.call(CHAT, fields_of("sampling", stream=True, **options))
        assert all(chunk["choices"] for chunk in unasked.chunks)
        assert all(chunk.get("usage") is None for chunk in unasked.chunks)
        assert latest(provider).json()["stream_options"] == {"include_usage": True}


def test_other_stream_options_reach_the_upstream(sdk: Sdk, provider: Simulator) -> None:
    sdk.call(
        CHAT, fields_of("sampling", stream=True, stream_options={"include_obfuscation": False})
    )
    received = latest(provider).json()["stream_options"]
    assert received == {"include_obfuscation": False, "include_usage": True}


@pytest.mark.parametrize("name", ["tools, auto", "tools, named"])
def test_streamed_tool_calls_are_put_together_by_the_sdks_own_accumulator(
    python: PythonSdk, node: NodeSdk, name: str
) -> None:
    messages = [{"role": "user", "content": "Use get_weather and get_time"}]
    fields = fields_of(name, messages=messages)
    whole = python.call(CHAT, fields).value["choices"][0]["message"]["tool_calls"]
    assert whole
    with (
        python.client() as client,
        client.chat.completions.stream(**fields) as stream,
    ):
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert "tool_calls.function.arguments.done" in kinds
    assert calls_of(final.model_dump()["choices"][0]) == calls_of(
        {"message": {"tool_calls": whole}}
    )
    by_node = node.call("chat.completions.stream", {**fields, "stream": True})
    assert by_node.failure is None
    assert calls_of(by_node.value["choices"][0]) == calls_of({"message": {"tool_calls": whole}})


def calls_of(choice: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in choice["message"]["tool_calls"]
    ]


def test_an_agents_loop_comes_to_its_end(sdk: Sdk) -> None:
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Weather in Jakarta?"}]
    fields = {"model": MODEL, "messages": messages, "tools": [WEATHER]}
    first = sdk.call(CHAT, fields).value["choices"][0]
    assert first["finish_reason"] == "tool_calls"
    call = first["message"]["tool_calls"][0]
    said = {"role": "assistant", "content": None, "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": call["id"], "content": "31 °C"}
    second = sdk.call(CHAT, {**fields, "messages": [*messages, said, result]})
    assert second.value["choices"][0]["finish_reason"] == "stop"
    assert "31 °C" in second.text()


def test_structured_output_is_parsed_by_the_sdk(python: PythonSdk) -> None:
    from pydantic import BaseModel

    class Person(BaseModel):
        name: str
        age: int

    with python.client() as client:
        done = client.chat.completions.parse(
            model=MODEL,
            messages=[{"role": "user", "content": "Who?"}],
            response_format=Person,
        )
    assert isinstance(done.choices[0].message.parsed, Person)


def test_log_probabilities_arrive_whole_and_streamed(sdk: Sdk) -> None:
    whole = sdk.call(CHAT, fields_of("log probabilities")).value["choices"][0]["logprobs"]
    streamed = sdk.call(CHAT, fields_of("log probabilities", stream=True))
    told = [
        entry
        for chunk in streamed.chunks
        if chunk["choices"][0].get("logprobs")
        for entry in chunk["choices"][0]["logprobs"]["content"]
    ]
    assert len(whole["content"][0]["top_logprobs"]) == 3
    assert json.dumps(told) == json.dumps(whole["content"])
