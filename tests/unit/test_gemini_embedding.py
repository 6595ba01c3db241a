"""Embeddings of the Gemini API and of Vertex AI."""

import json
from typing import Any

import pytest

from adapters.dialect import BadAnswer, FailureKind, Usage
from adapters.gemini.embedding import decode_embedding, encode_embedding, most_texts
from adapters.middle.embeddings import Embeddings, EmbeddingWish
from tests.unit.gemini_wire import target

VERTEX = {"embeddings": b"/publishers/google/models/{model}:predict"}


def decode(answer: Any, expected: int = 1) -> Embeddings:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return decode_embedding(body, expected=expected)


@pytest.mark.parametrize("name", ["gemini-embedding-001", "models/gemini-embedding-001"])
@pytest.mark.parametrize(("dimensions", "more"), [(None, {}), (256, {"outputDimensionality": 256})])
def test_texts_go_to_the_gemini_api_as_a_batch(
    name: str, dimensions: int | None, more: dict[str, int]
) -> None:
    request = encode_embedding(["a", "b"], target(name), EmbeddingWish(dimensions=dimensions))
    assert request.target == b"/v1beta/models/gemini-embedding-001:batchEmbedContents"
    assert request.headers == target(name).headers
    expected = {"model": "models/gemini-embedding-001", **more}
    assert json.loads(request.body)["requests"] == [
        {**expected, "content": {"parts": [{"text": text}]}} for text in ("a", "b")
    ]


@pytest.mark.parametrize(
    ("dimensions", "more"),
    [(None, {}), (256, {"parameters": {"outputDimensionality": 256}})],
)
def test_texts_go_to_vertex_as_instances(dimensions: int | None, more: dict[str, Any]) -> None:
    told = target("text-embedding-005", paths=VERTEX)
    request = encode_embedding(["a", "b"], told, EmbeddingWish(dimensions=dimensions))
    assert request.target == b"/publishers/google/models/text-embedding-005:predict"
    assert json.loads(request.body) == {"instances": [{"content": "a"}, {"content": "b"}], **more}


@pytest.mark.parametrize(
    ("input_type", "task"),
    [("query", "RETRIEVAL_QUERY"), ("search_document", "RETRIEVAL_DOCUMENT"), ("NEW", "NEW")],
)
def test_what_a_text_is_for_is_said_in_googles_words(input_type: str, task: str) -> None:
    wish = EmbeddingWish(input_type=input_type)
    batch = json.loads(encode_embedding(["a"], target("gemini-embedding-001"), wish).body)
    assert batch["requests"][0]["taskType"] == task
    told = target("text-embedding-005", paths=VERTEX)
    listed = json.loads(encode_embedding(["a"], told, wish).body)
    assert listed["instances"] == [{"content": "a", "task_type": task}]


def test_each_service_takes_its_own_number_of_texts() -> None:
    assert most_texts(target("gemini-embedding-001")) == 100
    assert most_texts(target("text-embedding-005", paths=VERTEX)) == 250
    assert most_texts(target("gemini-embedding-001", paths=VERTEX)) == 1


def vertex(values: list[float], tokens: float | None = None) -> Any:
    told = {} if tokens is None else {"statistics": {"token_count": tokens, "truncated": False}}
    return {"embeddings": {"values": values, **told}}


@pytest.mark.parametrize(
    ("answer", "usage"),
    [
        ({"embeddings": [{"values": [1, 2]}, {"values": [0.5]}]}, None),
        (
            {
                "embeddings": [{"values": [1, 2]}, {"values": [0.5]}],
                "usageMetadata": {"promptTokenCount": 4},
            },
            Usage(input_tokens=4),
        ),
        ({"predictions": [vertex([1, 2], 3.0), vertex([0.5], 4)]}, Usage(input_tokens=7)),
        ({"predictions": [vertex([1, 2], 3), vertex([0.5])]}, None),
    ],
)
def test_vectors_come_in_order_with_the_usage_that_was_told(
    answer: Any, usage: Usage | None
) -> None:
    assert decode(answer, 2) == Embeddings(((1.0, 2.0), (0.5,)), usage)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"embeddings": []}, FailureKind.INVALID),
        ({}, FailureKind.INVALID),
        ({"embeddings": [{"values": [1]}, {"values": [1]}]}, FailureKind.INVALID),
        ({"embeddings": [{"values": ["x"]}]}, FailureKind.INVALID),
        ({"embeddings": [{}]}, FailureKind.INVALID),
        (b"", FailureKind.INVALID),
        ({"error": {"code": 429}}, FailureKind.RATE_LIMITED),
    ],
)
def test_what_is_no_list_of_vectors_is_a_failure(answer: Any, kind: FailureKind) -> None:
    with pytest.raises(BadAnswer) as bad:
        decode(answer)
    assert bad.value.failure.kind is kind
