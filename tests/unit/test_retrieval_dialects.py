"""Embeddings and rankings of Voyage, Jina and Cohere: what they are asked, and what they answer."""

import json
from typing import Any

import msgspec
import pytest

from adapters.cohere import rerank as cohere_rerank
from adapters.dialect import BadAnswer, BadCall, FailureKind, Target, Usage
from adapters.jina import embedding as jina_embedding
from adapters.jina import rerank as jina_rerank
from adapters.middle.embeddings import EmbeddingUpstream, EmbeddingWish
from adapters.middle.rerank import Ranked, RankingWish, RerankUpstream
from adapters.registry import dialect_for, dialect_of_call
from adapters.voyage import embedding as voyage_embedding
from adapters.voyage import rerank as voyage_rerank
from tests.dialect_wire import chat

TARGET = Target(
    upstream_model="upstream-model",
    served_model="served",
    paths={"embeddings": b"/v1/embeddings", "rerank": b"/v1/rerank"},
    headers=[(b"authorization", b"Bearer k")],
)
EMBEDDERS: dict[str, EmbeddingUpstream] = {"voyage": voyage_embedding, "jina": jina_embedding}
RANKERS: dict[str, RerankUpstream] = {
    "voyage": voyage_rerank,
    "jina": jina_rerank,
    "cohere": cohere_rerank,
}


def embedded(dialect: str, **wish: Any) -> dict[str, Any]:
    request = EMBEDDERS[dialect].encode_embedding(["a", "b"], TARGET, EmbeddingWish(**wish))
    assert (request.target, request.headers) == (b"/v1/embeddings", TARGET.headers)
    found: dict[str, Any] = json.loads(request.body)
    assert (found.pop("model"), found.pop("input")) == ("upstream-model", ["a", "b"])
    return found


OWN = {
    name: msgspec.Raw(b"true") for name in ("truncation", "late_chunking", "normalized", "unknown")
}


@pytest.mark.parametrize(
    ("dialect", "wish", "expected"),
    [
        ("voyage", {}, {}),
        ("voyage", {"dimensions": 256}, {"output_dimension": 256}),
        ("voyage", {"input_type": "query"}, {"input_type": "query"}),
        ("voyage", {"input_type": "search_document"}, {"input_type": "document"}),
        ("voyage", {"input_type": "clustering"}, {}),
        ("voyage", {"input_type": "of-next-year"}, {"input_type": "of-next-year"}),
        ("voyage", {"extra": OWN}, {"truncation": True}),
        ("jina", {}, {}),
        ("jina", {"dimensions": 256}, {"dimensions": 256}),
        ("jina", {"input_type": "query"}, {"task": "retrieval.query"}),
        ("jina", {"input_type": "retrieval.passage"}, {"task": "retrieval.passage"}),
        ("jina", {"input_type": "similarity"}, {"task": "text-matching"}),
        ("jina", {"extra": OWN}, {"late_chunking": True, "normalized": True}),
    ],
)
def test_a_wish_is_said_in_the_providers_words(
    dialect: str, wish: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert embedded(dialect, **wish) == expected


@pytest.mark.parametrize("dialect", EMBEDDERS)
@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"total_tokens": 7}, Usage(input_tokens=7)),
        ({"total_tokens": 7, "prompt_tokens": 6}, Usage(input_tokens=6)),
        ({}, None),
        (None, None),
    ],
)
def test_vectors_come_in_the_order_of_the_texts(
    dialect: str, usage: dict[str, int] | None, expected: Usage | None
) -> None:
    data = [
        {"object": "embedding", "embedding": [3, 4], "index": 1},
        {"object": "embedding", "embedding": [1.5, 2], "index": 0},
    ]
    body = json.dumps({"object": "list", "data": data, "model": "m", "usage": usage}).encode()
    found = EMBEDDERS[dialect].decode_embedding(body, expected=2)
    assert found.vectors == ((1.5, 2.0), (3.0, 4.0))
    assert found.usage == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"data":[]}',
        b'{"data":[{"embedding":[1],"index":0}]}',
        b'{"data":[{"embedding":[1],"index":0},{"embedding":[1],"index":0}]}',
        b'{"data":[{"embedding":[1],"index":0},{"embedding":["x"],"index":1}]}',
        b'{"data":[{"embedding":[1]},{"embedding":"AAAA"}]}',
    ],
)
def test_what_is_no_list_of_vectors_is_a_failure(body: bytes) -> None:
    for upstream in EMBEDDERS.values():
        with pytest.raises(BadAnswer) as caught:
            upstream.decode_embedding(body, expected=2)
        assert caught.value.failure.kind is FailureKind.INVALID


def test_an_error_in_a_200_has_its_class() -> None:
    body = b'{"error":{"message":"slow down","code":"rate_limit_exceeded"}}'
    with pytest.raises(BadAnswer) as caught:
        jina_embedding.decode_embedding(body, expected=1)
    assert caught.value.failure.kind is FailureKind.RATE_LIMITED


@pytest.mark.parametrize(
    ("dialect", "most", "expected"),
    [
        ("cohere", None, {}),
        ("cohere", 1, {"top_n": 1}),
        ("jina", None, {"return_documents": False}),
        ("jina", 1, {"return_documents": False, "top_n": 1}),
        ("voyage", None, {"truncation": True}),
        ("voyage", 1, {"truncation": True, "top_k": 1}),
    ],
)
def test_a_ranking_is_asked_for_in_the_providers_words(
    dialect: str, most: int | None, expected: dict[str, Any]
) -> None:
    wish = RankingWish(query="q", documents=("a", "b"), most=most, extra=OWN)
    request = RANKERS[dialect].encode_rerank(wish, TARGET)
    assert (request.target, request.headers) == (b"/v1/rerank", TARGET.headers)
    found = json.loads(request.body)
    if dialect == "jina":
        assert found.pop("truncation") is True
    assert found == {
        "model": "upstream-model",
        "query": "q",
        "documents": ["a", "b"],
        **expected,
    }


RESULTS = [{"index": 1, "relevance_score": 0.25}, {"index": 0, "relevance_score": 0.75}]
RANKED = (Ranked(0, 0.75), Ranked(1, 0.25))


@pytest.mark.parametrize(
    ("dialect", "answer", "usage", "searches"),
    [
        ("jina", {"results": RESULTS, "usage": {"total_tokens": 9}}, Usage(input_tokens=9), None),
        ("jina", {"results": RESULTS}, None, None),
        ("voyage", {"data": RESULTS, "usage": {"total_tokens": 9}}, Usage(input_tokens=9), None),
        ("voyage", {"object": "list", "data": RESULTS}, None, None),
        ("cohere", {"results": RESULTS, "meta": {"billed_units": {"search_units": 1}}}, None, 1),
        (
            "cohere",
            {"results": RESULTS, "meta": {"tokens": {"input_tokens": 8}, "billed_units": {}}},
            Usage(input_tokens=8),
            None,
        ),
        ("cohere", {"results": RESULTS, "meta": {"billed_units": 3}}, None, None),
    ],
)
def test_a_ranking_is_read_the_best_first(
    dialect: str, answer: dict[str, Any], usage: Usage | None, searches: int | None
) -> None:
    found = RANKERS[dialect].decode_rerank(json.dumps(answer).encode(), documents=2)
    assert (found.results, found.usage, found.searches) == (RANKED, usage, searches)


@pytest.mark.parametrize("dialect", RANKERS)
@pytest.mark.parametrize(
    "results",
    [
        None,
        [{"index": 2, "relevance_score": 0.5}],
        [{"index": -1, "relevance_score": 0.5}],
        [RESULTS[0], RESULTS[0]],
        [{"index": 0, "relevance_score": "high"}],
        [{"index": 0}],
    ],
)
def test_what_is_no_ranking_of_these_documents_is_a_failure(dialect: str, results: Any) -> None:
    name = "data" if dialect == "voyage" else "results"
    body = json.dumps({name: results}).encode()
    with pytest.raises(BadAnswer) as caught:
        RANKERS[dialect].decode_rerank(body, documents=2)
    assert caught.value.failure.kind is FailureKind.INVALID


@pytest.mark.parametrize("dialect", ["voyage", "jina"])
def test_who_only_embeds_and_ranks_refuses_to_chat_in_clear_words(dialect: str) -> None:
    for face in ("chat", "messages", "responses"):
        verbs = dialect_for(face, dialect)
        for refused in (verbs.encode_request, verbs.stream_decoder):
            with pytest.raises(BadCall, match="does not serve 'chat'"):
                refused(chat(), TARGET)
        with pytest.raises(BadCall, match="does not serve 'chat'"):
            verbs.decode_answer(chat(), TARGET, b"{}")


@pytest.mark.parametrize(
    ("status", "detail", "kind"),
    [
        (400, "Model 'x' not found", FailureKind.REFUSED),
        (401, "Provided API key is invalid.", FailureKind.CREDENTIAL),
        (403, "Insufficient account balance", FailureKind.CREDENTIAL),
        (429, "You have not yet added your payment method", FailureKind.RATE_LIMITED),
        (503, "try again", FailureKind.OVERLOADED),
    ],
)
@pytest.mark.parametrize("dialect", ["voyage", "jina"])
def test_their_errors_have_their_class_and_words(
    dialect: str, status: int, detail: str, kind: FailureKind
) -> None:
    verbs = dialect_of_call(msgspec.structs.replace(chat(), endpoint="embeddings"), dialect)
    body = json.dumps({"detail": detail}).encode()
    failure = verbs.classify_error(status, [], body, now_at=0.0)
    assert (failure.kind, failure.message) == (kind, detail)
