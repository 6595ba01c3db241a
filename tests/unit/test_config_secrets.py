"""Secrets in the configuration: where they may come from, and that nothing ever shows one (I12)."""

import copy
import pickle
from pathlib import Path

import msgspec
import pytest

from router.config import Secret
from tests.unit.written_config import load, refuse

WITH_SECRETS = """
[providers.openai]
key = "env:TOKEN"
headers = { x-token = "env:TOKEN", x-plain = "hush-hush" }
"""


def test_a_secret_is_read_from_a_variable(tmp_path: Path) -> None:
    config = load(tmp_path, "[providers.openai]\nkey = 'env:TOKEN'")
    assert config.providers["openai"].key == Secret("hush-hush")


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_secret_is_read_from_a_file_without_its_trailing_newline(
    tmp_path: Path, ending: str
) -> None:
    (tmp_path / "key.txt").write_bytes(f"sk-file{ending}".encode())
    config = load(tmp_path, "[providers.openai]\nkey = 'file:key.txt'")
    assert config.providers["openai"].key == Secret("sk-file")


@pytest.mark.parametrize(
    ("written", "part"),
    [
        ("sk-live-verysecret", "never as the value itself"),
        ("$TOKEN", 'did you mean "env:TOKEN"?'),
        ("TOKEN", 'did you mean "env:TOKEN"?'),
        ("env:ABSENT", "ABSENT is not set"),
        ("env:EMPTY", "EMPTY is empty"),
        ("env:not a name", "not the name of an environment variable"),
        ("env:BROKEN", "line break"),
        ("env:SPACED", "outer space"),
        ("file:absent.txt", "cannot be read"),
        ("file:empty.txt", "is empty"),
        ("file:binary.txt", "is not text"),
        ("file:lines.txt", "line break"),
    ],
)
def test_a_secret_that_cannot_be_had_is_refused_with_the_way_out(
    tmp_path: Path, written: str, part: str
) -> None:
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "lines.txt").write_text("verysecret\nverysecret\n")
    text = f"[providers.openai]\nkey = '{written}'"
    error = refuse(tmp_path, text, EMPTY="", BROKEN="verysecret\nverysecret", SPACED="verysecret ")
    (problem,) = error.problems
    assert problem.path == "providers.openai.key"
    assert part in problem.message
    assert "verysecret" not in str(error) + repr(error)


def test_i12_a_secret_has_no_textual_form(tmp_path: Path) -> None:
    everything = load(tmp_path, WITH_SECRETS)
    secret = everything.providers["openai"].key
    assert secret is not None
    assert secret.reveal() == "hush-hush"
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>20}", repr(everything)]
    assert not [text for text in shown if "hush-hush" in text]
    assert "hush-hush" not in repr(msgspec.to_builtins(everything, enc_hook=str))


def test_i12_a_secret_is_not_pickled(tmp_path: Path) -> None:
    everything = load(tmp_path, WITH_SECRETS)
    secret = everything.providers["openai"].key
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert copy.deepcopy(secret) == secret


def test_secrets_compare_by_value() -> None:
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


@pytest.mark.parametrize(
    "text",
    [
        "[log]\nlevel = 'verysecret'",
        "[server]\nbind = ['verysecret']",
        "[providers.openai]\nbase_url = 'https://user:verysecret@host/v1'",
        "[providers.openai]\ndialect = 'verysecret'",
        "[providers.openai]\nkeys = ['env:TOKEN', 'verysecret']",
        "[providers.openai]\nkey_header = 'very secret verysecret'",
        '[providers.openai.headers]\nx = "verysecret\\n"',
        "[models.x]\ntarget = ['verysecret']",
    ],
)
def test_i12_an_error_never_repeats_a_value(tmp_path: Path, text: str) -> None:
    error = refuse(tmp_path, text)
    assert "verysecret" not in str(error) + repr(error) + repr(error.problems)
