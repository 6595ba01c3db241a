"""The simulated Vertex AI and its token service: whom they admit, and what they answer."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from router.simulator import Behaviour, Profile, PublicKey, Simulator, expected_text
from tests.unit.simulator_dialects import KEYS, Said, ask, content, generate

PLACE = "/v1/projects/mine/locations/europe-west1/publishers/google/models/"
FORM = {"content-type": "application/x-www-form-urlencoded", "host": "oauth2.example"}
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
NOW = 1_800_000_000
ACCOUNT = "gateway@mine.iam.gserviceaccount.com"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CLAIMS: Mapping[str, Any] = {
    "iss": ACCOUNT,
    "scope": "https://www.googleapis.com/auth/cloud-platform",
    "aud": "https://oauth2.example/token",
    "iat": NOW,
    "exp": NOW + 3600,
}


class Clock:
    def __init__(self) -> None:
        self.at = float(NOW)

    def __call__(self) -> float:
        return self.at


def simulated(clock: Clock | None = None, *, knows: bool = True, **options: Any) -> Simulator:
    public = PublicKey(KEY.public_key().public_numbers().n)
    accounts = {ACCOUNT: public} if knows else {}
    return Simulator(service_accounts=accounts, wall_clock=clock or Clock(), **options)


def token(simulator: Simulator, *, key: Any = KEY, form: Any = None, **claims: Any) -> Said:
    """Ask for a token, as Google's own libraries do, with these claims changed."""
    signed = jwt.encode({**CLAIMS, **claims}, key, algorithm="RS256", headers={"kid": "k1"})
    said = form or {"grant_type": GRANT, "assertion": signed}
    return ask("/token", urlencode(said).encode(), headers=FORM, simulator=simulator)


def generated(bearer: str | None, simulator: Simulator, **how: Any) -> Said:
    headers = {} if bearer is None else {"authorization": f"Bearer {bearer}"}
    path = f"{PLACE}gemini-2.5-flash:generateContent"
    return ask(path, generate(), **{"headers": headers, "simulator": simulator, **how})


@pytest.mark.parametrize("knows", [True, False], ids=["a known account", "any account"])
def test_a_signed_statement_is_traded_for_a_token_that_is_taken_for_an_hour(knows: bool) -> None:
    clock = Clock()
    simulator = simulated(clock, knows=knows)
    granted = token(simulator).json()
    assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 3599)
    bearer = granted["access_token"]
    assert generated(bearer, simulator).status == 200
    assert generated(bearer, Simulator(wall_clock=clock)).status == 200  # it needs no memory
    clock.at += 3598
    assert generated(bearer, simulator).status == 200
    clock.at += 1
    over = generated(bearer, simulator)
    assert over.status == 401
    assert over.json()["error"]["details"][0]["reason"] == "ACCESS_TOKEN_EXPIRED"


@pytest.mark.parametrize(
    ("changes", "word", "message"),
    [
        ({"key": OTHER}, "invalid_grant", "Invalid JWT Signature."),
        ({"iss": "stranger@mine"}, "invalid_grant", "account not found"),
        ({"iss": ""}, "invalid_grant", "Invalid JWT"),
        ({"aud": "https://elsewhere.example/token"}, "invalid_grant", "audience"),
        ({"scope": "email"}, "invalid_scope", "scope"),
        ({"exp": NOW + 3601}, "invalid_grant", "short-lived"),
        ({"iat": NOW - 7200, "exp": NOW - 3600}, "invalid_grant", "reasonable timeframe"),
        ({"iat": NOW + 600, "exp": NOW + 900}, "invalid_grant", "reasonable timeframe"),
        ({"iat": "now"}, "invalid_grant", "Invalid JWT"),
        ({"form": {"grant_type": "password"}}, "unsupported_grant_type", "grant_type"),
        ({"form": {"grant_type": GRANT, "assertion": "a.b"}}, "invalid_grant", "no JWT"),
        ({"form": {"grant_type": GRANT, "assertion": "%.%.%"}}, "invalid_grant", "Invalid JWT"),
        ({"form": {"grant_type": GRANT}}, "invalid_grant", "no JWT"),
    ],
)
def test_a_wrong_statement_is_refused_in_oauths_words(
    changes: dict[str, Any], word: str, message: str
) -> None:
    said = token(simulated(), **changes)
    assert (said.status, said.json()["error"]) == (400, word)
    assert message in said.json()["error_description"]


def test_a_statement_of_another_algorithm_is_refused() -> None:
    signed = jwt.encode(dict(CLAIMS), "a-shared-secret-of-thirty-two-bytes!", algorithm="HS256")
    form = {"grant_type": GRANT, "assertion": signed}
    assert token(simulated(), form=form).json()["error"] == "invalid_grant"


def test_the_token_service_fails_as_it_is_told() -> None:
    simulator = simulated()
    simulator.plan(Behaviour(status=503), Behaviour(status=429), Behaviour(malformed_at=0))
    said = [token(simulator) for _ in range(3)]
    assert [one.status for one in said] == [503, 429, 200]
    assert [one.json()["error"] for one in said[:2]] == ["internal_failure", "rate_limit_exceeded"]
    with pytest.raises(json.JSONDecodeError):
        said[2].json()


@pytest.mark.parametrize(
    ("bearer", "reason"),
    [
        (None, "CREDENTIALS_MISSING"),
        ("another", "ACCESS_TOKEN_TYPE_UNSUPPORTED"),
        ("ya29.sim.W10.x", "ACCESS_TOKEN_TYPE_UNSUPPORTED"),
    ],
)
def test_who_has_no_token_is_refused(bearer: str | None, reason: str) -> None:
    said = generated(bearer, simulated(required_keys=["k"]))
    error = said.json()["error"]
    assert (said.status, error["status"]) == (401, "UNAUTHENTICATED")
    assert error["details"][0]["reason"] == reason


def test_an_api_key_is_no_token_here_and_a_token_none_at_the_gemini_api() -> None:
    key = {"x-goog-api-key": "k"}
    assert generated(None, simulated(), headers=key).status == 401
    gemini = "/v1beta/models/gemini-2.5-flash:generateContent"
    assert ask(gemini, generate(), headers=KEYS["vertex"]).status == 403


def test_bodies_and_rules_are_geminis() -> None:
    said = generated("k", simulated())
    asked = {
        "model": "gemini-2.5-flash",
        "messages": [{"role": "user", "content": "Hello"}],
    }
    assert said.json()["candidates"][0]["content"]["parts"][0]["text"] == expected_text(asked)
    path = f"{PLACE}gemini-2.5-flash:streamGenerateContent?alt=sse"
    streamed = ask(path, generate(), headers=KEYS["vertex"])
    assert streamed.headers["content-type"].startswith("text/event-stream")
    refused = ask(path, generate(content("system", {"text": "x"})), headers=KEYS["vertex"])
    assert refused.json()["error"]["status"] == "INVALID_ARGUMENT"
    known = Simulator(Profile(models=("known",)))
    assert ask(path, generate(), headers=KEYS["vertex"], simulator=known).status == 404
    assert ask(path, generate(), headers=KEYS["vertex"], method="GET").status == 404


def predicted(model: str, *texts: str, **fields: Any) -> Said:
    body = {"instances": [{"content": text} for text in texts], **fields}
    return ask(f"{PLACE}{model}:predict", body, headers=KEYS["vertex"])


def test_vectors_are_predictions_each_with_its_count() -> None:
    said = predicted("text-embedding-005", "a", "bcdef", parameters={"outputDimensionality": 4})
    found = [one["embeddings"] for one in said.json()["predictions"]]
    assert [len(one["values"]) for one in found] == [4, 4]
    assert [one["statistics"]["token_count"] for one in found] == [1, 2]


@pytest.mark.parametrize(
    ("model", "texts", "fields"),
    [
        ("gemini-embedding-001", ("a", "b"), {}),
        ("text-embedding-005", (), {}),
        ("text-embedding-005", ("",), {}),
        ("text-embedding-005", ("a",), {"requests": []}),
    ],
)
def test_wrong_instances_are_refused(
    model: str, texts: tuple[str, ...], fields: dict[str, Any]
) -> None:
    assert predicted(model, *texts, **fields).status == 400
