"""Each status arrives as the SDK's own exception, with message, type, code and request id.

The provider's errors about the request are passed on; its errors about us never are.
"""

from typing import Any

import msgspec
import pytest

from tests.e2e.gateway import IMPATIENT_MODEL, MODEL, UNREACHABLE_MODEL, Gateway
from tests.e2e.process import wait_until
from tests.e2e.raw import RawAnswer, Wire
from tests.e2e.sdk import Failure, Sdk

CHAT = "chat.completions.create"
USER = [{"role": "user", "content": "Hello"}]
PLAIN = {"model": MODEL, "messages": USER}


def failure_of(sdk: Sdk, gateway: Gateway, fields: dict[str, Any], **more: Any) -> Failure:
    """The failure of a call, checked for what every failure has to say."""
    failure = sdk.call(CHAT, fields, **more).failure
    assert failure is not None
    request_id = failure.request_id or ""
    assert request_id.startswith("req_")
    wait_until("the request is logged", lambda: request_id in gateway.process.errors)
    return failure


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": MODEL, "messages": []}, "messages"),
        ({"model": MODEL, "messages": "Hello"}, "messages"),
        ({**PLAIN, "n": "two"}, "n"),
        ({**PLAIN, "model": ""}, "model"),
        ({**PLAIN, "model": 7}, "model"),
    ],
)
def test_a_bad_field_is_a_bad_request_that_names_it(
    sdk: Sdk, gateway: Gateway, fields: dict[str, Any], param: str
) -> None:
    failure = failure_of(sdk, gateway, fields)
    assert (failure.kind, failure.status) == ("BadRequestError", 400)
    assert failure.type == "invalid_request_error"
    assert failure.param == param
    assert f"'{param}'" in failure.message


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"model": "openai/gpt-4o-mini", "messages": [', "invalid_json"),
        (b"", "invalid_json"),
        (b"[1, 2]", "invalid_json"),
        (b'{"messages": [{"role": "user", "content": "\xff"}], "model": "x"}', None),
        (b"\xff\xfe{}", "invalid_json"),
        (b'{"model": "openai/gpt-4o-mini"}', None),
        (b'{"messages": [{"role": "user", "content": "Hello"}]}', None),
    ],
)
def test_a_body_that_cannot_be_read_is_a_bad_request(
    gateway: Gateway, body: bytes, code: str | None
) -> None:
    with Wire(gateway) as wire:
        answer = wire.post("/v1/chat/completions", body)
        assert_error(answer, 400)
        assert answer.error["type"] == "invalid_request_error"
        if code is not None:
            assert answer.error["code"] == code
        assert wire.get("/healthz").status == 200, "the connection goes on"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "BadRequestError"),
        (404, "NotFoundError"),
        (409, "ConflictError"),
        (422, "UnprocessableEntityError"),
    ],
)
def test_a_providers_refusal_of_the_request_is_passed_on(
    sdk: Sdk, gateway: Gateway, status: int, kind: str, stream: bool
) -> None:
    error = {
        "message": "This model's maximum context length is 128000 tokens.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    }
    failure = failure_of(
        sdk,
        gateway,
        {**PLAIN, "stream": stream},
        extra={"simulate": {"status": status, "error": error}},
    )
    assert (failure.kind, failure.status) == (kind, status)
    assert error["message"] in failure.message
    assert (failure.type, failure.param, failure.code) == (
        error["type"],
        error["param"],
        error["code"],
    )


def test_a_wrong_key_is_an_authentication_error(sdk: Sdk, gateway: Gateway) -> None:
    wrong = "sk-syze-" + 32 * "x"
    failure = failure_of(sdk, gateway, PLAIN, key=wrong)
    assert (failure.kind, failure.status) == ("AuthenticationError", 401)
    assert (failure.type, failure.code) == ("invalid_request_error", "invalid_api_key")
    assert "Authorization" in failure.message
    assert wrong not in failure.message
    assert wrong not in gateway.process.errors


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/v1/models/x"])
@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic c2stc3l6ZQ==", "sk-syze-x"])
def test_a_missing_key_is_told_how_to_be_sent(gateway: Gateway, path: str, value: str) -> None:
    method = "POST" if path.endswith("completions") else "GET"
    body = b"{}" if method == "POST" else None
    with Wire(gateway) as wire:
        wire.send_request(path, body, method=method, headers={"Authorization": value})
        answer = wire.answer(method)
    assert_error(answer, 401)
    assert answer.error["code"] == "missing_api_key"
    assert "Authorization: Bearer" in answer.error["message"]


def test_a_key_is_accepted_in_either_header(gateway: Gateway) -> None:
    for headers in (
        {"Authorization": "", "x-api-key": gateway.key},
        {"Authorization": f"bearer   {gateway.key}"},
        {"Authorization": "Bearer something-else", "X-API-Key": gateway.key},
    ):
        with Wire(gateway) as wire:
            assert wire.get("/v1/models", headers=headers).status == 200


def test_a_revoked_key_stops_working(gateway: Gateway) -> None:
    created = gateway.create_key("short-lived")
    assert gateway.status_of("/v1/models", created["key"]) == 200
    gateway.command("keys", "revoke", created["id"])
    # The command has ended when the revocation is in the store: from then on it has a second, and
    # another for a machine that is busy with something else.
    wait_until(
        "the key is refused",
        lambda: gateway.status_of("/v1/models", created["key"]) == 401,
        seconds=2.0,
    )
    assert gateway.status_of("/v1/models", gateway.key) == 200


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("openai/gpt-4o-minni", "openai/gpt-4o-mini"),
        ("claude-haiku-4-5-20251002", "claude-haiku-4-5"),
    ],
)
def test_an_unknown_model_is_not_found_and_its_neighbours_are_named(
    sdk: Sdk, gateway: Gateway, asked: str, nearest: str
) -> None:
    failure = failure_of(sdk, gateway, {**PLAIN, "model": asked})
    assert (failure.kind, failure.status) == ("NotFoundError", 404)
    assert (failure.code, failure.param) == ("model_not_found", "model")
    assert asked in failure.message
    assert nearest in failure.message.replace(asked, "")


def test_an_unknown_model_is_not_found_in_the_list_either(sdk: Sdk) -> None:
    failure = sdk.call("models.retrieve", {"model": "openai/gpt-4o-minni"}).failure
    assert failure is not None
    assert (failure.kind, failure.code) == ("NotFoundError", "model_not_found")
    assert "openai/gpt-4o-mini'" in failure.message


FAULTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "it answers 500": (MODEL, {"status": 500}, "upstream_overloaded"),
    "it answers 502 with a page": (
        MODEL,
        {"status": 502, "error": "<html>Bad Gateway</html>"},
        "upstream_overloaded",
    ),
    "it answers 503": (MODEL, {"status": 503}, "upstream_overloaded"),
    "it answers 529": (MODEL, {"status": 529}, "upstream_overloaded"),
    "it answers 429": (MODEL, {"status": 429, "retry_after": 7}, "upstream_rate_limited"),
    "it refuses our key": (MODEL, {"status": 401}, "upstream_key_rejected"),
    "it wants our money": (MODEL, {"status": 402}, "upstream_key_rejected"),
    "it forbids it to us": (MODEL, {"status": 403}, "upstream_key_rejected"),
    "it resets the connection": (MODEL, {"reset_before_head": True}, "upstream_unreachable"),
    "nobody listens": (UNREACHABLE_MODEL, {}, "upstream_unreachable"),
    "it says nothing": (IMPATIENT_MODEL, {"silence": True}, "upstream_timeout"),
    "its answer is cut": (MODEL, {"cut_after": 0}, "upstream_unreachable"),
    "it is an error in a 200": (MODEL, {"error_event_after": 0}, "upstream_overloaded"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_provider_is_a_server_error_that_says_when_to_retry(
    sdk: Sdk, gateway: Gateway, fault: str, stream: bool
) -> None:
    model, simulate, code = FAULTS[fault]
    if model == MODEL:
        model = gateway.untouched_model()
    fields = {**PLAIN, "model": model, "stream": stream}
    failure = failure_of(sdk, gateway, fields, extra={"simulate": simulate})
    assert (failure.kind, failure.status) == ("InternalServerError", 503)
    assert (failure.type, failure.code) == ("server_error", code)
    assert model.partition("/")[0] in failure.message


def test_an_answer_that_is_not_json_is_a_server_error(sdk: Sdk, gateway: Gateway) -> None:
    fields = {**PLAIN, "model": gateway.untouched_model()}
    failure = failure_of(sdk, gateway, fields, extra={"simulate": {"malformed_at": 0}})
    assert (failure.kind, failure.status) == ("InternalServerError", 503)
    assert failure.code == "upstream_invalid_response"


@pytest.mark.parametrize(
    ("simulate", "seconds"), [({"status": 500}, 15), ({"status": 429, "retry_after": 7}, 7)]
)
def test_a_503_carries_retry_after(
    gateway: Gateway, simulate: dict[str, Any], seconds: int
) -> None:
    with Wire(gateway) as wire:
        fields = {**PLAIN, "model": gateway.untouched_model(), "simulate": simulate}
        body = msgspec.json.encode(fields)
        answer = wire.post("/v1/chat/completions", body)
    assert_error(answer, 503)
    assert answer.headers["retry-after"] == str(seconds)
    assert answer.headers["retry-after-ms"] == str(1000 * seconds)


def test_what_a_provider_says_of_the_operators_account_stays_inside(
    sdk: Sdk, gateway: Gateway
) -> None:
    error = {"message": "Key sk-upstream-secret of org-4711 is disabled", "code": "invalid_api_key"}
    fields = {**PLAIN, "model": gateway.untouched_model()}
    failure = failure_of(sdk, gateway, fields, extra={"simulate": {"status": 401, "error": error}})
    assert "4711" not in failure.message
    assert "sk-" not in failure.message
    assert "sk-upstream-secret" not in gateway.process.errors


def test_an_unknown_path_is_answered_in_json(gateway: Gateway) -> None:
    with Wire(gateway) as wire:
        for path in ("/", "/v1", "/v1/chat", "/v2/chat/completions", "/v1/chat/completions/x"):
            for method, body in (("GET", None), ("POST", b"{}")):
                wire.send_request(path, body, method=method)
                answer = wire.answer(method)
                assert_error(answer, 404)
                assert answer.error["code"] == "unknown_url"
                assert path in answer.error["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("PUT", "/v1/embeddings", "POST"),
        ("DELETE", "/v1/completions/", "POST"),
        ("POST", "/v1/models", "GET, HEAD"),
        ("DELETE", "/v1/models/openai/gpt-4o-mini", "GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_the_right_one(
    gateway: Gateway, method: str, path: str, allowed: str
) -> None:
    with Wire(gateway) as wire:
        wire.send_request(path, b"{}", method=method)
        answer = wire.answer(method)
    assert_error(answer, 405)
    assert answer.error["code"] == "method_not_allowed"
    assert answer.headers["allow"] == allowed


def assert_error(answer: RawAnswer, status: int) -> None:
    """An error object in JSON, with a request id."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"].startswith("req_")
    assert set(answer.error) == {"message", "type", "param", "code"}
    assert answer.error["message"]
