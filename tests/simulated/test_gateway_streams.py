"""Streams through the whole gateway: the bytes a client gets, against what the provider itself would send.

The oracle is the simulated provider asked directly, in the plain form and by the book; the only change
the gateway may make to that is the model's name.
"""

from typing import Any

import msgspec
import pytest

from router.simulator import Simulator
from tests.simulated.simulator_wire import connected
from tests.simulated.world import MODEL, chat_fields, in_virtual_time, open_world

CHAT = "/v1/chat/completions"
UPSTREAM_MODEL = MODEL.removeprefix("openai/")
USAGE = {"include_usage": True}

FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "crlf with comments, names and ids": {"crlf": True},
    **{f"writes of {size} bytes": {"body_split": size} for size in (1, 2, 7, 64, 1000)},
    "crlf in writes of three bytes": {"crlf": True, "body_split": 3},
    "gzip": {"gzip": True},
    "gzip in writes of five bytes": {"gzip": True, "body_split": 5},
    "three events a write": {"coalesce": 3},
    "all events in one write": {"coalesce": 10_000},
    "head before the body": {"delay_head": 0.0},
    "open after done": {"keep_open_after_done": 3.0},
    "no done": {"omit_done": True},
}
CONTENTS: dict[str, dict[str, Any]] = {
    "text": {},
    "text beyond ASCII": {"messages": [{"role": "user", "content": 'Grüße, 世界 🦜 \u2028 \\ " '}]},
    "three choices": {"n": 3, "max_tokens": 9},
    "logprobs": {"logprobs": True, "top_logprobs": 2, "max_tokens": 5},
    "tool calls": {
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "weather",
                    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
                },
            }
        ],
        "tool_choice": "required",
    },
    "no token at all": {"simulate": {"tokens": 0}},
    "usage": {"stream_options": USAGE},
}


class Book:
    """The provider itself, asked plainly and in the same order as the gateway, so that ids agree."""

    def __init__(self) -> None:
        self._simulator = Simulator(wall_clock=lambda: 1_800_000_000.0)

    async def stream(self, fields: dict[str, Any]) -> bytes:
        """The body of a stream, but for the model's name, which is the gateway's."""
        async with connected(self._simulator) as client:
            answer = await client.ask({**fields, "model": UPSTREAM_MODEL})
        ours, theirs = msgspec.json.encode(MODEL), msgspec.json.encode(UPSTREAM_MODEL)
        return answer.body.replace(b'"model":' + theirs, b'"model":' + ours)


@pytest.mark.parametrize("form", FORMS)
def test_a_stream_is_byte_exact_in_whatever_form_it_comes(form: str) -> None:
    async def scenario() -> None:
        book = Book()
        async with open_world() as world:
            for name, content in CONTENTS.items():
                fields = {"simulate": {}, **chat_fields(stream=True, **content)}
                orders = {**fields["simulate"], **FORMS[form]}
                answer = await world.post(CHAT, {**fields, "simulate": orders})
                # "message" is the name that an event without any has, too.
                body = answer.body.replace(b"event: message\n", b"")
                assert body == await book.stream(fields), name
                assert answer.finished, name
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize(
    "oddity",
    [
        {"no_role": True},
        {"usage_on_last_chunk": True},
        {"unknown_event": True},
        {"extra": {"x": {"deep": [1, None, "\u00e9"]}, "usage_hint": None}},
        {"no_role": True, "usage_on_last_chunk": True, "omit_done": True, "gzip": True},
    ],
    ids=str,
)
def test_a_client_gets_the_book_whatever_the_dialect(oddity: dict[str, Any]) -> None:
    """Roles, usage and its place are set right; unknown fields and events are as they were."""

    async def scenario() -> None:
        book = Book()
        kept = {name: oddity[name] for name in ("extra", "unknown_event") if name in oddity}
        async with open_world() as world:
            for asked in (None, USAGE, {"include_usage": False}):
                fields = chat_fields(stream=True, stream_options=asked)
                answer = await world.post(CHAT, {**fields, "simulate": oddity})
                plain = await book.stream({**fields, "simulate": kept})
                assert _read(answer.body) == _read(plain), asked
            await world.leak_check()

    in_virtual_time(scenario)


def _read(body: bytes) -> list[Any]:
    """The decoded events, without `usage: null`, which says no more than its absence."""
    payloads = [block.removeprefix(b"data: ") for block in body.split(b"\n\n") if block]
    events = ["[DONE]" if p == b"[DONE]" else msgspec.json.decode(p) for p in payloads]
    for event in events:
        if isinstance(event, dict) and event.get("usage", 0) is None:
            del event["usage"]
    return events


def test_usage_goes_out_only_if_asked_for_and_is_always_asked_of_the_upstream() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            for options in (None, USAGE, {"include_usage": False}):
                answer = await world.chat(stream=True, stream_options=options)
                chunks = [msgspec.json.decode(event) for event in answer.events()[:-1]]
                assert all(chunk["choices"] for chunk in chunks[:-1])
                if options == USAGE:
                    assert chunks[-1]["choices"] == []
                    assert chunks[-1]["usage"]["total_tokens"] > 0
                    assert all(chunk["usage"] is None for chunk in chunks[:-1])
                else:
                    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
                    assert not any("usage" in chunk for chunk in chunks)
                received = msgspec.json.decode(world.simulator.requests[-1].body)
                assert received["stream_options"]["include_usage"] is True
            lines = world.log_lines()
            assert len({(line["input_tokens"], line["output_tokens"]) for line in lines}) == 1
            assert lines[0]["output_tokens"] > 0
            await world.leak_check()

    in_virtual_time(scenario)


def test_other_stream_options_reach_the_upstream_beside_the_one_the_gateway_sets() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            options = {"include_obfuscation": False, "include_usage": False}
            await world.chat(stream=True, stream_options=options)
            received = msgspec.json.decode(world.simulator.requests[-1].body)
            assert received["stream_options"] == {**options, "include_usage": True}

    in_virtual_time(scenario)


def test_a_stream_without_usage_is_complete_all_the_same() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            answer = await world.chat(
                stream=True, stream_options=USAGE, simulate={"omit_usage": True}
            )
            assert answer.events()[-1] == b"[DONE]"
            assert not any(msgspec.json.decode(e).get("usage") for e in answer.events()[:-1])
            (line,) = world.log_lines()
            assert line["outcome"] == "ok"
            assert line["usage_estimated"]
            assert 0.8 < line["output_tokens"] / (len(answer.text()) / 3) < 1.25

    in_virtual_time(scenario)


def test_a_streams_head_says_what_it_is_and_that_nobody_should_hold_it_back() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            answer = await world.chat(stream=True)
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-cache"
            assert answer.headers["x-accel-buffering"] == "no"
            assert "content-length" not in answer.headers
            assert "content-encoding" not in answer.headers

    in_virtual_time(scenario)


def test_the_record_counts_the_events_and_bytes_that_went_out() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            answer = await world.chat(stream=True)
            (line,) = world.log_lines()
            assert line["events"] == len(answer.events())
            assert line["sent_bytes"] == len(answer.body)

    in_virtual_time(scenario)
