"""Simulated embeddings: unit vectors of the input, in both encodings."""

import base64
import math
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.simulator.embeddings import embedding_answer, packed_vector
from router.simulator.fields import EmbeddingFields
from router.simulator.refusal import Refusal


def answer(value: Any, *, as_floats: bool = False, **fields: Any) -> dict[str, Any]:
    body = {"model": "m", "input": value, **fields}
    return embedding_answer(msgspec.convert(body, EmbeddingFields), as_floats=as_floats)


def floats(packed: bytes) -> list[float]:
    return list(struct.unpack(f"<{len(packed) // 4}f", packed))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.integers(1, 300))
def test_vectors_have_length_one(text: str, size: int) -> None:
    assert math.hypot(*floats(packed_vector(text, size))) == pytest.approx(1.0, abs=1e-5)


@given(st.integers(1, 60), st.integers(0, 60))
def test_a_shorter_vector_points_where_the_longer_one_begins(size: int, more: int) -> None:
    short = floats(packed_vector("x", size))
    start = floats(packed_vector("x", size + more))[:size]
    length = math.hypot(*start)
    assert short == pytest.approx([number / length for number in start], abs=1e-5)


def test_different_inputs_have_different_vectors() -> None:
    vectors = {packed_vector(value, 8) for value in ("a", "b", [1], [2], [1, 2])}
    assert len(vectors) == 5


def test_base64_and_floats_are_the_same_numbers() -> None:
    encoded = answer("a", encoding_format="base64")["data"][0]["embedding"]
    plain = answer("a", encoding_format="float")["data"][0]["embedding"]
    assert floats(base64.b64decode(encoded)) == plain
    assert answer("a")["data"][0]["embedding"] == plain
    assert answer("a", encoding_format="base64", as_floats=True)["data"][0]["embedding"] == plain


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("text-embedding-3-small", 1536),
        ("openai/text-embedding-3-small", 1536),
        ("text-embedding-3-large", 3072),
        ("anything", 64),
    ],
)
def test_the_model_decides_on_the_dimensions(model: str, size: int) -> None:
    assert len(answer("a", model=model)["data"][0]["embedding"]) == size
    assert len(answer("a", model=model, dimensions=5)["data"][0]["embedding"]) == 5


@pytest.mark.parametrize(
    ("value", "count", "tokens"),
    [("abcde", 1, 2), (["abcd", "ab"], 2, 2), ([1, 2, 3], 1, 3), ([[1], [2, 3]], 2, 3)],
)
def test_inputs_of_every_form_are_counted(value: Any, count: int, tokens: int) -> None:
    said = answer(value)
    assert [one["index"] for one in said["data"]] == list(range(count))
    assert said["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}


def test_a_list_has_the_vectors_of_its_members() -> None:
    both = [one["embedding"] for one in answer(["a", "b"])["data"]]
    assert both == [answer(text)["data"][0]["embedding"] for text in ("a", "b")]


@pytest.mark.parametrize("value", [[], [[]], ["a", 1], [None], [1.5]])
def test_inputs_of_no_form_are_refused(value: Any) -> None:
    with pytest.raises(Refusal) as refused:
        answer(value)
    assert (refused.value.status, refused.value.error["param"]) == (400, "input")
