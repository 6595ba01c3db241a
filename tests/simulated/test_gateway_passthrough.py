"""What the gateway does not understand passes through untouched, both ways (I9).

The oracle is the simulated provider asked directly with the same fields. Field names and values are drawn
so that the ones the gateway does read, `model` and `usage`, turn up where they mean nothing.
"""

import json
from typing import Any

import msgspec
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from router.simulator import Simulator
from router.simulator.fields import ChatFields, CompletionFields, EmbeddingFields
from tests.conftest import SIZE
from tests.simulated.simulator_wire import connected
from tests.simulated.world import MODEL, Client, ClientAnswer, in_virtual_time, open_world

FEW = settings(max_examples=30 * SIZE)
UPSTREAM_MODEL = MODEL.removeprefix("openai/")
KNOWN = {
    name
    for fields in (ChatFields, CompletionFields, EmbeddingFields)
    for name in fields.__struct_encode_fields__
}
READ_IN_ANSWERS = {"choices", "model", "usage", "error", "data"}

texts = st.text(max_size=8) | st.sampled_from(
    ['"', "\\", "\u2028", "é", '","model":"', "data: x\n\n"]
)
names = texts | st.sampled_from(["model", "usage", "choices", "error", "stream", "metadata"])
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts | st.just(UPSTREAM_MODEL),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
request_fields = st.dictionaries(names.filter(lambda name: name not in KNOWN), values, max_size=4)
answer_fields = st.dictionaries(
    names.filter(lambda name: name not in READ_IN_ANSWERS), values, max_size=4
)
spellings = st.sampled_from(
    [
        {"ensure_ascii": True},
        {"ensure_ascii": False, "separators": (",", ":")},
        {"ensure_ascii": False, "indent": 1},
    ]
)

ASKS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3},
    "/v1/completions": {"prompt": "Once", "max_tokens": 3},
    "/v1/embeddings": {"input": "Hello", "dimensions": 3},
}

WAYS: list[dict[str, Any]] = [
    {},
    {"stream": True},
    {"stream": True, "simulate": {"omit_usage": True}},
]


@FEW
@given(fields=request_fields, spelling=spellings)
def test_i9_unknown_request_fields_reach_the_upstream_in_their_own_bytes(
    fields: dict[str, Any], spelling: dict[str, Any]
) -> None:
    async def scenario() -> None:
        async with open_world() as world:
            for path, asked in ASKS.items():
                for stream in (False, True):
                    if stream and path == "/v1/embeddings":
                        continue
                    sent = {**fields, "model": MODEL, "stream": stream, **asked}
                    body = json.dumps(sent, **spelling).encode()
                    answer = await world.run(Client(body), path)
                    assert answer.status == 200, answer.body
                    assert_same_fields(world.simulator.requests[-1].body, body, stream=stream)
            await world.leak_check()

    in_virtual_time(scenario)


def assert_same_fields(received: bytes, sent: bytes, *, stream: bool) -> None:
    """Every field has the bytes it was sent with, but for the two that are the gateway's."""
    decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
    got, want = decode(received), decode(sent)
    want["model"] = msgspec.Raw(msgspec.json.encode(UPSTREAM_MODEL))
    if stream:
        want["stream_options"] = msgspec.Raw(b'{"include_usage":true}')
    assert {name: bytes(raw) for name, raw in got.items()} == {
        name: bytes(raw) for name, raw in want.items()
    }


@FEW
@given(extra=answer_fields)
def test_i9_unknown_fields_of_answers_reach_the_client_as_they_were(extra: dict[str, Any]) -> None:
    async def scenario() -> None:
        provider = Simulator(wall_clock=lambda: 1_800_000_000.0)
        async with open_world() as world:
            for path, asked in ASKS.items():
                for how in WAYS:
                    if how and path == "/v1/embeddings":
                        continue
                    orders = {**how.get("simulate", {}), "extra": extra}
                    fields = {**asked, **how, "simulate": orders}
                    answer = await world.post(path, {"model": MODEL, **fields})
                    async with connected(provider) as client:
                        plain = await client.ask({"model": UPSTREAM_MODEL, **fields}, path=path)
                    assert read(answer.body) == read(plain.body, model=MODEL)
            await world.leak_check()

    in_virtual_time(scenario)


def read(body: bytes, *, model: str | None = None) -> list[Any]:
    """The objects of an answer or a stream, with another model name if given, and no null usage."""
    blocks = body.split(b"\n\n") if body.startswith(b"data: ") else [body]
    payloads = [block.removeprefix(b"data: ") for block in blocks if block]
    found = [msgspec.json.decode(payload) for payload in payloads if payload != b"[DONE]"]
    for one in found:
        if model is not None and "model" in one:
            one["model"] = model
        if one.get("usage", 0) is None:
            del one["usage"]
    return found


events = st.lists(
    values.filter(lambda value: not isinstance(value, dict))
    | st.dictionaries(names.filter(lambda name: name not in READ_IN_ANSWERS), values, max_size=3),
    max_size=4,
)


@FEW
@given(strangers=events, name=st.sampled_from([b"", b"event: strange.kind\n"]))
def test_i9_events_of_unknown_types_reach_the_client_in_their_place(
    strangers: list[Any], name: bytes
) -> None:
    unknown = [name + b"data: " + msgspec.json.encode(value) + b"\n\n" for value in strangers]
    word = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"}}]}\n\n'
    finish = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    stream = b"".join([*unknown, word, *unknown, finish, *unknown, b"data: [DONE]\n\n"])

    async def say(connection: trio.abc.Stream) -> None:
        async with connection:
            await connection.receive_some()
            head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
            await connection.send_all(head + stream)

    async def scenario() -> None:
        async with open_world() as world:
            world.serve_upstream = say
            answer: ClientAnswer = await world.chat(stream=True)
            assert answer.body == stream
            await world.leak_check()

    in_virtual_time(scenario)
