"""What the simulated Cohere answers, and what it refuses."""

import json
from typing import Any

import pytest

from router.simulator import Behaviour, Profile, Simulator, expected_text
from router.simulator.performance import Ending
from tests.unit.simulator_dialects import KEYS, PNG, Said, ask

MODEL, PLAIN = "command-a-plus-05-2026", "command-a-03-2025"
HELLO = {"role": "user", "content": "Hello"}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
FORM = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


def chat(*messages: Any, **fields: Any) -> dict[str, Any]:
    return {"model": PLAIN, "messages": list(messages) or [HELLO], **fields}


def post(body: Any, path: str = "/v2/chat", **how: Any) -> Said:
    return ask(path, body, **{"headers": KEYS["cohere"], **how})


def call(number: int = 1, arguments: str = "{}") -> dict[str, Any]:
    function = {"name": "look", "arguments": arguments}
    return {"id": f"c{number}", "type": "function", "function": function}


def calling(*calls: Any, **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "tool_calls": list(calls), **fields}


def answered(number: int = 1) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": f"c{number}", "content": "found"}


def image(url: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}


def events(said: Said) -> list[dict[str, Any]]:
    """The events of a stream, each under the name of its type; the mark of the end is checked."""
    *blocks, done, rest = said.body.decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    found = []
    for block in blocks:
        name, data = block.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


def assembled(said: Said) -> dict[str, Any]:
    """The answer that a stream adds up to."""
    message: dict[str, Any] = {}
    answer: dict[str, Any] = {"message": message}
    for event in events(said):
        delta = event.get("delta", {})
        told = delta.get("message", {})
        match event["type"]:
            case "message-start":
                answer["id"], message["role"] = event["id"], told["role"]
            case "content-start":
                message.setdefault("content", []).append(told["content"])
                assert event["index"] == len(message["content"]) - 1
            case "content-delta":
                [(kind, text)] = told["content"].items()
                message["content"][event["index"]][kind] += text
            case "tool-plan-delta":
                message["tool_plan"] = message.get("tool_plan", "") + told["tool_plan"]
            case "tool-call-start":
                message.setdefault("tool_calls", []).append(told["tool_calls"])
            case "tool-call-delta":
                function = message["tool_calls"][event["index"]]["function"]
                function["arguments"] += told["tool_calls"]["function"]["arguments"]
            case "message-end":
                answer |= delta
    if "tool_calls" in message:
        message.setdefault("tool_plan", "")
    return answer


@pytest.mark.parametrize("model", [MODEL, PLAIN])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"tools": [TOOL]},
        {"tools": [TOOL, LOOK], "tool_choice": "REQUIRED"},
        {"tools": [TOOL, LOOK], "messages": [{"role": "user", "content": "get weather, look"}]},
        {"max_tokens": 3},
        {"stop_sequences": ["provider"]},
        {"response_format": {"type": "json_object", "json_schema": FORM}},
        {"thinking": {"type": "disabled"}},
    ],
)
def test_a_stream_adds_up_to_the_whole_answer(model: str, fields: dict[str, Any]) -> None:
    body = {**chat(), "model": model, **fields}
    whole, streamed = post(body), post({**body, "stream": True})
    assert (whole.status, streamed.status) == (200, 200)
    assert assembled(streamed) == whole.json()


def test_the_answer_is_that_of_every_dialect_and_thought_of_by_models_that_think() -> None:
    plain = post(chat()).json()
    asked = {"model": PLAIN, "messages": [HELLO]}
    assert plain["message"]["content"] == [{"type": "text", "text": expected_text(asked)}]
    thought, text = post({**chat(), "model": MODEL}).json()["message"]["content"]
    assert (thought["type"], text["type"]) == ("thinking", "text")
    budget = {"type": "enabled", "token_budget": 2}
    short = post({**chat(thinking=budget), "model": MODEL}).json()["message"]["content"][0]
    assert thought["thinking"].startswith(short["thinking"])
    assert len(short["thinking"]) < len(thought["thinking"])


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "COMPLETE"),
        ({"max_tokens": 3}, "MAX_TOKENS"),
        ({"stop_sequences": ["provider"]}, "STOP_SEQUENCE"),
        ({"tools": [TOOL]}, "TOOL_CALL"),
        ({"tools": [TOOL], "tool_choice": "NONE"}, "COMPLETE"),
    ],
)
def test_reasons(fields: dict[str, Any], reason: str) -> None:
    assert post(chat(**fields)).json()["finish_reason"] == reason


def test_what_is_billed_is_less_than_what_was_read() -> None:
    simulator = Simulator()
    simulator.plan(Behaviour(cached_tokens=2))
    usage = post(chat(), simulator=simulator).json()["usage"]
    assert usage["cached_tokens"] == 2
    assert 0 < usage["billed_units"]["input_tokens"] < usage["tokens"]["input_tokens"]
    assert 0 < usage["billed_units"]["output_tokens"] < usage["tokens"]["output_tokens"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_goes_wrong_says_so_at_its_end(stream: bool) -> None:
    simulator = Simulator()
    simulator.plan(Behaviour(error_event_after=2, error={"message": "as told"}))
    said = post(chat(stream=stream), simulator=simulator)
    assert (said.status, said.ending) == (200, Ending.COMPLETE)
    if stream:
        *_, last, rest = said.body.decode().split("\n\n")
        assert rest == ""
        delta = json.loads(last.partition("data: ")[2])["delta"]
    else:
        delta = said.json()
    assert (delta["finish_reason"], delta["error"]) == ("ERROR", "as told")


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "no api key supplied"),
        ({"authorization": "Basic k"}, "no api key supplied"),
        ({"authorization": "Bearer other"}, "invalid api token"),
    ],
)
def test_strangers_are_refused(headers: dict[str, str], message: str) -> None:
    said = post(chat(), headers=headers, simulator=Simulator(required_keys=["k"]))
    assert (said.status, said.json()) == (401, {"message": message})


def test_ordered_errors_are_bare_messages() -> None:
    simulator = Simulator()
    simulator.plan(Behaviour(status=429, retry_after=3, error={"message": "slow down"}))
    said = post(chat(), simulator=simulator)
    assert (said.status, said.json()) == (429, {"message": "slow down"})
    assert said.headers["retry-after"] == "3"
    assert post(chat(), method="GET").status == 405
    unknown = post(chat(), simulator=Simulator(Profile(models=("known",))))
    assert unknown.status == 404


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "unknown field": (chat(simulate={}), 422, "parameter 'simulate' is not a valid field"),
    "n": (chat(n=1), 422, "parameter 'n' is not a valid field"),
    "no model": ({"messages": [HELLO]}, 422, "parameter 'model' is required"),
    "no messages": ({**chat(), "messages": []}, 400, "messages must not be empty"),
    "role": (chat({"role": "developer", "content": "x"}), 422, "messages"),
    "empty content": (chat({"role": "user", "content": ""}), 400, "messages[0]: must have content"),
    "nothing said": (chat(HELLO, {"role": "assistant"}, HELLO), 400, "content or tool_calls"),
    "the assistant last": (
        chat(HELLO, {"role": "assistant", "content": "x"}),
        400,
        "last message must be from the user or a tool",
    ),
    "a plan for nothing": (
        chat(HELLO, {"role": "assistant", "content": "x", "tool_plan": "y"}, HELLO),
        400,
        "tool_plan can only",
    ),
    "sight": (chat(image(f"data:image/png;base64,{PNG}")), 400, "image_url is not supported"),
    "sight of what": ({**chat(image("file:a")), "model": MODEL}, 400, "must be a web address"),
    "base64": (
        {**chat(image("data:image/png;base64,%")), "model": MODEL},
        400,
        "not valid base64",
    ),
    "a sound": (
        chat({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}),
        422,
        "messages",
    ),
    "an uncalled result": (chat(HELLO, answered()), 400, "tool_call_id 'c1' not found"),
    "an unanswered call": (chat(HELLO, calling(call()), HELLO), 400, "missing tool results for c1"),
    "unanswered at the end": (chat(HELLO, calling(call(1), call(2)), answered(1)), 400, "for c2"),
    "a second answer": (chat(HELLO, calling(call()), answered(), answered()), 400, "not found"),
    "arguments": (chat(HELLO, calling(call(1, "[]")), answered()), 400, "must be a JSON object"),
    "arguments as object": (
        chat(HELLO, calling({**call(), "function": {"name": "a", "arguments": {}}}), answered()),
        422,
        "arguments",
    ),
    "tool name": (
        chat(tools=[{"type": "function", "function": {"name": "1a", "parameters": PARAMETERS}}]),
        422,
        "name",
    ),
    "a tool twice": (chat(tools=[TOOL, TOOL]), 400, "unique names"),
    "no object": (
        chat(tools=[{"type": "function", "function": {"name": "a", "parameters": {}}}]),
        400,
        "must be of type object",
    ),
    "choice": (chat(tools=[TOOL], tool_choice="auto"), 422, "tool_choice"),
    "choice of nothing": (chat(tool_choice="REQUIRED"), 400, "only be specified with tools"),
    "strictness of nothing": (chat(strict_tools=True), 400, "only be specified with tools"),
    "form and tools": (
        chat(tools=[TOOL], response_format={"type": "json_object"}),
        400,
        "not supported with tools",
    ),
    "OpenAI's form": (chat(response_format={"type": "json_schema"}), 422, "response_format.type"),
    "form of text": (
        chat(response_format={"type": "text", "json_schema": FORM}),
        400,
        "only be specified with the type",
    ),
    "form of a list": (
        chat(response_format={"type": "json_object", "json_schema": {"type": "array"}}),
        400,
        "top-level type must be object",
    ),
    "form without needs": (
        chat(response_format={"type": "json_object", "json_schema": {"type": "object"}}),
        400,
        "at least one required field",
    ),
    "thinking": (chat(thinking={"type": "enabled"}), 400, "thinking is not supported"),
    "effort": (chat(thinking={"type": "enabled", "effort": "low"}), 422, "thinking.effort"),
    "p": (chat(p=1.0), 422, "'p'"),
    "k": (chat(k=501), 422, "'k'"),
    "penalty": (chat(frequency_penalty=1.5), 422, "frequency_penalty"),
    "stops": (chat(stop_sequences=list("abcdef")), 422, "stop_sequences"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_breaks_a_rule_is_refused_with_the_place(name: str) -> None:
    body, status, message = REFUSED[name]
    said = post(body)
    assert said.status == status
    assert message in said.json()["message"]


@pytest.mark.parametrize(
    "body",
    [
        chat(
            {"role": "system", "content": "s"}, HELLO, {"role": "assistant", "content": "x"}, HELLO
        ),
        chat(HELLO, calling(call(1), call(2), tool_plan="p"), answered(2), answered(1)),
        chat(HELLO, calling(call()), answered(), HELLO),
        {**chat(image(f"data:image/png;base64,{PNG}")), "model": MODEL},
        {**chat(image("https://example.com/a.png")), "model": "command-a-vision-07-2025"},
        chat(thinking={"type": "disabled"}, p=0.99, k=0, safety_mode="NONE", documents=["x"]),
        chat(response_format={"type": "json_object"}),
    ],
)
def test_what_is_just_within_the_rules_is_answered(body: dict[str, Any]) -> None:
    said = post(body)
    assert said.status == 200, said.body


def embed(**fields: Any) -> Said:
    body = {"model": "embed-v4.0", "texts": ["a", "bcdef"], "input_type": "search_query"}
    return post({**body, **fields}, "/v2/embed")


def test_vectors_come_in_the_types_that_were_asked_for() -> None:
    kinds = ["float", "int8", "uint8", "binary", "ubinary", "base64"]
    answer = embed(embedding_types=kinds, output_dimension=16).json()
    assert list(answer["embeddings"]) == kinds
    assert [len(vector) for vector in answer["embeddings"]["float"]] == [16, 16]
    assert all(-128 <= value <= 127 for value in answer["embeddings"]["int8"][0])
    assert [value + 128 for value in answer["embeddings"]["binary"][1]] == answer["embeddings"][
        "ubinary"
    ][1]
    assert answer["texts"] == ["a", "bcdef"]
    assert answer["meta"]["billed_units"] == {"input_tokens": 3}
    assert list(embed().json()["embeddings"]) == ["float"]


@pytest.mark.parametrize(
    "fields",
    [{"texts": []}, {"texts": ["x"] * 97}, {"input_type": None}, {"embedding_types": ["double"]}],
)
def test_a_wrong_request_for_vectors_is_refused(fields: dict[str, Any]) -> None:
    assert embed(**fields).status == 422


def test_texts_are_ranked_by_the_words_of_the_query_that_they_hold() -> None:
    documents = ["a cat", "the cat sat", "nothing", "The CAT there"]
    body = {"model": "rerank-v4.0-pro", "query": "the cat", "documents": documents}
    ranked = post(body, "/v2/rerank").json()["results"]
    assert [one["index"] for one in ranked] == [1, 3, 0, 2]
    assert [one["relevance_score"] for one in ranked] == [1.0, 1.0, 0.5, 0.0]
    assert len(post({**body, "top_n": 2}, "/v2/rerank").json()["results"]) == 2
    assert post({**body, "documents": []}, "/v2/rerank").status == 422
