"""A client's request is read at once or field by field, to the same end."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from adapters.dialect import BadCall, Call, Endpoint
from adapters.openai.request import decode_call

# One field of each endpoint that the bodies below leave alone.
UNUSED: dict[Endpoint, bytes] = {
    "chat": b"top_p",
    "completions": b"top_p",
    "embeddings": b"dimensions",
}
NAMES = st.sampled_from(
    [
        *(
            b"model",
            b"messages",
            b"prompt",
            b"input",
            b"max_tokens",
            b"max_completion_tokens",
            b"n",
        ),
        *(b"stream", b"stream_options", b"tools", b"tool_choice", b"encoding_format", b"what"),
    ]
)
VALUES = st.sampled_from(
    [
        *(b"null", b"true", b"false", b"0", b"3", b"-1", b"2.0", b"2.5", b"1e400", b'""', b'"m"'),
        *(b"[]", b"[1,2]", b'["a","b"]', b'[{"role":"user"}]', b"{}", b'{"include_usage":true}'),
        *(b'"base64"', b"[[1],[2]]"),
    ]
)
SOUND: dict[Endpoint, bytes] = {
    "chat": b'"model":"m","messages":[{"role":"user"}]',
    "completions": b'"model":"m","prompt":["a","b"]',
    "embeddings": b'"model":"m","input":"a"',
}


def outcome(endpoint: Endpoint, body: bytes) -> Call | tuple[str, str | None]:
    try:
        return decode_call(endpoint, body)
    except BadCall as error:
        return error.message, error.param


@given(
    st.sampled_from(list(UNUSED)),
    st.lists(st.tuples(NAMES, VALUES), max_size=6),
    st.booleans(),
)
def test_a_request_that_can_only_be_read_field_by_field_is_understood_as_one_that_can_at_once(
    endpoint: Endpoint, fields: list[tuple[bytes, bytes]], is_sound: bool
) -> None:
    told = [SOUND[endpoint]] if is_sound else []
    told += [b'"%b":%b' % field for field in fields]
    none = b'"%b":null' % UNUSED[endpoint]
    wrong = b'"%b":[true]' % UNUSED[endpoint]
    at_once = b"{" + b",".join([*told, none]) + b"}"
    apart = b"{" + b",".join([wrong, *told, none]) + b"}"
    assert outcome(endpoint, apart) == outcome(endpoint, at_once)


def test_of_a_field_that_is_told_twice_the_last_value_counts() -> None:
    body = b'{"n":"x","model":"a","messages":[{}],"model":"m","n":3}'
    call = decode_call("chat", body)
    assert (call.model, call.choices, call.fields["n"]) == ("m", 3, msgspec.Raw(b"3"))
