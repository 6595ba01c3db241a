"""The errors a client can meet: each class's status, type, code and headers, and how it is rendered."""

import json
from typing import Any

import pytest

from adapters.dialect import BadCall, Failure, FailureKind
from router import errors
from router.errors import GatewayError, from_failure

Rendered = tuple[int, dict[str, str], dict[str, Any]]


def render(error: GatewayError) -> Rendered:
    """Status, headers and the inside of the error object; its form is checked on the way."""
    status, headers, body = error.render()
    named = {name.decode(): value.decode() for name, value in headers}
    assert len(named) == len(headers)
    assert all(name == name.lower() for name in named)
    assert named.pop("content-type") == "application/json"
    document = json.loads(body)
    assert list(document) == ["error"]
    inside = document["error"]
    assert list(inside) == ["message", "type", "param", "code"]
    assert isinstance(inside["message"], str)
    assert inside["message"]
    assert isinstance(inside["type"], str)
    return status, named, inside


def failure(kind: FailureKind, status: int = 400, **fields: Any) -> Failure:
    return Failure(kind=kind, status=status, **{"message": "its own words", **fields})


# --- the table ------------------------------------------------------------------------------------

INVALID, SERVER = "invalid_request_error", "server_error"

# Error, status, type, code, param.
TABLE: list[tuple[GatewayError, int, str, str | None, str | None]] = [
    (errors.InvalidRequest("m", param="n", code="c"), 400, INVALID, "c", "n"),
    (errors.InvalidRequest("m"), 400, INVALID, None, None),
    (errors.MalformedRequest("m"), 400, INVALID, "malformed_request", None),
    (errors.MissingKey(), 401, INVALID, "missing_api_key", None),
    (errors.InvalidKey(), 401, INVALID, "invalid_api_key", None),
    (errors.CreditEmpty("m"), 402, "insufficient_quota", "insufficient_credits", None),
    (errors.CreditHeld("m"), 402, "insufficient_quota", "credits_held", None),
    (
        errors.ModelNotAllowed("m", tier="t", tiers_with=[]),
        403,
        "permission_error",
        "model_not_allowed",
        "model",
    ),
    (errors.ModelNotPriced("m"), 403, "permission_error", "model_not_priced", "model"),
    (errors.ScopeMissing("usage", ["models"]), 403, "permission_error", "scope_missing", None),
    (errors.ModelNotFound("m", []), 404, INVALID, "model_not_found", "model"),
    (errors.PathNotFound("GET", "/x"), 404, INVALID, "unknown_url", None),
    (errors.ResponseNotFound("resp_1"), 404, INVALID, "response_not_found", None),
    (errors.MethodNotAllowed("GET", "/x", ["POST"]), 405, INVALID, "method_not_allowed", None),
    (errors.BodyTooSlow("m"), 408, INVALID, "request_timeout", None),
    (errors.BodyTooLarge(9), 413, INVALID, "request_too_large", None),
    (
        errors.LimitExceeded("m", limit="tokens", retry_after=1),
        429,
        "tokens",
        "rate_limit_exceeded",
        None,
    ),
    (errors.FileNotFetched("gone", param="p"), 400, INVALID, "file_not_fetched", "p"),
    (errors.GatewayBug("req-1"), 500, SERVER, "internal_error", None),
    (errors.LimitsUnavailable(), 503, SERVER, "limits_unavailable", None),
    (errors.BooksUnavailable(), 503, SERVER, "books_unavailable", None),
    (errors.UpstreamUnreachable("m"), 503, SERVER, "upstream_unreachable", None),
    (errors.UpstreamTimeout("m"), 503, SERVER, "upstream_timeout", None),
    (errors.UpstreamRateLimited("m"), 503, SERVER, "upstream_rate_limited", None),
    (errors.UpstreamOverloaded("m"), 503, SERVER, "upstream_overloaded", None),
    (errors.UpstreamKeyRejected("m"), 503, SERVER, "upstream_key_rejected", None),
    (errors.UpstreamInvalid("m"), 503, SERVER, "upstream_invalid_response", None),
    (errors.UpstreamExhausted("m"), 503, SERVER, "upstream_exhausted", None),
    (errors.StreamBroken("m"), 503, SERVER, "upstream_stream_broken", None),
]


@pytest.mark.parametrize(
    ("error", "status", "type_", "code", "param"),
    TABLE,
    ids=[type(row[0]).__name__ for row in TABLE],
)
def test_each_error_is_rendered_as_the_table_says(
    error: GatewayError, status: int, type_: str, code: str | None, param: str | None
) -> None:
    found, _, inside = render(error)
    assert found == status == error.status
    assert (inside["type"], inside["code"], inside["param"]) == (type_, code, param)


@pytest.mark.parametrize("told", [400, 431, 501, 505])
def test_what_is_no_request_is_told_by_the_status_that_fits(told: int) -> None:
    status, _, inside = render(errors.MalformedRequest("m", status=told))
    assert (status, inside["code"]) == (told, "malformed_request")


def leaves(kind: type[GatewayError]) -> set[type[GatewayError]]:
    """The classes below, of the tree's own room: other rooms may add errors for their own routes."""
    own = [each for each in kind.__subclasses__() if each.__module__.startswith("router.errors.")]
    below = {leaf for each in own for leaf in leaves(each)}
    return below or {kind}


def test_every_class_of_the_tree_is_in_the_table() -> None:
    refusals = {errors.ContextLengthExceeded, errors.ContentRefused}
    tree = {leaf for leaf in leaves(GatewayError) if leaf.__module__.startswith(errors.__name__)}
    assert tree - refusals == {type(row[0]) for row in TABLE}


def test_the_tree_has_three_branches_and_only_one_may_be_tried_elsewhere() -> None:
    branches = {errors.ClientFault, errors.UpstreamFault, errors.GatewayFault}
    assert set(GatewayError.__subclasses__()) == branches
    for error, status, *_ in TABLE:
        assert isinstance(error, tuple(branches))
        assert error.another_attempt is isinstance(error, errors.UpstreamFault)
        assert isinstance(error, errors.ClientFault) is (400 <= status < 500)


def test_no_two_errors_share_a_code() -> None:
    codes = [row[0].code for row in TABLE if row[0].code is not None]
    assert len(codes) == len(set(codes))


# --- headers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "whole", "milliseconds"),
    [
        (7.0, "7", "7000"),
        (1.2, "2", "1200"),
        (0.0301, "1", "31"),
        (0.0, "1", "1"),
        (-3.0, "1", "1"),
        (2678400.0, "2678400", "2678400000"),
    ],
)
def test_the_wait_goes_out_in_both_headers_never_too_short(
    seconds: float, whole: str, milliseconds: str
) -> None:
    for error in (
        errors.LimitExceeded("m", limit="tokens", retry_after=seconds),
        errors.CreditHeld("m", retry_after=seconds),
        errors.UpstreamOverloaded("m", retry_after=seconds),
    ):
        _, headers, _ = render(error)
        assert headers == {"retry-after": whole, "retry-after-ms": milliseconds}


def test_every_upstream_fault_says_when_to_come_back() -> None:
    for error, *_ in TABLE:
        headers = render(error)[1]
        if isinstance(error, errors.UpstreamFault):
            assert headers == {"retry-after": "15", "retry-after-ms": "15000"}
        elif error.status == 503:
            assert headers == {"retry-after": "5", "retry-after-ms": "5000"}
        elif not isinstance(error, errors.LimitExceeded | errors.MethodNotAllowed):
            assert headers == {}


def test_405_names_the_methods() -> None:
    _, headers, inside = render(errors.MethodNotAllowed("PUT", "/v1/x", ["POST", "GET"]))
    assert headers == {"allow": "GET, POST"}
    assert inside["message"] == "/v1/x does not take PUT; it takes 'GET' or 'POST'."


# --- what they say --------------------------------------------------------------------------------


def test_400_names_the_field_and_what_was_expected() -> None:
    bad = BadCall("'n' must be an integer.", param="n", code="invalid_type")
    _, _, inside = render(errors.InvalidRequest.from_bad_call(bad))
    assert inside == {
        "message": "'n' must be an integer.",
        "type": "invalid_request_error",
        "param": "n",
        "code": "invalid_type",
    }


@pytest.mark.parametrize("error", [errors.MissingKey(), errors.InvalidKey()])
def test_401_says_how_to_send_a_key(error: GatewayError) -> None:
    assert "Authorization: Bearer sk-syze-" in error.message


@pytest.mark.parametrize(
    ("nearest", "hint"),
    [
        ([], None),
        (["a/b"], "Did you mean 'a/b'?"),
        (["a", "b"], "Did you mean 'a' or 'b'?"),
        (["a", "b", "c"], "Did you mean 'a', 'b' or 'c'?"),
    ],
)
def test_404_names_the_nearest_models(nearest: list[str], hint: str | None) -> None:
    message = errors.ModelNotFound("gpt-5o", nearest).message
    assert "'gpt-5o'" in message
    assert "/v1/models" in message
    assert (hint in message) if hint else ("Did you mean" not in message)


def test_what_a_client_sent_is_quoted_only_in_part() -> None:
    for error in (
        errors.ModelNotFound("m" * 10_000, []),
        errors.PathNotFound("GET", "/" * 10_000),
        errors.MethodNotAllowed("GET", "/" * 10_000, ["POST"]),
    ):
        assert len(error.message) < 400


def test_413_states_the_limit() -> None:
    assert "67108864 bytes" in errors.BodyTooLarge(67108864).message


def test_429_says_which_limit_and_in_the_message_when_to_try_again() -> None:
    error = errors.LimitExceeded("Over 60,000 tokens.", limit="tokens", retry_after=1.5)
    assert error.limit == "tokens"
    assert error.message == "Over 60,000 tokens. Please try again in 1.500s."


def test_500_names_the_request() -> None:
    assert "req-1" in errors.GatewayBug("req-1").message


def test_a_message_of_any_characters_is_rendered() -> None:
    message = 'a"b\\c\n\0é🙂'
    assert render(errors.InvalidRequest(message))[2]["message"] == message


# --- what an upstream's failure becomes -----------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (FailureKind.RATE_LIMITED, errors.UpstreamRateLimited),
        (FailureKind.OVERLOADED, errors.UpstreamOverloaded),
        (FailureKind.CREDENTIAL, errors.UpstreamKeyRejected),
        (FailureKind.INVALID, errors.UpstreamInvalid),
        (FailureKind.CONTEXT_LENGTH, errors.ContextLengthExceeded),
        (FailureKind.CONTENT_POLICY, errors.ContentRefused),
        (FailureKind.REFUSED, errors.UpstreamRefusal),
    ],
)
def test_each_kind_of_failure_becomes_its_error(
    kind: FailureKind, expected: type[GatewayError]
) -> None:
    assert type(from_failure(failure(kind), provider="acme")) is expected


def test_there_is_an_error_for_every_kind_of_failure() -> None:
    for kind in FailureKind:
        assert render(from_failure(failure(kind), provider="acme"))[0] in {400, 503}


@pytest.mark.parametrize("status", [401, 402, 403, 429, 500, 503, 529])
def test_an_upstreams_own_trouble_is_never_the_clients(status: int) -> None:
    for kind in (FailureKind.CREDENTIAL, FailureKind.RATE_LIMITED, FailureKind.OVERLOADED):
        error = from_failure(failure(kind, status, code="invalid_api_key"), provider="acme")
        found, headers, inside = render(error)
        assert found == 503
        assert headers["retry-after"] == "15"
        assert "acme" in inside["message"]
        assert inside["code"].startswith("upstream_")


@pytest.mark.parametrize("kind", [FailureKind.CREDENTIAL, FailureKind.RATE_LIMITED])
def test_what_names_the_operators_account_stays_inside(kind: FailureKind) -> None:
    told = failure(kind, 429, message="Limit of organization org-123, key sk-9, reached.")
    inside = render(from_failure(told, provider="acme"))[2]
    assert "org-123" not in str(inside)
    assert "sk-9" not in str(inside)


def test_an_upstreams_retry_after_is_passed_on() -> None:
    told = failure(FailureKind.RATE_LIMITED, 429, retry_after=2.5)
    _, headers, _ = render(from_failure(told, provider="acme"))
    assert headers == {"retry-after": "3", "retry-after-ms": "2500"}


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422])
def test_an_upstreams_refusal_is_passed_on_as_it_is(status: int) -> None:
    told = failure(FailureKind.REFUSED, status, type="t", code="c", param="p")
    found, headers, inside = render(from_failure(told, provider="acme"))
    assert (found, headers) == (status, {})
    assert inside == {"message": "its own words", "type": "t", "param": "p", "code": "c"}


def test_a_refusal_without_a_type_gets_ours() -> None:
    inside = render(from_failure(failure(FailureKind.REFUSED), provider="acme"))[2]
    assert (inside["type"], inside["code"]) == ("invalid_request_error", None)


@pytest.mark.parametrize(
    ("kind", "ours"),
    [
        (FailureKind.CONTEXT_LENGTH, "context_length_exceeded"),
        (FailureKind.CONTENT_POLICY, "content_policy_violation"),
    ],
)
def test_agents_find_the_code_they_branch_on(kind: FailureKind, ours: str) -> None:
    for code, expected in ((None, ours), ("400", ours), ("its_own", "its_own")):
        error = from_failure(failure(kind, 422, code=code), provider="acme")
        status, _, inside = render(error)
        assert (status, inside["code"]) == (422, expected)
        assert not error.another_attempt
