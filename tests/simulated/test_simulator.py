"""The simulated provider over in-memory connections and virtual time: pace, protocol, counting."""

from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair, wait_all_tasks_blocked

from router.simulator import Behaviour, Latency, Profile, Simulator, expected_text, expected_tokens
from tests.simulated.simulator_wire import CHAT, WireClient, chat, connected

PACED = Profile(ttft=Latency.fixed(0.5), gap=Latency.fixed(0.25), tokens=3)


def contents(events: list[Any]) -> str:
    return "".join(
        event["choices"][0]["delta"].get("content") or ""
        for event in events
        if event != "[DONE]" and event["choices"]
    )


async def test_a_stream_keeps_exact_times(autojump_clock: MockClock) -> None:
    async with connected(Simulator(PACED)) as client:
        start = trio.current_time()
        answer = await client.ask(chat(stream=True))
    times = [chunk.at - start for chunk in answer.chunks]
    # Role and first token, two more tokens, then finish reason and [DONE].
    assert times == [0.5, 0.5, 0.75, 1.0, 1.25, 1.25]
    assert answer.end_at - start == 1.25


async def test_the_head_comes_with_the_first_event_unless_it_is_ordered_earlier(
    autojump_clock: MockClock,
) -> None:
    async with connected(Simulator(PACED)) as client:
        start = trio.current_time()
        together = await client.ask(chat(stream=True))
        assert together.head_at - start == 0.5
        start = trio.current_time()
        ahead = await client.ask(chat(stream=True, simulate={"delay_head": 0.125}))
    assert ahead.head_at - start == 0.125


async def test_a_head_later_than_the_first_token_delays_it_and_nothing_after(
    autojump_clock: MockClock,
) -> None:
    async with connected(Simulator(PACED)) as client:
        start = trio.current_time()
        order = {"delay_head": 0.875, "tokens": 3}
        answer = await client.ask(chat(stream=True, simulate=order))
    assert answer.head_at - start == 0.875
    assert [c.at - start for c in answer.chunks] == [0.875, 0.875, 0.875, 1.0, 1.25, 1.25]


async def test_a_whole_answer_takes_as_long_as_its_stream(autojump_clock: MockClock) -> None:
    async with connected(Simulator(PACED)) as client:
        start = trio.current_time()
        answer = await client.ask(chat())
    assert answer.head_at - start == 0.5 + 3 * 0.25


async def test_a_whole_answer_takes_its_own_latency_when_the_profile_has_one(
    autojump_clock: MockClock,
) -> None:
    profile = msgspec.structs.replace(PACED, whole=Latency.fixed(2.0))
    async with connected(Simulator(profile)) as client:
        start = trio.current_time()
        assert (await client.ask(chat())).head_at - start == 2.0
        start = trio.current_time()
        ordered = await client.ask(chat(simulate={"ttft": 1, "gap": 0}))
    assert ordered.head_at - start == 1.0


async def test_a_client_that_reads_late_does_not_stretch_the_stream(
    autojump_clock: MockClock,
) -> None:
    ours, theirs = lockstep_stream_pair()
    simulator = Simulator(Profile(ttft=Latency.fixed(1.0), gap=Latency.fixed(1.0), tokens=6))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulator.serve_stream, theirs)
        client = WireClient(ours)
        start = trio.current_time()
        await client.send(chat(stream=True))
        await trio.sleep(3.5)
        answer = await client.answer()
        await ours.aclose()
    # Three tokens were overdue at 3.5; the others still come at their own seconds.
    assert [c.at - start for c in answer.chunks] == [3.5, 3.5, 3.5, 3.5, 4, 5, 6, 7, 7]


async def test_drawn_latencies_follow_the_seed(autojump_clock: MockClock) -> None:
    profile = Profile(ttft=Latency.lognormal(0.3, 0.5), gap=Latency.lognormal(0.02, 0.5), tokens=5)

    async def times(seed: int) -> list[float]:
        async with connected(Simulator(profile, seed=seed)) as client:
            start = trio.current_time()
            answer = await client.ask(chat(stream=True))
        return [round(chunk.at - start, 9) for chunk in answer.chunks]

    assert await times(1) == await times(1)
    assert await times(1) != await times(2)


async def test_a_stream_goes_by_the_book() -> None:
    async with connected(Simulator(wall_clock=lambda: 1_800_000_000.5)) as client:
        answer = await client.ask(chat(stream=True, stream_options={"include_usage": True}))
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.whole
    *events, done = answer.events()
    assert done == "[DONE]"
    assert {(e["id"], e["created"], e["model"]) for e in events} == {
        (events[0]["id"], 1_800_000_000, "m")
    }
    assert events[0]["choices"][0]["delta"] == {
        "role": "assistant",
        "content": "",
        "refusal": None,
    }
    assert [e["choices"][0]["delta"]["content"] for e in events[1:-2]] == expected_tokens(chat())
    assert events[-2]["choices"][0] == {
        "index": 0,
        "delta": {},
        "logprobs": None,
        "finish_reason": "stop",
    }
    assert [e["usage"] for e in events[:-1]] == [None] * (len(events) - 1)
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["completion_tokens"] == len(expected_tokens(chat()))


async def test_a_stream_says_nothing_of_usage_unless_asked() -> None:
    async with connected(Simulator()) as client:
        answer = await client.ask(chat(stream=True))
    *events, _ = answer.events()
    assert not any("usage" in event for event in events)
    assert all(event["choices"] for event in events)


async def test_every_event_is_a_write_of_its_own() -> None:
    async with connected(Simulator(Profile(tokens=4))) as client:
        answer = await client.ask(chat(stream=True))
    assert [chunk.data.count(b"\n\n") for chunk in answer.chunks] == [1] * 7


async def test_a_stream_and_a_whole_answer_say_the_same() -> None:
    async with connected(Simulator()) as client:
        streamed = contents((await client.ask(chat("Tell me", stream=True))).events())
        whole = (await client.ask(chat("Tell me"))).json()
    assert streamed == whole["choices"][0]["message"]["content"] == expected_text(chat("Tell me"))


async def test_several_choices_take_turns() -> None:
    async with connected(Simulator()) as client:
        answer = await client.ask(chat(stream=True, n=3))
    *events, _ = answer.events()
    said = {0: "", 1: "", 2: ""}
    finished = []
    for event in events:
        choice = event["choices"][0]
        said[choice["index"]] += choice["delta"].get("content") or ""
        finished += [choice["index"]] if choice["finish_reason"] else []
    assert said == {index: expected_text(chat(n=3), choice=index) for index in range(3)}
    assert len(set(said.values())) == 3
    assert sorted(finished) == [0, 1, 2]


async def test_a_streamed_tool_call_can_be_put_together() -> None:
    function = {"name": "find", "parameters": {"properties": {"city": {"type": "string"}}}}
    tools = [{"type": "function", "function": function}]
    async with connected(Simulator()) as client:
        answer = await client.ask(chat(stream=True, tools=tools))
    *events, _ = answer.events()
    assert events[0]["choices"][0]["delta"]["content"] is None
    calls = [e["choices"][0]["delta"]["tool_calls"][0] for e in events[1:-1]]
    assert calls[0]["function"] == {"name": "find", "arguments": ""}
    assert calls[0]["type"] == "function"
    assert calls[0]["id"].startswith("call_")
    assert all(set(call) == {"index", "function"} for call in calls[1:])
    arguments = "".join(call["function"]["arguments"] for call in calls)
    assert msgspec.json.decode(arguments) == {"city": "example"}
    assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_streamed_logprobs_name_each_token() -> None:
    async with connected(Simulator(Profile(tokens=2))) as client:
        answer = await client.ask(chat(stream=True, logprobs=True, top_logprobs=2))
    tokens = [e["choices"][0] for e in answer.events()[1:3]]
    for choice in tokens:
        (entry,) = choice["logprobs"]["content"]
        assert entry["token"] == choice["delta"]["content"]
        assert entry["top_logprobs"][0]["token"] == entry["token"]
        assert len(entry["top_logprobs"]) == 2


async def test_a_legacy_stream_brings_text_and_its_offsets() -> None:
    fields = {"model": "m", "prompt": "Once", "stream": True, "logprobs": 1}
    async with connected(Simulator(Profile(tokens=3))) as client:
        answer = await client.ask(fields, path="/v1/completions")
    *events, _ = answer.events()
    texts = [event["choices"][0]["text"] for event in events]
    assert texts == [*expected_tokens(fields, tokens=3), ""]
    offsets = [event["choices"][0]["logprobs"]["text_offset"][0] for event in events[:3]]
    assert offsets == [0, len(texts[0]), len(texts[0]) + len(texts[1])]
    assert {event["object"] for event in events} == {"text_completion"}


async def test_a_connection_serves_one_request_after_the_other_and_remembers_them() -> None:
    simulator = Simulator()
    async with connected(simulator) as client:
        for word in ("one", "two", "three"):
            answer = await client.ask(chat(word), headers=[("X-Word", word)])
            assert answer.json()["choices"][0]["message"]["content"] == expected_text(chat(word))
        assert simulator.open_connections == 1
    assert [seen.json() for seen in simulator.requests] == [
        chat(w) for w in ("one", "two", "three")
    ]
    assert [seen.header(b"x-word") for seen in simulator.requests] == [b"one", b"two", b"three"]
    assert simulator.requests[0].method == b"POST"
    assert simulator.requests[0].target == CHAT.encode()
    assert (simulator.completed, simulator.open_connections) == (3, 0)


@pytest.mark.parametrize("kept", [0, 2])
async def test_only_so_many_requests_are_kept(kept: int) -> None:
    simulator = Simulator(keep_requests=kept)
    async with connected(simulator) as client:
        for word in ("one", "two", "three"):
            await client.ask(chat(word))
    assert [seen.json() for seen in simulator.requests] == [chat("two"), chat("three")][:kept]


async def test_requests_sent_ahead_are_answered_in_order() -> None:
    async with connected(Simulator()) as client:
        one, two = (msgspec.json.encode(chat(word)) for word in ("one", "two"))
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
        await client.stream.send_all(head % len(one) + one + head % len(two) + two)
        received = b""
        while received.count(b"HTTP/1.1 200") < 2 or not received.endswith(b"}"):
            received += await client.stream.receive_some()
    assert received.index("“one”".encode()) < received.index("“two”".encode())


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("leaves_at", [0.25, 0.625])
async def test_a_departure_is_noticed_at_once(
    autojump_clock: MockClock, *, streamed: bool, leaves_at: float
) -> None:
    simulator = Simulator(PACED)
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulator.serve_stream, theirs)
        start = trio.current_time()
        await WireClient(ours).send(chat(stream=streamed))
        await trio.sleep(leaves_at)
        assert (simulator.open_exchanges, simulator.aborted) == (1, 0)
        await ours.aclose()
        await wait_all_tasks_blocked()
        assert trio.current_time() - start == leaves_at
        assert (simulator.open_exchanges, simulator.open_connections) == (0, 0)
        assert (simulator.aborted, simulator.completed) == (1, 0)


async def test_leaving_between_requests_aborts_nothing() -> None:
    simulator = Simulator()
    async with connected(simulator) as client:
        await client.ask(chat())
    assert (simulator.aborted, simulator.completed, simulator.open_connections) == (0, 1, 0)


async def test_a_shutdown_closes_the_connection_and_blames_nobody(
    autojump_clock: MockClock,
) -> None:
    simulator = Simulator(PACED)
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulator.serve_stream, theirs)
        await WireClient(ours).send(chat())
        await trio.sleep(0.25)
        nursery.cancel_scope.cancel()
    assert await ours.receive_some() == b""
    assert (simulator.open_exchanges, simulator.open_connections) == (0, 0)
    assert (simulator.aborted, simulator.completed, simulator.broken) == (0, 0, 0)


async def test_plans_are_taken_in_order_and_then_the_profile_rules() -> None:
    simulator = Simulator()
    simulator.plan(Behaviour(status=500), Behaviour(status=429))
    async with connected(simulator) as client:
        statuses = [(await client.ask(chat())).status for _ in range(3)]
    assert statuses == [500, 429, 200]
    assert simulator.planned == 0


async def test_an_order_in_the_request_leaves_the_plan_alone() -> None:
    simulator = Simulator()
    simulator.plan(Behaviour(status=500))
    async with connected(simulator) as client:
        assert (await client.ask(chat(simulate={"status": 418}))).status == 418
        assert (await client.ask(chat())).status == 500


async def test_an_order_that_cannot_be_read_is_refused_by_its_field() -> None:
    async with connected(Simulator()) as client:
        unknown = await client.ask(chat(simulate={"sttus": 500}))
        wrong = await client.ask(chat(simulate={"ttft": -1}))
    assert (unknown.status, unknown.error["param"]) == (400, "simulate.sttus")
    assert (wrong.status, wrong.error["param"]) == (400, "simulate.ttft")


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (("authorization", "Bearer good"), 200),
        (("api-key", "good"), 200),
        (("authorization", "Bearer bad"), 401),
        (("x-other", "good"), 401),
    ],
)
async def test_a_required_key_is_taken_from_either_header(
    header: tuple[str, str], status: int
) -> None:
    simulator = Simulator(required_keys=["good"])
    simulator.plan(Behaviour())
    async with connected(simulator) as client:
        answer = await client.ask(chat(), headers=[header])
    assert answer.status == status
    # A stranger takes no planned behaviour away.
    assert simulator.planned == (0 if status == 200 else 1)
    if status == 401:
        assert answer.error["code"] == "invalid_api_key"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/chat/completions", "chat.completion"),
        ("/chat/completions", "chat.completion"),
        ("/openai/deployments/d/chat/completions?api-version=2024-10-21", "chat.completion"),
        ("/some/base/v1/completions/", "text_completion"),
        ("/v1/embeddings", "list"),
    ],
)
async def test_endpoints_are_known_under_any_prefix(path: str, kind: str) -> None:
    async with connected(Simulator()) as client:
        answer = await client.ask(chat(prompt="Hi", input="Hi"), path=path)
    assert (answer.status, answer.json()["object"]) == (200, kind)


async def test_models_are_listed_and_found_by_ids_with_slashes() -> None:
    profile = Profile(models=("plain", "vendor/models/name"))
    async with connected(Simulator(profile)) as client:
        listed = await client.ask(method="GET", path="/v1/models")
        encoded = await client.ask(method="GET", path="/v1/models/vendor%2Fmodels%2Fname")
        bare = await client.ask(method="GET", path="/v1/models/vendor/models/name")
        missing = await client.ask(method="GET", path="/v1/models/other")
        refused = await client.ask(chat(model="other"))
    assert [card["id"] for card in listed.json()["data"]] == ["plain", "vendor/models/name"]
    assert encoded.json()["id"] == bare.json()["id"] == "vendor/models/name"
    for answer in (missing, refused):
        assert (answer.status, answer.error["code"]) == (404, "model_not_found")


async def test_wrong_paths_and_methods_get_an_error_object() -> None:
    async with connected(Simulator()) as client:
        lost = await client.ask(method="GET", path="/v1/nothing")
        wrong = await client.ask(method="GET", path=CHAT)
        head = await client.ask(method="HEAD", path="/v1/models")
    assert (lost.status, lost.error["code"]) == (404, "unknown_url")
    assert (wrong.status, wrong.error["type"]) == (405, "invalid_request_error")
    assert (head.status, head.body) == (405, b"")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": 1, "messages": []}, "model"),
        ({"model": "m", "messages": []}, "messages"),
        ({"model": "m", "messages": [{"role": "king", "content": "x"}]}, "messages[0].role"),
        (chat(n=0), "n"),
        (chat(temperature=3), "temperature"),
        (chat(stream_options={"include_usage": True}), "stream_options"),
        (chat(tool_choice="auto"), "tool_choice"),
        (chat(top_logprobs=2), "top_logprobs"),
        (chat(tools=[], tool_choice="sometimes"), "tool_choice"),
    ],
)
async def test_bad_requests_are_refused_by_the_name_of_the_field(
    fields: dict[str, Any], param: str
) -> None:
    async with connected(Simulator()) as client:
        answer = await client.ask(fields)
    assert answer.status == 400
    assert answer.error["param"] == param
    assert answer.error["type"] == "invalid_request_error"
    assert param.split(".")[-1].strip("]") in answer.error["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b'{"model": "\xff"}',
        b'{"messages":' + b"[" * 9_000 + b"]" * 9_000 + b"}",
    ],
)
async def test_bodies_that_are_no_request_are_refused(body: bytes) -> None:
    simulator = Simulator()
    async with connected(simulator) as client:
        assert (await client.ask(body)).status == 400
        assert (await client.ask(chat())).status == 200


async def test_fields_nobody_knows_and_nulls_change_nothing() -> None:
    fields = chat(seed=None, stop=None, tools=None, n=None, made_up={"deep": [1, None]})
    async with connected(Simulator()) as client:
        answer = await client.ask(fields)
    assert answer.json()["choices"][0]["message"]["content"] == expected_text(chat())


async def test_what_is_not_http_is_refused_and_the_connection_closed() -> None:
    simulator = Simulator()
    async with connected(simulator) as client:
        await client.stream.send_all(b"what is this\r\n\r\n")
        answer = await client.answer()
        assert answer.status == 400
        assert await client.stream.receive_some() == b""
        await wait_all_tasks_blocked()
        assert simulator.open_connections == 0


async def test_a_client_that_waits_for_permission_gets_it_before_it_sends_the_body() -> None:
    body = msgspec.json.encode(chat())
    async with connected(Simulator()) as client:
        await client.stream.send_all(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n"
            b"content-length: %d\r\n\r\n" % len(body)
        )
        assert (await client.stream.receive_some()).startswith(b"HTTP/1.1 100 ")
        await client.stream.send_all(body)
        assert (await client.stream.receive_some()).startswith(b"HTTP/1.1 200 ")


async def test_an_old_client_gets_a_stream_without_chunks() -> None:
    body = msgspec.json.encode(chat(stream=True))
    received = b""
    async with connected(Simulator(Profile(tokens=1))) as client:
        await client.stream.send_all(
            b"POST /v1/chat/completions HTTP/1.0\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        while data := await client.stream.receive_some():
            received += data
    head, _, events = received.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert events.startswith(b"data: {")
    assert events.endswith(b"data: [DONE]\n\n")


async def test_a_large_body_arrives_whole() -> None:
    url = "data:image/png;base64," + "A" * 4_000_000
    simulator = Simulator()
    parts = [{"type": "image_url", "image_url": {"url": url}}]
    async with connected(simulator) as client:
        answer = await client.ask(chat(parts))
    assert simulator.requests[0].json()["messages"][0]["content"] == parts
    said = answer.json()["choices"][0]["message"]["content"]
    assert "image/png, 3000000 bytes" in said
