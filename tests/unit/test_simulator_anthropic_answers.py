"""What the simulated Anthropic answers, whole and streamed."""

import json
from typing import Any

import pytest

from router.simulator import Behaviour, Simulator, expected_text
from router.simulator.anthropic.content import TRIGGER_REDACTED, TRIGGER_REFUSAL
from router.simulator.performance import Ending
from tests.unit.simulator_dialects import (
    KEYS,
    PNG,
    Said,
    anthropic,
    assistant,
    message,
    result,
    text,
    tool,
    user,
)

THINK = {"type": "enabled", "budget_tokens": 1024}
CITY = tool("get_weather", properties={"city": {"type": "string"}}, required=["city"])


def assembled(said: Said) -> dict[str, Any]:
    """The message that a stream adds up to, its events checked on the way."""
    events = said.events()
    assert [name for name, _ in events] == [data["type"] for _, data in events]
    (_, start), *rest, (last, _) = events
    assert (start["type"], last) == ("message_start", "message_stop")
    whole: dict[str, Any] = start["message"]
    open_block: int | None = None
    for name, data in rest:
        match name:
            case "content_block_start":
                assert open_block is None
                assert data["index"] == len(whole["content"])
                open_block = data["index"]
                whole["content"].append({**data["content_block"], "_": ""})
            case "content_block_delta":
                assert data["index"] == open_block
                _add(whole["content"][-1], data["delta"])
            case "content_block_stop":
                assert data["index"] == open_block
                open_block = None
            case "message_delta":
                assert open_block is None
                whole |= data["delta"]
                whole["usage"] |= data["usage"]
            case _:
                assert name == "ping"
    for block in whole["content"]:
        joined = block.pop("_")
        if block["type"] == "tool_use":
            block["input"] = json.loads(joined or "{}")
    return whole


def _add(block: dict[str, Any], delta: dict[str, Any]) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] += delta["signature"]
        case "input_json_delta":
            block["_"] += delta["partial_json"]


@pytest.mark.parametrize(
    "body",
    [
        message(),
        message(stop_sequences=["simulated"]),
        message(max_tokens=3),
        message(max_tokens=0),
        message(thinking=THINK),
        message(thinking={**THINK, "display": "omitted"}),
        message(user(TRIGGER_REDACTED), thinking=THINK),
        message(user(TRIGGER_REFUSAL)),
        message(tools=[CITY]),
        message(tools=[tool("now")], tool_choice={"type": "any"}),
        message(user("get weather, then now"), tools=[CITY, tool("now")], thinking=THINK),
    ],
)
def test_a_stream_adds_up_to_the_whole_answer(body: dict[str, Any]) -> None:
    whole = anthropic(body)
    streamed = anthropic({**body, "stream": True})
    assert (whole.status, streamed.status) == (200, 200)
    assert assembled(streamed) == whole.json()


def test_the_text_is_that_of_every_dialect() -> None:
    answer = anthropic(message(system="Be brief.")).json()
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    assert answer["content"] == [text(expected_text({"model": "m", "messages": messages}))]
    assert (answer["role"], answer["stop_reason"], answer["stop_sequence"]) == (
        "assistant",
        "end_turn",
        None,
    )


def test_why_an_answer_ends() -> None:
    stopped = anthropic(message(stop_sequences=["never", "simulated"])).json()
    assert (stopped["stop_reason"], stopped["stop_sequence"]) == ("stop_sequence", "simulated")
    assert stopped["content"] == [text("Hello from the ")]
    cut = anthropic(message(max_tokens=3)).json()
    assert (cut["stop_reason"], cut["usage"]["output_tokens"]) == ("max_tokens", 3)
    refused = anthropic(message(user(TRIGGER_REFUSAL))).json()
    assert (refused["stop_reason"], refused["content"]) == ("refusal", [])


def test_a_call_comes_after_a_thought_and_a_sentence() -> None:
    answer = anthropic(message(tools=[CITY], thinking=THINK)).json()
    assert [block["type"] for block in answer["content"]] == ["thinking", "text", "tool_use"]
    called = answer["content"][2]
    assert (called["name"], called["input"]) == ("get_weather", {"city": "example"})
    assert called["id"].startswith("toolu_")
    assert answer["stop_reason"] == "tool_use"
    thought = answer["usage"]["output_tokens_details"]["thinking_tokens"]
    assert 0 < thought < answer["usage"]["output_tokens"]


def test_a_call_without_arguments_is_streamed_as_one_empty_fragment() -> None:
    body = message(tools=[tool("now")], tool_choice={"type": "tool", "name": "now"}, stream=True)
    fragments = [
        data["delta"]["partial_json"]
        for name, data in anthropic(body).events()
        if name == "content_block_delta"
    ]
    assert fragments == [""]


def test_a_loop_of_tools_with_its_thoughts_comes_to_an_end() -> None:
    first = anthropic(message(tools=[CITY], thinking=THINK)).json()
    answered = {**result(0, "sunny"), "tool_use_id": first["content"][-1]["id"]}
    history = [user("Hello"), assistant(*first["content"]), user(answered)]
    second = anthropic(message(*history, tools=[CITY], thinking=THINK)).json()
    assert second["stop_reason"] == "end_turn"
    assert "The tool answered “sunny”." in second["content"][-1]["text"]
    first["content"][0]["thinking"] += "!"
    changed = anthropic(message(*history, tools=[CITY], thinking=THINK))
    assert changed.status == 400


@pytest.mark.parametrize("way", ["omitted", "redacted"])
def test_a_thought_that_is_not_shown_comes_back_all_the_same(way: str) -> None:
    redacted = way == "redacted"
    asked = user(TRIGGER_REDACTED if redacted else "Hello")
    thinking = THINK if redacted else {**THINK, "display": "omitted"}
    content = anthropic(message(asked, thinking=thinking)).json()["content"]
    assert content[0].get("thinking", "") == ""
    assert content[0]["type"] == ("redacted_thinking" if redacted else "thinking")
    assert anthropic(message(asked, assistant(*content), user("y"))).status == 200


def test_images_are_counted_and_measured() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    answer = anthropic(message(user(text("Look"), {"type": "image", "source": source}))).json()
    assert "I received 1 image: a data URL (image/png, " in answer["content"][0]["text"]


def test_the_form_of_the_answer() -> None:
    schema = {"type": "object", "additionalProperties": False, "properties": {"a": {"const": 1}}}
    wanted = {"format": {"type": "json_schema", "schema": schema}}
    assert anthropic(message(output_config=wanted)).json()["content"] == [text('{"a":1}')]


@pytest.mark.parametrize("ttl", ["5m", "1h", None])
def test_the_cached_input_is_counted_apart(ttl: str | None) -> None:
    mark = {"type": "ephemeral", **({"ttl": ttl} if ttl else {})}
    body = message(user(text("x" * 400, cache_control=mark), text("y" * 40)))
    total = anthropic(message(user(text("x" * 400), text("y" * 40)))).json()["usage"]
    assert total["cache_creation_input_tokens"] == total["cache_read_input_tokens"] == 0
    written = anthropic(body).json()["usage"]
    assert written["cache_creation_input_tokens"] > 100
    assert written["cache_creation_input_tokens"] + written["input_tokens"] == total["input_tokens"]
    place = "ephemeral_1h_input_tokens" if ttl == "1h" else "ephemeral_5m_input_tokens"
    assert written["cache_creation"][place] == written["cache_creation_input_tokens"]
    simulator = Simulator()
    simulator.plan(Behaviour(cached_tokens=10**6), Behaviour(cached_tokens=50))
    every = anthropic(body, simulator=simulator).json()["usage"]
    assert (every["input_tokens"], every["cache_read_input_tokens"]) == (0, total["input_tokens"])
    some = anthropic(body, simulator=simulator).json()["usage"]
    assert some["cache_read_input_tokens"] == 50
    assert (
        sum(some[f"{part}input_tokens"] for part in ("", "cache_read_", "cache_creation_"))
        == (total["input_tokens"])
    )


@pytest.mark.parametrize("way", ["planned", "header", "metadata"])
def test_behaviours_can_be_ordered_in_three_places(way: str) -> None:
    simulator, headers, body = Simulator(), dict(KEYS["anthropic"]), message(stream=True)
    if way == "planned":
        simulator.plan(Behaviour(tokens=2, cut_after=1))
    elif way == "header":
        headers["x-simulate"] = '{"tokens":2,"cut_after":1}'
    else:
        body["metadata"] = {"simulate": {"tokens": 2, "cut_after": 1}}
    said = anthropic(body, simulator=simulator, headers=headers)
    assert said.ending is Ending.CUT
    assert [name for name, _ in said.events()] == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
    ]


@pytest.mark.parametrize("order", ["{", '{"statuss":429}', '{"status":200}'])
def test_a_wrong_order_is_refused(order: str) -> None:
    said = anthropic(message(), headers={**KEYS["anthropic"], "x-simulate": order})
    assert said.status == 400
    assert "x-simulate" in said.json()["error"]["message"]
    wrong = anthropic(message(metadata={"simulate": {"statuss": 1}}))
    assert "metadata.simulate.statuss" in wrong.json()["error"]["message"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, "rate_limit_error"),
        (529, "overloaded_error"),
        (500, "api_error"),
        (413, "request_too_large"),
    ],
)
@pytest.mark.parametrize("where", ["head", "stream", "whole"])
def test_errors_wherever_they_strike(status: int, kind: str, where: str) -> None:
    simulator = Simulator()
    if where == "head":
        simulator.plan(Behaviour(status=status, retry_after=3))
    else:
        simulator.plan(Behaviour(error_event_after=1, error_event_status=status))
    said = anthropic(message(stream=where == "stream"), simulator=simulator)
    if where == "head":
        assert (said.status, said.headers["retry-after"]) == (status, "3")
    else:
        assert said.status == 200
    error = said.events()[-1][1] if where == "stream" else said.json()
    assert (error["type"], error["error"]["type"]) == ("error", kind)
    if where == "stream":
        assert said.events()[-1][0] == "error"


def test_oddities_of_a_stream() -> None:
    simulator = Simulator()
    simulator.plan(
        Behaviour(unknown_event=True, omit_done=True, omit_usage=True, extra={"odd": 1}),
        Behaviour(tokens=1, crlf=True),
        Behaviour(tokens=2, malformed_at=1),
    )
    said = anthropic(message(stream=True), simulator=simulator).events()
    assert said[0][0] == "simulator_notice"
    assert said[-1][0] == "message_delta"
    assert all(data.get("odd") == 1 for name, data in said[1:] if name != "ping")
    assert not any("usage" in data or "usage" in data.get("message", {}) for _, data in said)
    crlf = anthropic(message(stream=True), simulator=simulator).body
    assert b": simulated\r\nevent: message_start\r\nid: 0\r\ndata: {" in crlf
    broken = anthropic(message(stream=True), simulator=simulator).body
    assert b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,' in broken
