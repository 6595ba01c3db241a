"""Candidates made ready: targets, headers with the credential, and one endpoint a candidate."""

from typing import Any

import pytest

from adapters.dialect import EncodedRequest, Failure, FailureKind
from router.catalog.candidate import Candidate
from router.config import HeaderValue, PathConfig, Secret, TimeoutConfig
from router.exchange.endpoint import headers_of, list_request, make_endpoint, target_of
from router.exchange.live import HedgeSettings, LiveEndpoints
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
        "served_model": "mine/m-1",
    }
    return Candidate(**{**values, **changes})


def test_an_endpoint_knows_origin_targets_and_names() -> None:
    one = candidate()
    made = make_endpoint(one, "syzeai/1")
    assert made.origin == Origin("https", "host.example", 8443)
    assert made.target.paths == {
        "chat": b"/some/v1/chat/completions",
        "completions": b"/some/v1/completions",
        "embeddings": b"/some/v1/embeddings",
        "rerank": b"/some/v1/rerank",
    }
    assert (made.target.upstream_model, made.target.served_model) == ("m-1", "mine/m-1")
    assert made.provider == "mine"


def test_what_is_known_of_a_candidate_is_kept_and_shared_between_its_limits() -> None:
    endpoints = LiveEndpoints("syzeai/1", HedgeSettings())
    made = endpoints.of(candidate())
    patient = endpoints.of(candidate(timeouts=TimeoutConfig(total=1.0)))
    other = endpoints.of(candidate(upstream_model="m-2"))
    assert endpoints.of(candidate()) is made
    assert patient is not made
    assert patient.picture is made.picture
    assert other.picture is not made.picture
    assert other.picture.key is made.picture.key


def test_azure_style_providers_get_their_own_header_path_and_query() -> None:
    azure = candidate(
        key_header="api-key",
        query=(("api-version", "2024-10-21"), ("x y", "a&b")),
        paths=PathConfig(chat="/deployments/d/chat/completions"),
    )
    made = make_endpoint(azure, "syzeai/1")
    assert made.target.paths["chat"] == (
        b"/some/v1/deployments/d/chat/completions?api-version=2024-10-21&x+y=a%26b"
    )
    assert dict(made.target.headers)[b"api-key"] == b"sk-upstream"
    assert b"authorization" not in dict(made.target.headers)


def test_a_target_without_query_has_no_question_mark() -> None:
    assert target_of(candidate(), "", "/models") == b"/models"


@pytest.mark.parametrize(
    ("wire", "path", "header"),
    [
        (candidate(), b"/some/v1/models", None),
        (
            candidate(dialect="anthropic", key_header="x-api-key"),
            b"/some/v1/models?limit=1000",
            b"2023-06-01",
        ),
        (
            candidate(
                dialect="anthropic",
                headers=(("anthropic-version", HeaderValue("2026-10-21")),),
                query=(("limit", "5"), ("beta", "true")),
            ),
            b"/some/v1/models?limit=5&beta=true",
            b"2026-10-21",
        ),
        (candidate(dialect="gemini"), b"/some/v1/models?pageSize=1000", None),
    ],
    ids=["openai", "anthropic", "anthropic as configured", "gemini"],
)
def test_a_list_of_models_is_asked_for_in_the_providers_dialect(
    wire: Candidate, path: bytes, header: bytes | None
) -> None:
    _, target, headers = list_request(wire, "me")
    assert target == path
    assert [value for name, value in headers if name == b"anthropic-version"] == (
        [] if header is None else [header]
    )


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
    made = make_endpoint(one, "syzeai/1")
    for kind in (FailureKind.REFUSED, FailureKind.OVERLOADED, FailureKind.INVALID):
        message = "1 wrong: sk-upstream, hush-hush-hush"
        error = made.fault(Failure(kind=kind, status=400, message=message))
        assert "sk-upstream" not in error.message
        assert "hush" not in error.message
        assert "1 wrong" in error.message


def test_what_is_peculiar_to_a_known_providers_prefill_is_in_the_target() -> None:
    found = {
        name: make_endpoint(candidate(provider=name), "syzeai/1").target
        for name in ("mine", "anthropic", "deepseek", "mistral")
    }
    assert {name for name, one in found.items() if one.marks_prefill} == {"deepseek", "mistral"}
    assert {name for name, one in found.items() if one.echoes_prefill} == {"mistral"}


def bedrock(key: str) -> Candidate:
    return candidate(
        dialect="bedrock",
        base_url="https://bedrock-runtime.eu-west-1.amazonaws.com",
        key=Secret(key),
        paths=PathConfig(chat="/model/{model}/{method}"),
    )


def test_an_access_key_of_aws_signs_and_is_never_sent_nor_told() -> None:
    made = make_endpoint(bedrock("AKIAIOSFODNN7EXAMPLE:hidden-secret-key:hidden-token"), "me")
    assert b"authorization" not in dict(made.target.headers)
    assert made.target.sign is not None
    signed = made.target.sign(EncodedRequest(b"/model/m/converse", made.target.headers, b"{}"))
    proof = dict(signed.headers)[b"authorization"].decode()
    assert "/eu-west-1/bedrock/aws4_request" in proof
    assert "hidden" not in proof
    for part in ("hidden-secret-key", "hidden-token"):
        failure = Failure(kind=FailureKind.REFUSED, status=400, message=f"bad {part}")
        assert part not in made.fault(failure).message


def test_any_other_key_of_bedrock_is_a_bearer_token() -> None:
    made = make_endpoint(bedrock("bedrock-api-key-x"), "me")
    assert dict(made.target.headers)[b"authorization"] == b"Bearer bedrock-api-key-x"
    assert made.target.sign is None
