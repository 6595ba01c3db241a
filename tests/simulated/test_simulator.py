"""The simulated provider over in-memory connections and virtual time: pace, streams, departures."""

from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair, wait_all_tasks_blocked

from router.simulator import Latency, Profile, Simulator, expected_text, expected_tokens
from tests.simulated.simulator_wire import WireClient, chat, connected, still

PACED = Profile(ttft=Latency.fixed(0.5), gap=Latency.fixed(0.25), tokens=3)


def contents(events: list[Any]) -> str:
    return "".join(
        event["choices"][0]["delta"].get("content") or ""
        for event in events
        if event != "[DONE]" and event["choices"]
    )


async def test_a_stream_keeps_exact_times(autojump_clock: MockClock) -> None:
    async with connected(Simulator(PACED, wall_clock=still)) as client:
        start = trio.current_time()
        answer = await client.ask(chat(stream=True))
    times = [chunk.at - start for chunk in answer.chunks]
    # Role and first token, two more tokens, then finish reason and [DONE].
    assert times == [0.5, 0.5, 0.75, 1.0, 1.25, 1.25]
    assert answer.end_at - start == 1.25


async def test_the_head_comes_with_the_first_event_unless_it_is_ordered_earlier(
    autojump_clock: MockClock,
) -> None:
    async with connected(Simulator(PACED, wall_clock=still)) as client:
        start = trio.current_time()
        together = await client.ask(chat(stream=True))
        assert together.head_at - start == 0.5
        start = trio.current_time()
        ahead = await client.ask(chat(stream=True, simulate={"delay_head": 0.125}))
    assert ahead.head_at - start == 0.125


async def test_a_head_later_than_the_first_token_delays_it_and_nothing_after(
    autojump_clock: MockClock,
) -> None:
    async with connected(Simulator(PACED, wall_clock=still)) as client:
        start = trio.current_time()
        order = {"delay_head": 0.875, "tokens": 3}
        answer = await client.ask(chat(stream=True, simulate=order))
    assert answer.head_at - start == 0.875
    assert [c.at - start for c in answer.chunks] == [0.875, 0.875, 0.875, 1.0, 1.25, 1.25]


async def test_a_whole_answer_takes_as_long_as_its_stream(autojump_clock: MockClock) -> None:
    async with connected(Simulator(PACED, wall_clock=still)) as client:
        start = trio.current_time()
        answer = await client.ask(chat())
    assert answer.head_at - start == 0.5 + 3 * 0.25


async def test_a_whole_answer_takes_its_own_latency_when_the_profile_has_one(
    autojump_clock: MockClock,
) -> None:
    profile = msgspec.structs.replace(PACED, whole=Latency.fixed(2.0))
    async with connected(Simulator(profile, wall_clock=still)) as client:
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
    async with connected(Simulator(wall_clock=still)) as client:
        answer = await client.ask(chat(stream=True))
    *events, _ = answer.events()
    assert not any("usage" in event for event in events)
    assert all(event["choices"] for event in events)


async def test_every_event_is_a_write_of_its_own() -> None:
    async with connected(Simulator(Profile(tokens=4))) as client:
        answer = await client.ask(chat(stream=True))
    assert [chunk.data.count(b"\n\n") for chunk in answer.chunks] == [1] * 7


async def test_a_stream_and_a_whole_answer_say_the_same() -> None:
    async with connected(Simulator(wall_clock=still)) as client:
        streamed = contents((await client.ask(chat("Tell me", stream=True))).events())
        whole = (await client.ask(chat("Tell me"))).json()
    assert streamed == whole["choices"][0]["message"]["content"] == expected_text(chat("Tell me"))


async def test_several_choices_take_turns() -> None:
    async with connected(Simulator(wall_clock=still)) as client:
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
    async with connected(Simulator(wall_clock=still)) as client:
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


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("leaves_at", [0.25, 0.625])
async def test_a_departure_is_noticed_at_once(
    autojump_clock: MockClock, *, streamed: bool, leaves_at: float
) -> None:
    simulator = Simulator(PACED, wall_clock=still)
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
    simulator = Simulator(wall_clock=still)
    async with connected(simulator) as client:
        await client.ask(chat())
    assert (simulator.aborted, simulator.completed, simulator.open_connections) == (0, 1, 0)


async def test_a_shutdown_closes_the_connection_and_blames_nobody(
    autojump_clock: MockClock,
) -> None:
    simulator = Simulator(PACED, wall_clock=still)
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulator.serve_stream, theirs)
        await WireClient(ours).send(chat())
        await trio.sleep(0.25)
        nursery.cancel_scope.cancel()
    assert await ours.receive_some() == b""
    assert (simulator.open_exchanges, simulator.open_connections) == (0, 0)
    assert (simulator.aborted, simulator.completed, simulator.broken) == (0, 0, 0)
