"""No request, however odd, can make the simulated provider fail instead of answer."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.simulator import Behaviour, SeenRequest, Simulator
from router.simulator.behaviour import MOST_NESTED
from router.simulator.fields import ChatFields, CompletionFields, EmbeddingFields
from router.simulator.performance import Performance

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.none() | st.booleans() | st.integers(-3, 9) | st.floats(0, 3) | texts
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "image_url", "url", "function", "name"]), inner
        )
    ),
    max_leaves=8,
)
SANE = {
    "model": st.just("m"),
    "messages": st.lists(
        st.fixed_dictionaries(
            {"role": st.sampled_from(["user", "assistant", "tool"]), "content": texts}
        ),
        min_size=1,
        max_size=3,
    ),
    "prompt": texts | st.lists(texts, min_size=1, max_size=3),
    "input": texts | st.lists(st.integers(0, 9), min_size=1, max_size=3),
    "stream": st.booleans(),
    "stream_options": st.fixed_dictionaries({"include_usage": st.booleans()}),
    "n": st.integers(1, 3),
    "stop": texts | st.lists(texts, max_size=4),
    "logprobs": st.booleans() | st.integers(0, 5),
    "tools": st.lists(
        st.fixed_dictionaries(
            {
                "type": st.just("function"),
                "function": st.fixed_dictionaries(
                    {"name": texts, "parameters": st.dictionaries(texts, values)}
                ),
            }
        ),
        max_size=2,
    ),
}
FAULTS = {
    "tokens": st.integers(0, 9),
    "cut_after": st.integers(0, 9),
    "stall_after": st.integers(0, 9),
    "error_event_after": st.integers(0, 9),
    "malformed_at": st.integers(0, 9),
    "body_split": st.integers(1, 9),
    "coalesce": st.integers(1, 4),
    "extra": st.dictionaries(texts.filter(lambda name: name != "choices"), values, max_size=2),
    **{name: st.booleans() for name, field in Behaviour.__annotations__.items() if field is bool},
}
NAMES = sorted(
    {
        name
        for kind in (ChatFields, CompletionFields, EmbeddingFields)
        for name in kind.__struct_fields__
    }
)
PATHS = [b"/v1/chat/completions", b"/v1/completions", b"/v1/embeddings"]


def played(path: bytes, body: bytes) -> Performance:
    """The performance, once its steps were all taken and found well formed."""
    performance = Simulator().answer(SeenRequest(b"POST", path, [], body))
    steps = list(performance.steps)
    *others, last = steps
    assert last[2] is not None
    assert all(step[2] is None for step in others)
    assert [step[0] for step in steps] == sorted(step[0] for step in steps)
    return performance


@given(st.sampled_from(PATHS), st.binary(max_size=40))
def test_any_bytes_are_answered(path: bytes, body: bytes) -> None:
    played(path, body)


@settings(max_examples=300)
@given(st.sampled_from(PATHS), st.dictionaries(st.sampled_from(NAMES), values))
def test_any_values_in_known_fields_are_answered(path: bytes, fields: dict[str, Any]) -> None:
    sound = {"model": "m", "messages": [{"role": "user"}], "prompt": "x", "input": "x"}
    played(path, msgspec.json.encode({**sound, **fields}))


@settings(max_examples=300)
@given(
    st.sampled_from(PATHS),
    st.fixed_dictionaries(
        {name: SANE[name] for name in ("model", "messages", "prompt", "input", "stream")},
        optional={
            **{name: SANE[name] for name in ("stream_options", "n", "stop", "logprobs", "tools")},
            "simulate": st.fixed_dictionaries({}, optional=FAULTS),
        },
    ),
)
def test_any_sound_request_with_any_orders_is_answered(path: bytes, fields: dict[str, Any]) -> None:
    played(path, msgspec.json.encode(fields))


@pytest.mark.parametrize("depth", [MOST_NESTED - 2, *range(900, 1000, 3), 5_000])
@pytest.mark.parametrize("where", ["messages", "simulate", "tools", "made_up"])
def test_any_depth_of_nesting_is_answered(where: str, depth: int) -> None:
    nest = b"[" * depth + b"]" * depth
    content = {
        "messages": b'"messages":[{"role":"user","content":[{"x":%b}]}]' % nest,
        "simulate": b'"messages":[{"role":"user"}],"simulate":{"extra":{"x":%b}}' % nest,
        "tools": b'"messages":[{"role":"user"}],"tools":[{"type":"function","function":'
        b'{"name":"f","parameters":{"const":%b}}}]' % nest,
        "made_up": b'"messages":[{"role":"user"}],"made_up":%b' % nest,
    }[where]
    performance = played(PATHS[0], b'{"model":"m","stream":true,%b}' % content)
    assert performance.head is not None
    assert performance.head.status in {200, 400}
    if depth < MOST_NESTED:
        assert performance.head.status == 200
