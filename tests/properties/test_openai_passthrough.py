"""I9: what the gateway does not understand passes through untouched, both ways.

The JSON here is generated as text, with the many spellings of one value that a careless gateway would
level: 1.50, 1e400, integers beyond 64 bits, escapes, white space, repeated names. A field is untouched
when its own bytes are the same; Python's decoder says where they begin and end.
"""

import json
import string
from itertools import pairwise
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from adapters.dialect import BadAnswer, BadCall, EventKind
from adapters.openai.answer import decode_answer
from adapters.openai.request import decode_call, encode_request
from tests.openai_wire import (
    DONE,
    SERVED,
    TARGET,
    UPSTREAM,
    call,
    chunk,
    client_events,
    decode,
    event,
    kinds,
    read_one,
    streaming,
    target,
)

# --- JSON as text ---------------------------------------------------------------------------------

spaces = st.sampled_from(["", "", "", " ", "  ", "\n", "\t\r\n"])
numbers = st.one_of(
    st.integers(-(10**40), 10**40).map(str),
    st.sampled_from(["-0", "0.0", "1.50", "1e400", "-1E+2", "0.1e-7", "1E400", "-0.0", "1e-999"]),
    st.floats(allow_nan=False, allow_infinity=False).map(json.dumps),
)
characters = st.one_of(
    st.sampled_from(
        ["\\n", "\\u00e9", "\\/", "\\\\", '\\"', "\\ud83d\\ude42", "\\u0000", "/", "{", "]"]
    ),
    st.sampled_from(["é", "日", "🙂", "\u2028", '\\"model\\":\\"m\\"', "data: x", " "]),
    st.sampled_from(string.ascii_letters),
)
strings = st.lists(characters, max_size=6).map(lambda found: f'"{"".join(found)}"')
scalars = st.one_of(numbers, strings, st.sampled_from(["true", "false", "null"]))


def _array(parts: list[tuple[str, str]]) -> str:
    return "[" + ",".join(f"{space}{value}{space}" for value, space in parts) + "]"


def _object(parts: list[tuple[str, str, str]]) -> str:
    return "{" + ",".join(f"{s}{name}{s}:{s}{value}{s}" for name, value, s in parts) + "}"


nested_names = st.one_of(strings, st.sampled_from(['"model"', '"usage"', '"choices"', '"error"']))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(st.tuples(inner, spaces), max_size=3).map(_array),
        st.lists(st.tuples(nested_names, inner, spaces), max_size=3).map(_object),
    ),
    max_leaves=6,
)
unknown_names = st.sampled_from(
    [
        "x",
        "X-y",
        "é",
        "🙂",
        "",
        " ",
        "x.y",
        "messages2",
        'q"uote',
        "back\\slash",
        "metadata",
        "user",
    ]
)
unknown = st.lists(st.tuples(unknown_names, values, spaces), max_size=6)


def written(fields: list[tuple[str, str, str]]) -> str:
    return _object([(json.dumps(name), value, space) for name, value, space in fields])


def members(text: str) -> dict[str, str]:
    """Each field of the object with the exact text of its value; the last of two equal names counts."""
    found = {}
    decode_one = json.JSONDecoder().raw_decode
    position = _skip(text, text.index("{") + 1)
    while text[position] != "}":
        name, position = decode_one(text, position)
        start = _skip(text, _skip(text, position) + 1)
        _, position = decode_one(text, start)
        found[name] = text[start:position]
        position = _skip(text, position)
        position = _skip(text, position + 1) if text[position] == "," else position
    return found


def _skip(text: str, position: int) -> int:
    while text[position] in " \t\r\n":
        position += 1
    return position


def flat(text: str) -> str:
    """As data goes out on one line: a line break is white space like any other."""
    return text.replace("\r\n", " ").replace("\r", " ").replace("\n", " ")


# --- requests -------------------------------------------------------------------------------------

known = st.fixed_dictionaries(
    {
        "model": st.sampled_from(['"m"', '"a\\/b"', '"\\u006d"', '"é/🙂"']),
        "messages": st.just('[{"role":"user", "content":"caf\\u00e9 \\/"}]'),
    },
    optional={
        "temperature": st.sampled_from(["1.50", "0", "1e0", "null", "-0.0"]),
        "max_tokens": st.sampled_from(["10", "null", "9" * 30]),
        "tools": st.sampled_from(["[ ]", "null", '[{"type":"function","function":{ "x":1.0 }}]']),
        "tool_choice": st.sampled_from(['"auto"', '{"type" : "function"}', "null"]),
        "stream": st.sampled_from(["true", "false", "null"]),
        "stream_options": st.sampled_from(
            ["null", "{}", '{"include_usage":true}', '{"x":1.50,"include_usage":false}']
        ),
        "seed": numbers,
        "logit_bias": values,
    },
)


@given(known, unknown, st.booleans(), st.randoms(use_true_random=False))
@example({"model": '"m"', "messages": "[{}]"}, [("x", "1", ""), ("x", "1.50", " ")], True, None)
def test_i9_request_fields_reach_the_upstream_in_their_own_bytes(
    fields: dict[str, str], extra: list[tuple[str, str, str]], stream_usage: bool, order: Any
) -> None:
    listed = [(name, value, " ") for name, value in fields.items()] + extra
    if order is not None:
        order.shuffle(listed)
    body = written(listed)
    asked = decode_call("chat", body.encode())
    sent = members(encode_request(asked, target(stream_usage=stream_usage)).body.decode())
    came = members(body)
    assert json.loads(sent.pop("model")) == UPSTREAM
    assert asked.model == json.loads(came.pop("model"))
    options, asked_options = sent.pop("stream_options", None), came.pop("stream_options", None)
    assert sent == came
    assert list(sent) == list(came)
    _check_options(options, asked_options, stream=asked.stream, accepted=stream_usage)


def _check_options(
    options: str | None, asked_options: str | None, *, stream: bool, accepted: bool
) -> None:
    if not accepted:
        assert options is None
    elif stream:
        assert options is not None
        wanted = json.loads(asked_options or "null") or {}
        assert json.loads(options) == {**wanted, "include_usage": True}
    else:
        assert options == asked_options


@given(st.sampled_from(["chat", "completions", "embeddings"]), st.data())
def test_a_body_is_read_or_refused_and_nothing_else(endpoint: Any, data: st.DataObject) -> None:
    names = ["model", "messages", "prompt", "input", "n", "stream", "stream_options", "tools"]
    fields = st.lists(st.tuples(st.sampled_from(names), values, spaces), max_size=8).map(written)
    body = data.draw(
        st.one_of(st.binary(max_size=60), fields.map(str.encode), values.map(str.encode))
    )
    try:
        asked = decode_call(endpoint, body)
    except BadCall:
        return
    assert asked.choices >= 1
    assert json.loads(encode_request(asked, TARGET).body)["model"] == UPSTREAM


# --- answers --------------------------------------------------------------------------------------

CHOICES = ('"choices"', '[{"index":0, "message":{"content":"\\u00e9"},"x":1.50}]')
models = st.sampled_from(["m", "gpt\\/4", "\\u006d", "é", '\\"', "openai/gpt-4o"])


@given(unknown, models, st.randoms(use_true_random=False))
def test_i9_answer_fields_reach_the_client_in_their_own_bytes(
    extra: list[tuple[str, str, str]], model: str, order: Any
) -> None:
    listed = [("choices", CHOICES[1], ""), ("model", f'"{model}"', ""), *extra]
    order.shuffle(listed)
    body = written(listed)
    answer = decode_answer(call(), TARGET, body.encode())
    sent, came = members(answer.body.decode()), members(body)
    assert json.loads(sent.pop("model")) == SERVED
    del came["model"]
    assert sent == came


@given(st.sampled_from(["chat", "embeddings"]), st.one_of(st.binary(max_size=60), values))
def test_an_answer_is_read_or_refused_and_nothing_else(endpoint: Any, body: bytes | str) -> None:
    data = body.encode() if isinstance(body, str) else body
    try:
        answer = decode_answer(call(endpoint), TARGET, data)
    except BadAnswer:
        return
    assert isinstance(json.loads(answer.body), dict)


# --- streams --------------------------------------------------------------------------------------

deltas = st.sampled_from(
    [
        '{"role":"assistant","content":""}',
        '{"role":"assistant","content":"caf\\u00e9 \\/","x":1.50}',
        '{"role":"assistant","tool_calls":[{"index":0,"function":{"arguments":"{\\"a\\":"}}]}',
        '{"role":"assistant","reasoning_content":"Hm","reasoning_details":[ 1 ]}',
    ]
)


@given(deltas, unknown, unknown, models, st.randoms(use_true_random=False))
def test_i9_chunk_fields_reach_the_client_in_their_own_bytes(
    delta: str,
    in_choice: list[tuple[str, str, str]],
    in_chunk: list[tuple[str, str, str]],
    model: str,
    order: Any,
) -> None:
    choice = written([("index", "0", ""), ("delta", delta, ""), *in_choice])
    listed = [("choices", f"[{choice}]", ""), ("model", f'"{model}"', ""), *in_chunk]
    order.shuffle(listed)
    data = flat(written(listed))
    (found,) = client_events(read_one(data).frame)
    sent, came = members(found.data.decode()), members(data)
    assert json.loads(sent.pop("model")) == SERVED
    del came["model"]
    assert sent == came


@given(unknown, st.sampled_from([None, b"ping", b"response.created"]))
def test_i9_unknown_events_reach_the_client_untouched(
    fields: list[tuple[str, str, str]], name: bytes | None
) -> None:
    data = flat(written(fields))
    found = read_one(data, name=name)
    assert (found.kind, found.frame) == (EventKind.OTHER, event(data, name))


pieces = st.one_of(
    values.map(flat),
    st.lists(st.tuples(nested_names.map(json.loads), values, spaces), max_size=4)
    .map(written)
    .map(flat),
    st.sampled_from(
        ['{"error":"x"}', "[DONE]", "", "{", chunk('{"index":0,"delta":{"content":"x"}}')]
    ),
    st.binary(max_size=20).map(lambda data: data.decode("latin-1")),
)


@given(st.lists(pieces, max_size=5), st.lists(st.integers(0, 2000), max_size=8), st.booleans())
def test_every_stream_is_read_the_same_however_it_is_cut(
    data: list[str], cuts: list[int], include_usage: bool
) -> None:
    asked = streaming(include_usage=include_usage)
    body = b"".join(map(event, data))
    edges = [0, *sorted({position % (len(body) + 1) for position in cuts}), len(body)]
    whole, decoder = decode([body], asked)
    cut, other = decode([body[i:j] for i, j in pairwise(edges)], asked)
    single, _ = decode([body[i : i + 1] for i in range(len(body))], asked)
    assert cut == whole == single
    assert (other.usage, other.complete) == (decoder.usage, decoder.complete)
    frames = b"".join(found.frame for found in whole)
    for found in client_events(frames):
        if found.data != b"[DONE]":
            json.loads(found.data)


counts = st.integers(0, 10**6)


@given(counts, counts, st.lists(st.sampled_from(["own", "choice", "null"]), min_size=1, max_size=4))
def test_a_client_gets_usage_exactly_once_or_never(
    prompt: int, completion: int, order: list[str]
) -> None:
    usage = f',"usage":{{"prompt_tokens":{prompt},"completion_tokens":{completion}}}'
    forms = {
        "own": chunk(rest=usage),
        "choice": chunk('{"index":0,"delta":{"content":"x"}}', rest=usage),
        "null": chunk('{"index":0,"delta":{"content":"x"}}', rest=',"usage":null'),
    }
    body = [event(forms[form]) for form in order] + [DONE]
    told = order != ["null"] * len(order)
    for wanted in (True, False):
        events, decoder = decode(body, streaming(include_usage=wanted))
        assert kinds(events)[-1] is EventKind.DONE
        *frames, last = client_events(b"".join(found.frame for found in events))
        assert last.data == b"[DONE]"
        sent = [json.loads(found.data) for found in frames]
        with_usage = [data for data in sent if data.get("usage")]
        assert len(with_usage) == (1 if wanted and told else 0)
        assert [data for data in sent if not data["choices"]] == with_usage
        assert (decoder.usage is not None) is told


def test_the_members_of_an_object_are_found_by_their_text() -> None:
    text = ' { "a" : 1.50 ,"b":{"c":[ 1 ]},"a":1e400} '
    assert members(text) == {"a": "1e400", "b": '{"c":[ 1 ]}'}
