"""Requests in OpenAI's dialect: what is refused and how, what is read, what goes to the upstream."""

import json
from typing import Any

import pytest

from adapters.dialect import BadCall, Call, Dialect, Endpoint, Target
from adapters.openai.request import decode_call, encode_request
from adapters.registry import dialect_for
from tests.openai_wire import SERVED, TARGET, UPSTREAM, call, target

CHAT = '"model":"m","messages":[{"role":"user","content":"Hi"}]'
DEEP = "[" * 100_000 + "]" * 100_000


def refusal(body: str | bytes, endpoint: Endpoint = "chat") -> BadCall:
    with pytest.raises(BadCall) as caught:
        decode_call(endpoint, body.encode() if isinstance(body, str) else body)
    return caught.value


def chat(rest: str) -> Call:
    return decode_call("chat", f"{{{CHAT},{rest}}}".encode())


def sent(asked: Call, told: Target = TARGET) -> dict[str, Any]:
    """The JSON that the upstream receives."""
    found = json.loads(encode_request(asked, told).body)
    assert isinstance(found, dict)
    return found


BODIES_THAT_ARE_NO_OBJECT = {
    "empty": (b"", "empty"),
    "white space": (b" \r\n\t", "empty"),
    "an array": (b'[{"model":"m"}]', "must be a JSON object"),
    "a string": (b'"hello"', "must be a JSON object"),
    "null": (b"null", "must be a JSON object"),
    "text": (b"model=gpt-4o", "not valid JSON"),
    "cut off": (b'{"model":"m","mess', "not valid JSON"),
    "something behind": (f"{{{CHAT}}} }}".encode(), "not valid JSON"),
    "single quotes": (b"{'model':'m'}", "not valid JSON"),
    "NaN": (f'{{{CHAT},"x":NaN}}'.encode(), "not valid JSON"),
    "a raw line break in a string": (f'{{{CHAT},"x":"a\nb"}}'.encode(), "not valid JSON"),
    "a byte order mark": (b"\xef\xbb\xbf" + f"{{{CHAT}}}".encode(), "not valid JSON"),
    "not UTF-8 in a known field": (b'{"model":"\xff","messages":[{}]}', "not valid JSON"),
    "not UTF-8 where it is only passed on": (
        b'{"model":"m","messages":[{"content":"\xe9"}]}',
        "not valid JSON",
    ),
    "UTF-8 cut off at the end": (f'{{{CHAT},"x":"'.encode() + b'\xf0\x9f"}', "not valid JSON"),
    "UTF-16": (f"{{{CHAT}}}".encode("utf-16"), "not valid JSON"),
    "nested without end": (f'{{{CHAT},"x":{DEEP}}}'.encode(), "nested too deeply"),
    "only nested": (DEEP.encode(), "must be a JSON object"),
    "nested in a message": (
        f'{{"model":"m","messages":[{{"content":{DEEP}}}]}}'.encode(),
        "nested too deeply",
    ),
}


@pytest.mark.parametrize(
    ("body", "says"), BODIES_THAT_ARE_NO_OBJECT.values(), ids=BODIES_THAT_ARE_NO_OBJECT.keys()
)
@pytest.mark.parametrize("endpoint", ["chat", "completions", "embeddings"])
def test_a_body_that_is_no_json_object_is_refused(
    endpoint: Endpoint, body: bytes, says: str
) -> None:
    error = refusal(body, endpoint)
    assert says in error.message
    assert error.code == "invalid_json"
    assert error.param is None


@pytest.mark.parametrize(
    ("endpoint", "body", "param"),
    [
        ("chat", '{"messages":[{"role":"user"}]}', "model"),
        ("chat", '{"model":null,"messages":[{"role":"user"}]}', "model"),
        ("chat", '{"model":"","messages":[{"role":"user"}]}', "model"),
        ("chat", '{"model":"m"}', "messages"),
        ("chat", '{"model":"m","messages":null}', "messages"),
        ("chat", '{"model":"m","messages":[]}', "messages"),
        ("completions", '{"model":"m"}', "prompt"),
        ("completions", '{"model":"m","prompt":null}', "prompt"),
        ("embeddings", '{"model":"m"}', "input"),
        ("embeddings", '{"input":"x"}', "model"),
    ],
)
def test_a_missing_field_is_named(endpoint: Endpoint, body: str, param: str) -> None:
    error = refusal(body, endpoint)
    assert f"'{param}'" in error.message
    assert error.param == param


@pytest.mark.parametrize(
    ("endpoint", "field", "expected"),
    [
        ("chat", '"model":7', "a string"),
        ("chat", '"messages":"Hi"', "an array of messages"),
        ("chat", '"messages":["Hi"]', "an array of messages"),
        ("chat", '"temperature":"hot"', "a number"),
        ("chat", '"temperature":1e400', "a number"),
        ("chat", '"top_p":true', "a number"),
        ("chat", '"max_tokens":"10"', "an integer"),
        ("chat", '"max_tokens":1.5', "an integer"),
        ("chat", '"max_completion_tokens":[]', "an integer"),
        ("chat", f'"max_tokens":{"9" * 5000}', "an integer"),
        ("chat", '"n":"2"', "an integer"),
        ("chat", '"stream":"true"', "a boolean"),
        ("chat", '"stream":1', "a boolean"),
        ("chat", '"stream_options":true', "an object"),
        ("chat", '"tools":{}', "an array"),
        ("chat", '"tool_choice":1', "a string or an object"),
        ("completions", '"prompt":{}', "a string or an array"),
        ("completions", '"stream":[]', "a boolean"),
        ("embeddings", '"input":5', "a string or an array"),
        ("embeddings", '"dimensions":"many"', "an integer"),
        ("embeddings", '"encoding_format":1', "a string"),
    ],
)
def test_a_field_of_the_wrong_form_is_named_with_what_was_expected(
    endpoint: Endpoint, field: str, expected: str
) -> None:
    name = field.split('"')[1]
    required = '"messages":[{}],"prompt":"","input":"","model":"m"'
    error = refusal(f"{{{required},{field}}}", endpoint)  # the last of two equal names counts
    assert error.message == f"Invalid type for '{name}': {expected} was expected."
    assert (error.param, error.code) == (name, "invalid_type")


def test_every_null_counts_as_absent() -> None:
    names = ("temperature", "top_p", "max_tokens", "n", "stream", "stream_options", "tools", "seed")
    asked = call("chat", **dict.fromkeys(names))
    assert (asked.stream, asked.include_usage, asked.choices) == (False, False, 1)
    assert not call("embeddings", encoding_format=None, dimensions=None).base64_embeddings


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]},
        {"role": "assistant", "tool_calls": [{"id": "1"}]},
        {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "x"}]},
        {"role": "system", "content": [{"type": "text", "text": "x"}]},
        {"role": "developer", "content": "x"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]},
    ],
)
def test_messages_of_every_role_and_content_pass_untouched(message: dict[str, Any]) -> None:
    asked = call(messages=[message])
    assert sent(asked)["messages"] == [message]


@pytest.mark.parametrize("names", [["max_tokens"], ["max_completion_tokens"]])
def test_both_names_of_the_token_limit_pass_as_they_came(names: list[str]) -> None:
    body = sent(call("chat", **dict.fromkeys(names, 10)))
    assert [name for name in body if name.startswith("max_")] == names


def test_what_only_the_upstream_can_judge_is_left_to_it() -> None:
    fields: dict[str, Any] = {
        "temperature": 99,
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "n": 0,
    }
    body = sent(call("chat", **fields))
    assert {name: body[name] for name in fields} == fields


@pytest.mark.parametrize(
    ("endpoint", "fields", "choices"),
    [
        ("chat", {}, 1),
        ("chat", {"n": 3}, 3),
        ("chat", {"n": 0}, 1),
        ("chat", {"n": -2}, 1),
        ("completions", {"prompt": ["a", "b"], "n": 3}, 6),
        ("completions", {"prompt": [[1, 2], [3]]}, 2),
        ("completions", {"prompt": [1, 2, 3]}, 1),
        ("completions", {"prompt": [], "n": 2}, 2),
        ("completions", {"prompt": "abc"}, 1),
    ],
)
def test_the_choices_of_an_answer_are_known_beforehand(
    endpoint: Endpoint, fields: dict[str, Any], choices: int
) -> None:
    assert call(endpoint, **fields).choices == choices


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ('{"include_usage":true}', True),
        ('{"include_usage": true , "x":1}', True),
        ('{"include_usage":false}', False),
        ('{"include_usage":null}', False),
        ("{}", False),
        ("null", False),
    ],
)
def test_the_client_gets_usage_only_if_it_asked(options: str, wanted: bool) -> None:
    assert chat(f'"stream":true,"stream_options":{options}').include_usage is wanted


def test_base64_embeddings_are_known_by_their_name() -> None:
    assert call("embeddings", encoding_format="base64").base64_embeddings
    assert not call("embeddings", encoding_format="float").base64_embeddings
    assert not call("embeddings").base64_embeddings


@pytest.mark.parametrize(
    ("rest", "received"),
    [
        ('"stream":true', {"include_usage": True}),
        ('"stream":true,"stream_options":null', {"include_usage": True}),
        ('"stream":true,"stream_options":{"include_usage":false}', {"include_usage": True}),
        (
            '"stream":true,"stream_options":{"include_obfuscation":false}',
            {"include_obfuscation": False, "include_usage": True},
        ),
        ('"stream":false,"stream_options":{"a":1}', {"a": 1}),
        ('"stream":false', None),
        ('"stream":null', None),
    ],
)
def test_the_upstream_of_a_stream_is_always_asked_for_usage(rest: str, received: Any) -> None:
    assert sent(chat(rest)).get("stream_options") == received


@pytest.mark.parametrize("stream", [True, False])
def test_an_upstream_that_refuses_the_option_never_sees_it(stream: bool) -> None:
    asked = call(stream=stream, stream_options={"include_usage": True})
    assert "stream_options" not in sent(asked, target(stream_usage=False))


def test_embeddings_are_never_streamed() -> None:
    asked = call("embeddings", stream=True)
    assert not asked.stream
    assert "stream_options" not in sent(asked)


@pytest.mark.parametrize("endpoint", ["chat", "completions", "embeddings"])
def test_the_request_goes_to_the_targets_path_with_its_headers_and_model(
    endpoint: Endpoint,
) -> None:
    asked = call(endpoint)
    request = encode_request(asked, TARGET)
    assert asked.model == SERVED
    assert json.loads(request.body)["model"] == UPSTREAM
    assert request.target == TARGET.paths[endpoint]
    assert request.headers == TARGET.headers


def test_a_models_name_is_written_as_json_whatever_it_holds() -> None:
    strange = 'a"b\\c/é\n'
    assert call(model=strange).model == strange
    assert sent(call(), target(upstream_model=strange))["model"] == strange


def test_one_call_can_be_encoded_for_several_targets() -> None:
    asked = call(stream=True)
    first = encode_request(asked, TARGET)
    encode_request(asked, target(upstream_model="other", stream_usage=False))
    assert encode_request(asked, TARGET) == first


def test_the_registry_knows_the_dialect() -> None:
    dialect: Dialect = dialect_for("chat", "openai")
    assert dialect.encode_request(call(), TARGET) == encode_request(call(), TARGET)
