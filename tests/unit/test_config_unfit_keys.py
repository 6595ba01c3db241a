"""Keys that are more than a word: key files and access keys are looked at before the first client comes."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from adapters.gemini import extra
from tests.simulated.service_account import EMAIL, key_file, private_key
from tests.unit.written_config import load, refuse

VERTEX = """
[providers.vertex]
dialect = "vertex"
base_url = "https://aiplatform.example/v1/projects/mine/locations/europe-west1"
models = ["gemini-2.5-flash"]
"""
BEDROCK = """
[providers.bedrock]
dialect = "bedrock"
base_url = "http://127.0.0.1:9000"
models = ["amazon.nova-pro-v1:0"]
key = "env:AWS"
"""


def public_pem() -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = private_key().public_key()
    return public.public_bytes(serialization.Encoding.PEM, form).decode()


def test_a_key_file_is_read_over_many_lines_from_a_file_or_a_variable(tmp_path: Path) -> None:
    (tmp_path / "account.json").write_text(key_file())
    by_file = load(tmp_path, VERTEX + 'key = "file:account.json"')
    by_name = load(tmp_path, VERTEX + 'key = "env:ACCOUNT"', ACCOUNT=key_file())
    pool = load(tmp_path, VERTEX + 'keys = ["env:ACCOUNT", "env:TOKEN"]', ACCOUNT=key_file())
    for found in (by_file, by_name):
        key = found.providers["vertex"].key
        assert key is not None
        assert EMAIL in key.reveal()
        assert "\n" not in key.reveal()
    assert len(pool.providers["vertex"].key_pool) == 2


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (key_file(type="authorized_user"), "no service account's key file"),
        (key_file(private_key="-----BEGIN PRIVATE KEY-----\nhush\n"), "no RSA key in PEM"),
        (key_file(private_key=public_pem()), "is a public key"),
        (key_file(token_uri="http://oauth2.example/token"), "must begin with https://"),
        (key_file(token_uri="https://oauth2.example/token?hush=1"), "and nothing else"),
        ('{"type": "service_account"', "no JSON"),
    ],
    ids=["another type", "no key", "a public key", "plain http", "a query", "half a file"],
)
def test_a_key_file_that_cannot_be_used_is_refused_without_a_word_of_it(
    tmp_path: Path, file: str, message: str
) -> None:
    error = refuse(tmp_path, VERTEX + 'key = "env:ACCOUNT"', ACCOUNT=file)
    [problem] = error.problems
    assert problem.path == "providers.vertex.key"
    assert message in problem.message
    assert "hush" not in str(error)
    assert "PRIVATE" not in str(error)


def test_the_place_of_a_key_in_a_pool_is_told(tmp_path: Path) -> None:
    text = VERTEX + 'keys = ["env:TOKEN", "env:ACCOUNT"]'
    error = refuse(tmp_path, text, ACCOUNT=key_file(type="other"))
    assert [problem.path for problem in error.problems] == ["providers.vertex.keys[1]"]


def test_a_service_account_needs_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extra, "_LIBRARIES", ("no_such_library",))
    error = refuse(tmp_path, VERTEX + 'key = "env:ACCOUNT"', ACCOUNT=key_file())
    assert "syzeai[vertex]" in str(error)
    load(tmp_path, VERTEX + 'key = "env:TOKEN"')  # a token needs nothing


def test_an_access_key_needs_a_region_and_a_bearer_token_none(tmp_path: Path) -> None:
    load(tmp_path, BEDROCK, AWS="a-bearer-token")
    error = refuse(tmp_path, BEDROCK, AWS="AKIDEXAMPLE000000000:hush-hush")
    [problem] = error.problems
    assert problem.path == "providers.bedrock.key"
    assert "names no region" in problem.message
    assert "hush" not in str(error)


def test_other_providers_may_have_keys_that_look_like_one(tmp_path: Path) -> None:
    text = '[providers.mine]\nbase_url = "https://host.example"\nmodels = ["m"]\nkey = "env:ODD"'
    key = load(tmp_path, text, ODD='{"a": 1}').providers["mine"].key
    assert key is not None
    assert key.reveal() == '{"a": 1}'
