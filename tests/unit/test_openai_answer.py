"""Whole answers in OpenAI's dialect: what passes, what changes its form, what is no answer."""

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.dialect import Answer, BadAnswer, Call, Failure, FailureKind, Usage
from adapters.openai.answer import decode_answer
from tests.openai_wire import SERVED, TARGET, UPSTREAM, call

DEEP = "[" * 100_000 + "]" * 100_000
CHAT = (
    f'{{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"{UPSTREAM}","choices":'
    '[{"index":0,"message":{"role":"assistant","content":"caf\\u00e9 \\/ caf\u00e9"},'
    '"logprobs":{"content":[{"logprob":-1.50}]},"finish_reason":"stop"}],'
    '"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9},"x":{ "y" : 1e400 }}'
)


def read(body: str | bytes, asked: Call | None = None) -> Answer:
    data = body.encode() if isinstance(body, str) else body
    return decode_answer(asked or call(), TARGET, data)


def refused(body: str | bytes, asked: Call | None = None) -> Failure:
    with pytest.raises(BadAnswer) as caught:
        read(body, asked)
    return caught.value.failure


# --- chat and completions -------------------------------------------------------------------------


def test_i9_an_answer_passes_in_its_own_bytes_but_for_the_model() -> None:
    answer = read(CHAT)
    assert answer.body.decode() == CHAT.replace(f'"{UPSTREAM}"', f'"{SERVED}"')
    assert answer.usage == Usage(input_tokens=7, output_tokens=2)


def test_a_legacy_completion_passes_likewise() -> None:
    body = '{"choices":[{"text":"x","index":0}],"model":"m"}'
    asked = call("completions")
    assert read(body, asked).body.decode() == body.replace('"m"', f'"{SERVED}"')


@pytest.mark.parametrize(
    ("choices", "usage", "output_bytes"),
    [
        ('[{"message":{"content":"hello"}},{"message":{"content":"you"}}]', "null", 8),
        ('[{"message":{"content":null,"tool_calls":[{"id":"a"}]}}]', "null", len('{"id":"a"}')),
        ('[{"text":"hello"}]', "null", 5),
        ('[{"message":{"content":""}}]', "null", 0),
        ('[{"message":{"content":"hello"}}]', '{"prompt_tokens":7}', 5),
        ('[{"message":{"content":"hello"}}]', '{"prompt_tokens":7,"completion_tokens":2}', 0),
    ],
)
def test_what_an_answer_says_is_measured_where_its_tokens_are_not_told(
    choices: str, usage: str, output_bytes: int
) -> None:
    assert read(f'{{"choices":{choices},"usage":{usage}}}').output_bytes == output_bytes


@pytest.mark.parametrize("usage", ['"many"', '{"prompt_tokens":1.5}', "[]", "null", "{}", "7"])
def test_a_strange_usage_costs_no_answer(usage: str) -> None:
    body = f'{{"choices":[],"usage":{usage}}}'
    assert read(body) == Answer(body.encode(), None)


@pytest.mark.parametrize(
    "body",
    [
        "",
        " ",
        "<html>Bad gateway</html>",
        "data: {}\n\n",
        CHAT[:-1],
        CHAT + "}",
        "null",
        "[]",
        '"text"',
        "{}",
        '{"choices":null}',
        '{"choices":{}}',
        '{"choices":[],"model":7}',
        b'{"choices":[{"message":{"content":"\xff"}}]}',
        f'{{"choices":[{DEEP}]}}',
        DEEP,
    ],
)
def test_a_200_that_is_no_answer_is_invalid(body: str | bytes) -> None:
    failure = refused(body)
    assert (failure.kind, failure.status) == (FailureKind.INVALID, 200)
    assert failure.message.startswith("The provider's answer ")


def test_an_answer_nested_to_any_depth_around_the_limit_is_read_or_refused() -> None:
    outcomes: set[object] = set()
    for depth in range(850, 1010):
        body = f'{{"x":{"[" * depth}{"]" * depth},"model" : "m","choices":[]}}'
        try:
            outcomes.add(read(body).body.startswith(b'{"x":[[['))
        except BadAnswer as error:
            outcomes.add(error.failure.kind)
    assert outcomes <= {True, FailureKind.INVALID}


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        ('{"message":"slow","code":429}', FailureKind.RATE_LIMITED, "slow"),
        ('{"message":"no","type":"invalid_request_error"}', FailureKind.REFUSED, "no"),
        ('"broken"', FailureKind.OVERLOADED, "broken"),
        ("true", FailureKind.OVERLOADED, "true"),
        ('["a","b"]', FailureKind.OVERLOADED, "a"),
    ],
)
@pytest.mark.parametrize("endpoint", ["chat", "completions", "embeddings"])
def test_an_error_inside_a_200_is_classified(
    endpoint: Any, error: str, kind: FailureKind, message: str
) -> None:
    for body in (f'{{"error":{error}}}', f'{{"choices":[],"data":[],"error":{error}}}'):
        failure = refused(body, call(endpoint))
        assert (failure.kind, failure.message) == (kind, message)


@pytest.mark.parametrize("nothing", ["null", '""', "false", "{}"])
def test_an_error_that_says_nothing_is_none(nothing: str) -> None:
    body = f'{{"choices":[],"error":{nothing}}}'
    assert read(body).body == body.encode()


# --- embeddings -----------------------------------------------------------------------------------

NUMBERS = call("embeddings")
BASE64 = call("embeddings", encoding_format="base64")


def packed(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def embeddings(*values: str) -> str:
    items = [
        f'{{"object":"embedding","index":{index},"embedding":{value},"x":[ 1.50 ]}}'
        for index, value in enumerate(values)
    ]
    usage = '"usage":{"prompt_tokens":3,"total_tokens":3}'
    return f'{{"object":"list","data":[{",".join(items)}],"model":"{UPSTREAM}",{usage},"y":1.0}}'


@pytest.mark.parametrize(
    ("asked", "value"), [(NUMBERS, "[0.1,-2,3e-5]"), (BASE64, f'"{packed(0.1)}"')]
)
def test_i9_embeddings_in_the_asked_form_pass_in_their_own_bytes(asked: Call, value: str) -> None:
    answer = read(embeddings(value), asked)
    assert answer.body.decode() == embeddings(value).replace(f'"{UPSTREAM}"', f'"{SERVED}"')
    assert answer.usage == Usage(input_tokens=3)


def test_numbers_become_base64_of_little_endian_float32_when_asked() -> None:
    answer = read(embeddings("[1, -2.5,0.1]", f'"{packed(4)}"', "[]"), BASE64)
    found = json.loads(answer.body)
    assert [item["embedding"] for item in found["data"]] == [packed(1, -2.5, 0.1), packed(4), ""]
    assert base64.b64decode(packed(1.0)) == b"\x00\x00\x80\x3f"
    assert found["model"] == SERVED


@pytest.mark.parametrize("asked", [NUMBERS, call("embeddings", encoding_format="float")])
def test_base64_becomes_numbers_when_not_asked_for(asked: Call) -> None:
    found = json.loads(read(embeddings(f'"{packed(1, -2.5, 0.1)}"'), asked).body)
    first, second, third = found["data"][0]["embedding"]
    assert (first, second) == (1.0, -2.5)
    assert struct.pack("<f", third) == struct.pack("<f", 0.1)


def test_i9_the_rest_of_a_changed_embedding_keeps_its_bytes() -> None:
    body = read(embeddings("[1]"), BASE64).body
    assert body.decode() == embeddings(f'"{packed(1)}"').replace(UPSTREAM, SERVED)


def test_i9_an_unknown_encoding_stays_between_client_and_upstream() -> None:
    asked = call("embeddings", encoding_format="ubinary")
    for value in ("[1,0]", '"//8="', '{"a":1}'):
        assert f'"embedding":{value}'.encode() in read(embeddings(value), asked).body


floats = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=20)


@given(floats)
def test_every_float32_survives_both_ways(numbers: list[float]) -> None:
    as_base64 = read(embeddings(json.dumps(numbers)), BASE64)
    value = json.loads(as_base64.body)["data"][0]["embedding"]
    assert value == packed(*numbers)
    as_numbers = read(embeddings(json.dumps(value)), NUMBERS)
    assert packed(*json.loads(as_numbers.body)["data"][0]["embedding"]) == packed(*numbers)


@pytest.mark.parametrize(
    ("asked", "body"),
    [
        (NUMBERS, "{}"),
        (NUMBERS, '{"data":null}'),
        (NUMBERS, '{"data":{}}'),
        (NUMBERS, '{"data":[[1]]}'),
        (NUMBERS, '{"data":[{"index":0}]}'),
        (NUMBERS, embeddings('"not base64!"')),
        (NUMBERS, embeddings('"AA!AAAA=="')),
        (NUMBERS, embeddings('"AAA="')),  # two bytes are no float32
        (NUMBERS, embeddings(f'"{packed(float("nan"))}"')),
        (NUMBERS, embeddings(f'"{packed(float("inf"))}"')),
        (BASE64, embeddings("null")),
        (BASE64, embeddings('["1"]')),
        (BASE64, embeddings("[[1]]")),
        (BASE64, embeddings("[1e39]")),
        (BASE64, embeddings("[1e400]")),
    ],
)
def test_embeddings_that_cannot_be_read_are_invalid(asked: Call, body: str) -> None:
    failure = refused(body, asked)
    assert failure.kind is FailureKind.INVALID
    assert failure.message.startswith("The provider's answer ")
