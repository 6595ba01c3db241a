"""What the simulated Gemini answers, whole and streamed."""

import json
from itertools import pairwise
from typing import Any

import pytest

from router.simulator import Behaviour, Simulator, expected_text
from router.simulator.performance import Ending
from tests.unit.simulator_dialects import (
    KEYS,
    PNG,
    Said,
    call,
    content,
    function,
    gemini,
    gemini_stream,
    generate,
    response,
)

NEW = "gemini-3-pro-preview"
CITY = function("get_weather", type="OBJECT", properties={"city": {"type": "STRING"}})
SHOWN = {"thinkingConfig": {"includeThoughts": True}}


def assembled(said: Said) -> dict[str, Any]:
    """The answer that a stream adds up to: neighbouring texts of a kind joined, the last usage."""
    chunks = said.data()
    parts: dict[int, list[dict[str, Any]]] = {}
    reasons: dict[int, str] = {}
    for chunk in chunks:
        for candidate in chunk["candidates"]:
            index = candidate["index"]
            assert index not in reasons, "nothing follows the reason"
            for part in candidate["content"]["parts"]:
                _add(parts.setdefault(index, []), part)
            if "finishReason" in candidate:
                reasons[index] = candidate["finishReason"]
    said_parts = {
        index: [part for part in found if part != {"text": ""}] for index, found in parts.items()
    }
    return {
        "candidates": [
            {
                "content": {"parts": said_parts[index], "role": "model"},
                "finishReason": reasons[index],
                "index": index,
            }
            for index in sorted(parts)
        ],
        **{name: value for name, value in chunks[-1].items() if name != "candidates"},
    }


def _add(parts: list[dict[str, Any]], part: dict[str, Any]) -> None:
    last = parts[-1] if parts else {}
    if "text" in last and "text" in part and last.get("thought") == part.get("thought"):
        parts[-1] = {**last, **part, "text": last["text"] + part["text"]}
    else:
        parts.append(part)


@pytest.mark.parametrize("model", ["gemini-2.0-flash", "gemini-2.5-flash", NEW])
@pytest.mark.parametrize(
    "body",
    [
        generate(),
        generate(tools=[CITY]),
        generate(content("user", {"text": "get weather, look"}), tools=[CITY, function()]),
        generate(generationConfig={"candidateCount": 2, "maxOutputTokens": 40}),
        generate(generationConfig={"stopSequences": ["provider"]}),
    ],
)
def test_a_stream_adds_up_to_the_whole_answer(model: str, body: dict[str, Any]) -> None:
    whole, streamed = gemini(body, model=model), gemini_stream(body, model=model)
    assert (whole.status, streamed.status) == (200, 200)
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert assembled(streamed) == whole.json()


def test_shown_thoughts_add_up_too() -> None:
    body = generate(generationConfig=SHOWN)
    whole = gemini(body).json()
    assert [part.get("thought") for part in whole["candidates"][0]["content"]["parts"]] == [
        True,
        None,
    ]
    assert whole["usageMetadata"]["thoughtsTokenCount"] > 0
    assert assembled(gemini_stream(body)) == whole


def test_the_text_is_that_of_every_dialect() -> None:
    answer = gemini(generate(), model="m").json()
    text = expected_text({"model": "m", "messages": [{"role": "user", "content": "Hello"}]})
    assert answer["candidates"][0]["content"] == {"parts": [{"text": text}], "role": "model"}
    assert answer["modelVersion"] == "m"


def test_without_sse_a_stream_is_one_array() -> None:
    said = gemini(generate(), method="streamGenerateContent")
    assert said.headers["content-type"].startswith("application/json")
    assert json.loads(said.body) == gemini_stream(generate()).data()


def test_an_array_that_breaks_is_not_closed() -> None:
    simulator = Simulator()
    simulator.plan(Behaviour(cut_after=2))
    said = gemini(generate(), method="streamGenerateContent", simulator=simulator)
    assert said.ending is Ending.CUT
    assert not said.body.endswith(b"]")


def test_why_an_answer_ends() -> None:
    cut = gemini(generate(generationConfig={"maxOutputTokens": 3}), model="m").json()
    assert cut["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert cut["usageMetadata"]["candidatesTokenCount"] == 3
    lost = gemini(generate(generationConfig={"maxOutputTokens": 3}), model=NEW).json()
    assert "parts" not in lost["candidates"][0]["content"]
    assert lost["usageMetadata"]["thoughtsTokenCount"] == 3


def test_usage_grows_with_every_chunk() -> None:
    totals = [
        chunk["usageMetadata"]["totalTokenCount"] for chunk in gemini_stream(generate()).data()
    ]
    assert all(before <= after for before, after in pairwise(totals))
    assert totals[0] < totals[-1]
    simulator = Simulator()
    simulator.plan(Behaviour(usage_on_last_chunk=True), Behaviour(omit_usage=True))
    for expected in (1, 0):
        chunks = gemini_stream(generate(), simulator=simulator).data()
        assert sum("usageMetadata" in chunk for chunk in chunks) == expected


def test_cached_tokens_are_a_part_of_the_prompt() -> None:
    simulator = Simulator()
    simulator.plan(Behaviour(cached_tokens=2), Behaviour(cached_tokens=10**6))
    some = gemini(generate(), simulator=simulator).json()["usageMetadata"]
    assert some["cachedContentTokenCount"] == 2 < some["promptTokenCount"]
    every = gemini(generate(), simulator=simulator).json()["usageMetadata"]
    assert every["cachedContentTokenCount"] == every["promptTokenCount"] == some["promptTokenCount"]


def test_calls_of_older_models_have_neither_id_nor_signature() -> None:
    (part,) = gemini(generate(tools=[CITY])).json()["candidates"][0]["content"]["parts"]
    assert part == call("get_weather", args={"city": "example"})


def test_a_loop_of_calls_with_signatures_comes_to_an_end() -> None:
    asked = content("user", {"text": "get weather, then look"})
    tools = [CITY, function()]
    parts = gemini(generate(asked, tools=tools), model=NEW).json()["candidates"][0]["content"][
        "parts"
    ]
    assert ["thoughtSignature" in part for part in parts] == [True, False]
    calls = [part["functionCall"] for part in parts]
    assert len({one["id"] for one in calls}) == 2
    answered = content("user", *(response(one["name"], id=one["id"]) for one in calls))
    loop = generate(asked, content("model", *parts), answered, tools=tools)
    answer = gemini(loop, model=NEW).json()["candidates"][0]
    assert answer["finishReason"] == "STOP"
    assert "The tool answered “found”." in answer["content"]["parts"][0]["text"]
    del parts[0]["thoughtSignature"]
    assert gemini(generate(asked, content("model", *parts), answered), model=NEW).status == 400


def test_a_call_comes_whole_when_its_last_token_is_due() -> None:
    simulator = Simulator()
    simulator.plan(Behaviour(ttft=1, gap=1))
    said = gemini_stream(generate(tools=[CITY]), model="m", simulator=simulator)
    fragments = said.data()[-1]["usageMetadata"]["candidatesTokenCount"]
    assert fragments > 1
    assert said.steps[0] == fragments


def test_forced_and_forbidden_calls() -> None:
    def called(**config: Any) -> list[str]:
        body = generate(tools=[CITY, function()], toolConfig={"functionCallingConfig": config})
        parts = gemini(body).json()["candidates"][0]["content"]["parts"]
        return [part["functionCall"]["name"] for part in parts if "functionCall" in part]

    assert called(mode="ANY", allowedFunctionNames=["look"]) == ["look"]
    assert called(mode="ANY") == ["get_weather"]
    assert called(mode="NONE") == called(mode="AUTO") == []


@pytest.mark.parametrize("field", ["responseSchema", "responseJsonSchema"])
def test_the_form_of_the_answer(field: str) -> None:
    kind = "OBJECT" if field == "responseSchema" else "object"
    schema = {"type": kind, "properties": {"a": {"type": "string"}}}
    config = {"responseMimeType": "application/json", field: schema}
    parts = gemini(generate(generationConfig=config)).json()["candidates"][0]["content"]["parts"]
    assert json.loads(parts[0]["text"]) == {"a": "example"}


def test_images_are_counted_and_measured() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    answer = gemini(generate(content("user", {"text": "Look"}, image))).json()
    assert "I received 1 image: a data URL (image/png, " in str(answer["candidates"])


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (429, "RESOURCE_EXHAUSTED"),
        (503, "UNAVAILABLE"),
        (500, "INTERNAL"),
        (504, "DEADLINE_EXCEEDED"),
    ],
)
@pytest.mark.parametrize("where", ["head", "stream", "whole"])
def test_errors_wherever_they_strike(status: int, name: str, where: str) -> None:
    order = (
        {"status": status}
        if where == "head"
        else {"error_event_after": 1, "error_event_status": status}
    )
    headers = {**KEYS["gemini"], "x-simulate": json.dumps({**order, "retry_after": 34.5})}
    streamed = where == "stream"
    said = (gemini_stream if streamed else gemini)(generate(), headers=headers)
    assert said.status == (status if where == "head" else 200)
    assert "retry-after" not in said.headers
    error = (said.data()[-1] if streamed else said.json())["error"]
    assert (error["code"], error["status"]) == (status, name)
    assert error["details"] == [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
    ]


def test_a_blocked_prompt_can_be_ordered() -> None:
    simulator = Simulator()
    simulator.plan(Behaviour(extra={"candidates": [], "promptFeedback": {"blockReason": "SAFETY"}}))
    answer = gemini(generate(), simulator=simulator).json()
    assert (answer["candidates"], answer["promptFeedback"]) == ([], {"blockReason": "SAFETY"})


def embed(**changes: Any) -> dict[str, Any]:
    one = {"model": "models/e", "content": {"parts": [{"text": "a"}]}, "outputDimensionality": 8}
    return {**one, **changes}


def test_embeddings() -> None:
    batch = [embed(), embed(outputDimensionality=4)]
    said = gemini({"requests": batch}, model="e", method="batchEmbedContents")
    vectors = [one["values"] for one in said.json()["embeddings"]]
    assert [len(vector) for vector in vectors] == [8, 4]
    assert sum(value * value for value in vectors[0]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        ([], "length >= 1"),
        ([embed()] * 101, "length <= 100"),
        ([embed(model="models/f")], "must be the one in the path"),
        ([embed(model="e")], "must be the one in the path"),
        ([embed(content={"parts": []})], "must not be empty"),
        ([embed(input="x")], 'Unknown name "input"'),
    ],
)
def test_batches_that_are_refused(batch: list[Any], told: str) -> None:
    said = gemini({"requests": batch}, model="e", method="batchEmbedContents")
    assert said.status == 400
    assert told in said.json()["error"]["message"]


@pytest.mark.parametrize("method", ["generateContent", "streamGenerateContent?alt=sse"])
def test_a_refused_prompt_has_no_candidates_but_a_reason(method: str) -> None:
    simulator = Simulator()
    simulator.plan(Behaviour(refuses="content"))
    said = gemini(generate(), method=method, simulator=simulator)
    [answer] = [said.json()] if method == "generateContent" else said.data()
    assert said.status == 200
    assert answer["promptFeedback"] == {"blockReason": "PROHIBITED_CONTENT"}
    assert answer["usageMetadata"]["promptTokenCount"] > 0
    assert "candidates" not in answer


def test_a_refused_prompt_is_one_item_of_an_array_too() -> None:
    simulator = Simulator()
    simulator.plan(Behaviour(refuses="content"))
    [answer] = gemini(generate(), method="streamGenerateContent", simulator=simulator).json()
    assert answer["promptFeedback"] == {"blockReason": "PROHIBITED_CONTENT"}
