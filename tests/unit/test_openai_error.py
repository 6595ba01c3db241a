"""Error answers: the forms in which providers write them, their classes, and how long to wait."""

from email.utils import formatdate
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.dialect import Failure, FailureKind
from adapters.openai.error import classify, classify_event, classify_object

NOW_AT = 1_790_000_000.0
DEEP = "[" * 100_000 + "]" * 100_000


def failure(status: int = 400, body: str | bytes = b"", **headers: str) -> Failure:
    data = body.encode() if isinstance(body, str) else body
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return classify(status, pairs, data, now_at=NOW_AT)


def kind(status: int, error: str = "{}") -> FailureKind:
    return failure(status, f'{{"error":{error}}}').kind


# --- the forms of the body ------------------------------------------------------------------------

FORMS: dict[str, tuple[str, dict[str, str | None]]] = {
    "the book": (
        '{"error":{"message":"m","type":"t","param":"p","code":"c"}}',
        {"message": "m", "type": "t", "param": "p", "code": "c"},
    ),
    "nulls": ('{"error":{"message":"m","type":null,"param":null}}', {"message": "m"}),
    "a plain string": ('{"error":"m"}', {"message": "m"}),
    "a string beside a code": ('{"code":"c","error":"m"}', {"message": "m", "code": "c"}),
    "bare": (
        '{"object":"error","message":"m","type":"BadRequestError","param":null,"code":400}',
        {"message": "m", "type": "BadRequestError", "code": "400"},
    ),
    "in a list": ('[{"error":{"code":400,"message":"m"}}]', {"message": "m", "code": "400"}),
    "errors in a list": ('{"errors":[{"message":"m"},{"message":"n"}]}', {"message": "m"}),
    "detail as text": ('{"detail":"m"}', {"message": "m"}),
    "detail as object": ('{"detail":{"message":"m","code":"c"}}', {"message": "m", "code": "c"}),
    "detail as list": (
        '{"detail":[{"loc":["body","x"],"msg":"field required","type":"missing"}]}',
        {"message": "field required", "type": "missing"},
    ),
    "a message that is an object": (
        '{"message":{"detail":[ 1 ]}}',
        {"message": '{"detail":[ 1 ]}'},
    ),
    "an error beside a null detail": ('{"detail":null,"message":"m"}', {"message": "m"}),
    "a string as a whole": ('"m"', {"message": "m"}),
    "a page": ("<html>\nBad Gateway\n</html>\n", {"message": "<html>\nBad Gateway\n</html>"}),
    "cut off": ('{"error":{"mess', {"message": '{"error":{"mess'}),
    "a number as a message": ('{"error":{"message":7}}', {"message": "7"}),
    "a huge number": (f'{{"error":{{"code":{"9" * 5000}}}}}', {"code": "9" * 5000}),
    "a fraction as a code": (
        '{"error":{"message":"m","code":4.50}}',
        {"message": "m", "code": "4.50"},
    ),
    "fields of strange forms": (
        '{"error":{"message":"m","type":["t"],"param":{},"code":true}}',
        {"message": "m"},
    ),
    "escapes": ('{"error":{"message":"\\u00e9\\n"}}', {"message": "é"}),
}


@pytest.mark.parametrize(("body", "told"), FORMS.values(), ids=FORMS.keys())
def test_every_form_of_an_error_is_read(body: str, told: dict[str, str | None]) -> None:
    found = failure(400, body)
    expected = {"message": "The provider answered with status 400.", **told}
    assert found.message == expected["message"]
    assert (found.type, found.param) == (told.get("type"), told.get("param"))
    assert found.code == told.get("code")
    assert (found.status, found.retry_after) == (400, None)


@pytest.mark.parametrize(
    "body", ["", "{}", "null", "[]", '{"error":null}', '{"error":{}}', '""', " \n"]
)
def test_an_error_without_words_gets_some(body: str) -> None:
    assert failure(418, body).message == "The provider answered with status 418."


def test_a_body_that_is_not_utf8_is_still_read() -> None:
    assert failure(400, b'{"error":{"message":"caf\xe9","code":"c"}}').code == "c"
    assert failure(400, b"caf\xe9").message == "caf�"


@pytest.mark.parametrize("body", [DEEP, f'{{"error":{DEEP}}}', f'{{"error":{{"message":{DEEP}}}}}'])
def test_a_body_nested_without_end_is_read_as_text(body: str) -> None:
    found = failure(500, body)
    assert found.kind is FailureKind.OVERLOADED
    assert found.message == body[:2000]


def test_a_body_nested_to_any_depth_around_the_limit_is_read() -> None:
    for depth in range(850, 1010):
        nest = "[" * depth + "]" * depth
        for body in (f'{{"error":{{"message":{nest}}}}}', f'{{"error":{nest}}}', f"[[{nest}]]"):
            assert failure(400, body).message
            assert classify_event(body.encode()).message
        for inside in (f'{{"x":{nest}}}', nest):
            assert _classify_after_reading(inside)


def _classify_after_reading(value: str) -> bool:
    """Whether a valid value is classified, as it is found in an answer that was read before."""
    try:
        raw = msgspec.json.decode(value, type=msgspec.Raw)
    except RecursionError:
        return True
    return classify_object(raw).message != ""


def test_a_long_message_is_cut() -> None:
    assert len(failure(400, "x" * 100_000).message) == 2000


@given(st.integers(300, 599), st.one_of(st.binary(), st.text().map(str.encode)))
def test_no_body_is_too_strange(status: int, body: bytes) -> None:
    found = failure(status, body)
    assert found.status == status
    assert found.message
    assert classify_event(body).message


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "type", "detail", "status"]), inner
        )
    ),
    max_leaves=8,
)


@given(JSON)
def test_no_json_is_too_strange(value: Any) -> None:
    data = msgspec.json.encode(value)
    assert failure(400, data).message
    assert classify_event(data).message
    assert classify_object(msgspec.Raw(data)).message


# --- the classes ----------------------------------------------------------------------------------

CREDENTIAL, LIMITED = FailureKind.CREDENTIAL, FailureKind.RATE_LIMITED
OVERLOADED, REFUSED = FailureKind.OVERLOADED, FailureKind.REFUSED
CONTEXT, POLICY = FailureKind.CONTEXT_LENGTH, FailureKind.CONTENT_POLICY


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (301, FailureKind.INVALID),
        (304, FailureKind.INVALID),
        (400, REFUSED),
        (401, CREDENTIAL),
        (402, CREDENTIAL),
        (403, CREDENTIAL),
        (404, REFUSED),
        (408, OVERLOADED),
        (409, REFUSED),
        (413, REFUSED),
        (422, REFUSED),
        (429, LIMITED),
        (500, OVERLOADED),
        (502, OVERLOADED),
        (503, OVERLOADED),
        (504, OVERLOADED),
        (529, OVERLOADED),
    ],
)
def test_the_status_gives_the_class(status: int, expected: FailureKind) -> None:
    assert kind(status) is expected


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (429, '{"code":"insufficient_quota","message":"m"}', CREDENTIAL),
        (429, '{"type":"insufficient_quota","message":"m"}', CREDENTIAL),
        (400, '{"code":"billing_hard_limit_reached"}', CREDENTIAL),
        (400, '{"code":"invalid_api_key"}', CREDENTIAL),
        (400, '"Incorrect API key provided: xa***bc."', CREDENTIAL),
        (400, '{"message":"API key not valid. Please pass a valid API key."}', CREDENTIAL),
        (400, '{"code":"context_length_exceeded","message":"m"}', CONTEXT),
        (400, '{"code":"string_above_max_length"}', CONTEXT),
        (400, '{"message":"This model\'s maximum context length is 8192 tokens."}', CONTEXT),
        (400, '{"message":"maximum prompt length is 131072 but the request contains"}', CONTEXT),
        (400, '{"message":"prompt is too long: 210000 tokens > 200000 maximum"}', CONTEXT),
        (
            400,
            '{"message":"The input token count (9) exceeds the maximum number of tokens allowed"}',
            CONTEXT,
        ),
        (
            400,
            '{"type":"exceed_context_size_error","message":"exceeds the available context size"}',
            CONTEXT,
        ),
        (413, '{"message":"Too many tokens"}', CONTEXT),
        (404, '{"message":"no such context window"}', REFUSED),
        (400, '{"code":"content_filter","message":"m"}', POLICY),
        (400, '{"code":"content_policy_violation"}', POLICY),
        (400, '{"code":"moderation_blocked"}', POLICY),
        (500, '{"code":"context_length_exceeded"}', OVERLOADED),
        (404, '{"code":"model_not_found","message":"m"}', REFUSED),
    ],
)
def test_an_errors_own_words_can_know_better(
    status: int, error: str, expected: FailureKind
) -> None:
    assert kind(status, error) is expected


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        ('{"code":429}', 429, LIMITED),
        ('{"code":"503"}', 503, OVERLOADED),
        ('{"status":401}', 401, CREDENTIAL),
        ('{"status_code":400,"code":"x"}', 400, REFUSED),
        ('{"status":"RESOURCE_EXHAUSTED","code":429}', 429, LIMITED),
        ('{"code":"rate_limit_exceeded"}', 429, LIMITED),
        ('{"type":"rate_limit_error"}', 429, LIMITED),
        ('{"type":"authentication_error"}', 401, CREDENTIAL),
        ('{"code":"insufficient_quota"}', 401, CREDENTIAL),
        ('{"type":"overloaded_error"}', 503, OVERLOADED),
        ('{"code":"server_is_overloaded"}', 503, OVERLOADED),
        ('{"code":"slow_down"}', 503, OVERLOADED),
        ('{"code":"context_length_exceeded"}', 400, CONTEXT),
        ('{"code":"content_filter"}', 400, POLICY),
        ('{"type":"invalid_request_error"}', 400, REFUSED),
        ('{"message":"who knows"}', 500, OVERLOADED),
        ('{"code":200}', 500, OVERLOADED),
        ('{"code":399}', 500, OVERLOADED),
        ('{"code":600}', 500, OVERLOADED),
        ('{"code":4290}', 500, OVERLOADED),
        ('{"code":"٤٢٩"}', 500, OVERLOADED),
        (f'{{"code":"{"9" * 5000}"}}', 500, OVERLOADED),
        ('{"code":true}', 500, OVERLOADED),
        ("7", 500, OVERLOADED),
    ],
)
def test_an_error_inside_a_200_finds_its_status(
    error: str, status: int, expected: FailureKind
) -> None:
    for found in (classify_object(msgspec.Raw(error.encode())), classify_event(error.encode())):
        assert (found.status, found.kind) == (status, expected)
        assert found.retry_after is None


# --- how long to wait -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7),
        ({"retry_after": " 7 "}, 7),
        ({"retry_after": "0"}, 0),
        ({"retry_after": "0.25"}, 0.25),
        ({"retry_after_ms": "1500"}, 1.5),
        ({"retry_after_ms": "12.5"}, 0.0125),
        ({"retry_after_ms": "300", "retry_after": "1"}, 0.3),
        ({"retry_after_ms": "soon", "retry_after": "1"}, 1),
        ({"retry_after_ms": "-1", "retry_after": "2"}, 2),
        ({"retry_after_ms": "", "retry_after": "3"}, 3),
        ({"retry_after": formatdate(NOW_AT + 90, usegmt=True)}, 90),
        ({"retry_after": formatdate(NOW_AT + 90)}, 90),  # written with -0000
        ({"retry_after": formatdate(NOW_AT - 90, usegmt=True)}, 0),
        ({"retry_after": ""}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-5"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "inf"}, None),
        ({"retry_after": "9" * 400}, None),
        ({"retry_after": "1e300"}, 31 * 24 * 3600),
        ({"retry_after_ms": "1e300"}, 31 * 24 * 3600),
        ({"retry_after": "Mon, 01 Jan 9999 00:00:00 GMT"}, 31 * 24 * 3600),
        ({"retry_after": "Mon, 01 Jan 99999 00:00:00 GMT"}, None),
        ({"retry_after": "1 Jan 99999999999999999999999 00:00:00 GMT"}, None),
        ({"retry_after": "Mon, 01 Jan 2026 00:00:00 +99999999999999"}, None),
    ],
)
def test_the_wait_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert failure(429, **headers).retry_after == seconds


@given(st.binary(max_size=40))
def test_no_header_is_too_strange(value: bytes) -> None:
    for name in (b"retry-after", b"retry-after-ms"):
        found = classify(429, [(name, value)], b"", now_at=NOW_AT).retry_after
        assert found is None or 0 <= found <= 31 * 24 * 3600


@pytest.mark.parametrize(
    "error",
    [
        {"code": 403, "message": "Your model requires moderation and your input was flagged."},
        {"code": "content_filter", "message": "No."},
    ],
)
def test_a_403_about_the_content_is_no_word_about_our_key(error: dict[str, Any]) -> None:
    failure = classify(403, [], msgspec.json.encode({"error": error}), now_at=0.0)
    assert (failure.kind, failure.status) == (FailureKind.CONTENT_POLICY, 400)
