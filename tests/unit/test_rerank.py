"""A client's wish for a ranking, and the ranking as the client gets it."""

import json
from typing import Any

import msgspec
import pytest

from adapters.dialect import BadCall, Target
from adapters.registry import dialect_of_call
from adapters.rerank_bridge import decode_call

TARGET = Target(
    upstream_model="upstream-model",
    served_model="served",
    paths={"rerank": b"/v1/rerank"},
    headers=[],
)
ASKED: dict[str, Any] = {"model": "m", "query": "What is it?", "documents": ["one", "two", "six"]}
RESULTS = [
    {"index": place, "relevance_score": score} for place, score in enumerate((0.1, 0.9, 0.5))
]


def asked(**fields: Any) -> bytes:
    return json.dumps({**ASKED, **fields}).encode()


def answered(dialect: str = "jina", usage: Any = None, **fields: Any) -> dict[str, Any]:
    call = msgspec.structs.replace(decode_call(asked(**fields)), request_id="r1")
    body = {"data" if dialect == "voyage" else "results": RESULTS, "usage": usage}
    answer = dialect_of_call(call, dialect).decode_answer(call, TARGET, json.dumps(body).encode())
    found: dict[str, Any] = json.loads(answer.body)
    assert answer.usage is not None
    assert found["usage"]["total_tokens"] == answer.usage.input_tokens
    assert answer.usage.estimated == (usage is None)
    return found


def test_the_best_come_first_with_what_it_took() -> None:
    assert answered(usage={"total_tokens": 30}) == {
        "id": "r1",
        "model": "served",
        "results": [
            {"index": 1, "relevance_score": 0.9},
            {"index": 2, "relevance_score": 0.5},
            {"index": 0, "relevance_score": 0.1},
        ],
        "meta": {
            "api_version": {"version": "2"},
            "billed_units": {},
            "tokens": {"input_tokens": 30},
        },
        "usage": {"prompt_tokens": 30, "total_tokens": 30},
    }


def test_a_provider_that_sends_more_than_was_asked_for_is_cut() -> None:
    assert [one["index"] for one in answered(top_n=2)["results"]] == [1, 2]


def test_documents_come_back_if_they_are_wanted() -> None:
    found = answered(return_documents=True, documents=["one", {"text": "two"}, {"text": "six"}])
    assert [one["document"] for one in found["results"]] == [
        {"text": "two"},
        {"text": "six"},
        {"text": "one"},
    ]


def test_what_nobody_counted_is_guessed_with_the_question_read_once_a_document() -> None:
    few = answered(dialect="voyage")["usage"]["total_tokens"]
    many = answered(dialect="voyage", query="What is it?" * 10)["usage"]["total_tokens"]
    assert few < many
    assert many == round((3 * 110 + 9) / 4)


def test_searches_are_told_as_cohere_tells_them() -> None:
    call = decode_call(asked())
    body = {"results": RESULTS, "meta": {"billed_units": {"search_units": 1}}}
    verbs = dialect_of_call(call, "cohere")
    answer = verbs.decode_answer(call, TARGET, json.dumps(body).encode())
    assert json.loads(answer.body)["meta"]["billed_units"] == {"search_units": 1}


@pytest.mark.parametrize("top_n", [5, 3])
def test_more_than_there_are_is_all_of_them(top_n: int) -> None:
    call = decode_call(asked(top_n=top_n))
    body = json.loads(dialect_of_call(call, "cohere").encode_request(call, TARGET).body)
    assert body["top_n"] == 3


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"query": None}, "query"),
        ({"query": 3}, "query"),
        ({"documents": None}, "documents"),
        ({"documents": []}, "documents"),
        ({"documents": "one"}, "documents"),
        ({"documents": [{"image": "x"}]}, "documents"),
        ({"top_n": 0}, "top_n"),
        ({"top_n": "2"}, "top_n"),
        ({"return_documents": "yes"}, "return_documents"),
        ({"model": None}, "model"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused_by_its_field(
    fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(BadCall) as caught:
        decode_call(asked(**fields))
    assert caught.value.param == param


def test_a_ranking_is_never_streamed() -> None:
    call = decode_call(asked())
    with pytest.raises(BadCall, match="not streamed"):
        dialect_of_call(call, "jina").stream_decoder(call, TARGET)


@pytest.mark.parametrize("dialect", ["anthropic", "gemini", "bedrock", "deepseek"])
def test_who_does_not_rank_refuses_in_clear_words(dialect: str) -> None:
    call = decode_call(asked())
    with pytest.raises(BadCall, match="does not serve 'rerank'"):
        dialect_of_call(call, dialect).encode_request(call, TARGET)


def test_who_speaks_openais_dialect_is_asked_in_jinas_form() -> None:
    call = decode_call(asked(top_n=1))
    body = json.loads(dialect_of_call(call, "openai").encode_request(call, TARGET).body)
    assert body == {
        "model": "upstream-model",
        "query": ASKED["query"],
        "documents": ASKED["documents"],
        "return_documents": False,
        "top_n": 1,
    }
