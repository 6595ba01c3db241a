"""Small changes to a JSON object: exactly what was meant, and nothing that only looks like it."""

import json

import msgspec
import pytest

from adapters.openai.rewrite import (
    LONGEST_KEPT_NAME,
    ModelName,
    replace_member,
    with_fields,
    with_model,
    without_field,
)

SERVED = "openai/gpt-4o"


def replaced(data: str, served: str = SERVED) -> str:
    """The object with its model replaced, as the adapter does it."""
    reported = json.loads(data).get("model")
    return ModelName(served).replace(data.encode(), reported).decode()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            '{"id":"x","model":"m","a":[{"b":1}]}',
            '{"id":"x","model":"openai/gpt-4o","a":[{"b":1}]}',
        ),
        ('{"model": "m", "a":  1}', '{"model": "openai/gpt-4o", "a":  1}'),
        ('{"a":[{"b": 1.50}],"model":"m"}', '{"a":[{"b": 1.50}],"model":"openai/gpt-4o"}'),
        ('{"a":1.50,"model":"m"}', '{"a":1.50,"model":"openai/gpt-4o"}'),
    ],
)
def test_the_usual_spellings_change_in_place(data: str, expected: str) -> None:
    assert replaced(data) == expected


@pytest.mark.parametrize(
    "data",
    [
        '{"model" : "m"}',
        '{"model":  "m"}',
        '{"model":\n"m"}',
        ' {\t"model":"m" } ',
        '{"mod\\u0065l":"m"}',
        '{"model":"\\u006d"}',
        '{"a":{"b":1},"model":"m","c":{"d":[]}}',
        '{"choices":[{"model":"m"}],"model" : "m"}',
        '{"choices":[{"model":"m"}],"model":"m"}',
        '{"model" : "m","choices":[{"model":"m"}]}',
        '{"model":"m","choices":[{"model":"m"}]}',
        '{"a":{"model":"m"},"model" : "m","b":{}}',
        '{"a":{"model":"m"},"mod\\u0065l":"m"}',
        '{"abc\\"model":"m","model" : "m"}',
        '{"abc\\"model":"m","model":"m"}',
        '{"a":"\\"model\\":\\"m\\"","model":"m"}',
        '{"a":"{[","model":"m","b":"}]"}',
        '{"model":"m","model2":"m","a":"model"}',
    ],
)
def test_only_the_models_own_value_changes(data: str) -> None:
    assert json.loads(replaced(data)) == {**json.loads(data), "model": SERVED}


@pytest.mark.parametrize(
    "name", ['a"b', "a\\", "\\", '"', "é", "🙂", "\n", "a/b", "m", '","model":"', "{}"]
)
@pytest.mark.parametrize("spelling", [True, False], ids=["ascii", "utf-8"])
def test_names_that_need_escapes_are_no_trap(name: str, spelling: bool) -> None:
    for around in ({"z": [1]}, {"y": name, "x": {"model": name}}):
        data = json.dumps({**around, "model": name, "w": name}, ensure_ascii=spelling)
        for text in (data, data.replace(": ", ":")):
            expected = {**json.loads(text), "model": SERVED}
            assert json.loads(replaced(text)) == expected
        assert json.loads(replaced('{"model":"m"}', name)) == {"model": name}


@pytest.mark.parametrize("data", ['{"a":1}', '{"model":null,"a":{"model":"m"}}'])
def test_no_model_is_made_up(data: str) -> None:
    assert replaced(data) == data


def test_a_name_of_any_length_is_replaced_each_time() -> None:
    name = "m" * (LONGEST_KEPT_NAME + 1)
    for _ in range(2):
        assert with_model(b'{"model":"%s"}' % name.encode(), "s", name) == b'{"model":"s"}'


def test_a_model_that_changes_in_mid_stream_is_followed() -> None:
    name = ModelName("s")
    for reported in ("a", "b", "a"):
        data = b'{"model":"%s","x":"%s"}' % (reported.encode(), reported.encode())
        assert name.replace(data, reported) == b'{"model":"s","x":"%s"}' % reported.encode()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a":[1],"u":null}', b'{"a":[1]}'),
        (b'{"a":1,"u":null,"b":[{}]}', b'{"a":1,"b":[{}]}'),
        (b'{"a":[{"c":1,"u":null}],"d":2}', None),
        (b'{"a":{"c":1,"u":null}}', None),
        (b'{"a":[],"u":null,"b":{}}', None),  # true, but not certain
        (b'{"a":",\\"u\\":null"}', None),
        (b'{"u":null}', None),
    ],
)
def test_a_member_is_cut_only_where_it_is_certain(data: bytes, expected: bytes | None) -> None:
    assert replace_member(data, b',"u":null', b"") == expected


def test_set_and_removed_fields_leave_the_others_their_bytes() -> None:
    data = b'{"a":1.50,"b":{ "x" : 1e400 },"c":"\\u00e9","a b":[ 1 ]}'
    assert with_fields(data, {"b": msgspec.Raw(b"[]")}) == data.replace(b'{ "x" : 1e400 }', b"[]")
    assert with_fields(data, {"n": msgspec.Raw(b"0")}) == data[:-1] + b',"n":0}'
    assert without_field(data, "c") == data.replace(b',"c":"\\u00e9"', b"")
    assert without_field(data, "missing") == data
