"""Candidates made ready: targets, headers with the credential, and one endpoint a candidate."""

from typing import Any

import pytest

from adapters.dialect import Failure, FailureKind
from router.catalog.candidate import Candidate
from router.catalog.routes import Route
from router.config import HeaderValue, PathConfig, Secret, TimeoutConfig
from router.exchange.endpoint import Endpoints, headers_of, target_of
from router.upstream.origin import Origin


def candidate(**changes: Any) -> Candidate:
    values: dict[str, Any] = {
        "provider": "mine",
        "dialect": "openai",
        "base_url": "https://host.example:8443/some/v1",
        "key": Secret("sk-upstream"),
        "key_header": "authorization",
        "headers": (),
        "query": (),
        "paths": PathConfig(),
        "stream_usage": True,
        "inventory": False,
        "timeouts": TimeoutConfig(),
        "max_connections": 10,
        "upstream_model": "m-1",
    }
    return Candidate(**{**values, **changes})


def route(*candidates: Candidate, id: str = "mine/m-1") -> Route:  # noqa: A002 - the route's own word
    return Route(id, candidates, None, "mine")


def test_an_endpoint_knows_origin_targets_and_names() -> None:
    one = candidate()
    made = Endpoints("syzeai/1").of(route(one), one)
    assert made.origin == Origin("https", "host.example", 8443)
    assert made.target.paths == {
        "chat": b"/some/v1/chat/completions",
        "completions": b"/some/v1/completions",
        "embeddings": b"/some/v1/embeddings",
    }
    assert (made.target.upstream_model, made.target.served_model) == ("m-1", "mine/m-1")
    assert made.provider == "mine"


def test_an_endpoint_is_made_once_for_a_candidate_under_a_name() -> None:
    endpoints, one = Endpoints("syzeai/1"), candidate()
    made = endpoints.of(route(one), one)
    assert endpoints.of(route(candidate()), candidate()) is made
    assert endpoints.of(route(one, id="alias"), one).target.served_model == "alias"
    assert endpoints.of(route(one), candidate(upstream_model="m-2")) is not made


def test_azure_style_providers_get_their_own_header_path_and_query() -> None:
    azure = candidate(
        key_header="api-key",
        query=(("api-version", "2024-10-21"), ("x y", "a&b")),
        paths=PathConfig(chat="/deployments/d/chat/completions"),
    )
    made = Endpoints("syzeai/1").of(route(azure), azure)
    assert made.target.paths["chat"] == (
        b"/some/v1/deployments/d/chat/completions?api-version=2024-10-21&x+y=a%26b"
    )
    assert dict(made.target.headers)[b"api-key"] == b"sk-upstream"
    assert b"authorization" not in dict(made.target.headers)


def test_a_target_without_query_has_no_question_mark() -> None:
    assert target_of(candidate(), "", "/models") == b"/models"


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (candidate(), [(b"user-agent", b"me"), (b"authorization", b"Bearer sk-upstream")]),
        (candidate(key=None), [(b"user-agent", b"me")]),
        (
            candidate(key=None, headers=(("x-org", HeaderValue("grün")),)),
            [(b"user-agent", b"me"), (b"x-org", "grün".encode("latin-1"))],
        ),
    ],
)
def test_headers_carry_agent_credential_and_what_is_configured(
    wire: Candidate, expected: list[tuple[bytes, bytes]]
) -> None:
    assert headers_of(wire, "me") == expected


def test_a_failure_that_repeats_a_configured_secret_is_told_without_it() -> None:
    headers = (("x-token", HeaderValue("hush-hush-hush")), ("x-version", HeaderValue("1")))
    one = candidate(headers=headers)
    made = Endpoints("syzeai/1").of(route(one), one)
    for kind in (FailureKind.REFUSED, FailureKind.OVERLOADED, FailureKind.INVALID):
        message = "1 wrong: sk-upstream, hush-hush-hush"
        error = made.fault(Failure(kind=kind, status=400, message=message))
        assert "sk-upstream" not in error.message
        assert "hush" not in error.message
        assert "1 wrong" in error.message
