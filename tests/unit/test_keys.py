"""The shape of a key, and what of it may be shown."""

import hashlib

import pytest

from router.accounts.errors import describe_selector
from router.accounts.keys import (
    ApiKey,
    generate_key,
    generate_key_id,
    hash_key,
    key_hint,
    looks_like_key,
)

SECRET = "sk-syze-ab12" + "M" * 24 + "wxyz"


def test_generated_keys_have_the_documented_shape() -> None:
    for secret in (generate_key() for _ in range(200)):
        assert looks_like_key(secret)
        assert len(secret) == len("sk-syze-") + 32


def test_generated_keys_and_ids_do_not_repeat() -> None:
    assert len({generate_key() for _ in range(1000)}) == 1000
    assert len({generate_key_id() for _ in range(1000)}) == 1000


def test_generated_keys_use_the_whole_alphabet() -> None:
    # 6,400 draws from 62 characters miss a given one once in 10**45 runs.
    drawn = {character for _ in range(200) for character in generate_key()[8:]}
    assert len(drawn) == 62


def test_ids_are_short_public_names() -> None:
    key_id = generate_key_id()
    assert key_id.startswith("key_")
    assert len(key_id) == 16
    assert key_id[4:].isalnum()


def test_the_digest_is_sha_256_of_the_whole_secret() -> None:
    assert hash_key(SECRET) == hashlib.sha256(SECRET.encode()).digest()
    assert hash_key(SECRET.encode()) == hash_key(SECRET)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sk-syze-",
        SECRET[:-1],
        SECRET + "a",
        SECRET.upper(),
        SECRET.replace("sk-syze-", "sk-proj-"),
        SECRET[:-1] + "-",
        SECRET[:-1] + "é",
        SECRET[:-1] + "٣",
        SECRET + "\n",
        " " + SECRET,
        SECRET[8:],
    ],
)
def test_other_texts_do_not_look_like_keys(text: str) -> None:
    assert looks_like_key(SECRET)
    assert not looks_like_key(text)


def test_i12_a_hint_shows_eight_characters_of_the_secret() -> None:
    assert key_hint(SECRET) == "sk-syze-ab12…wxyz"


def test_i12_a_text_too_short_to_be_a_key_gets_no_hint() -> None:
    with pytest.raises(ValueError, match="whole API key") as caught:
        key_hint("sk-syze-abcd1234")
    assert "abcd" not in str(caught.value)


def test_i12_printing_a_record_shows_no_digest() -> None:
    key = ApiKey(
        id="key_1", name="laptop", hint=key_hint(SECRET), digest=hash_key(SECRET), created_at=1.5
    )
    assert repr(key) == (
        "ApiKey(id='key_1', name='laptop', hint='sk-syze-ab12…wxyz', "
        "created_at=1.5, revoked_at=None)"
    )
    assert "digest" not in dict(key.__rich_repr__())


def test_i12_an_error_quotes_no_secret_whole_or_mistyped() -> None:
    assert describe_selector("laptop") == "'laptop'"
    assert describe_selector(SECRET) == "sk-syze-ab12…wxyz"
    for mistyped in (SECRET[:-1], " " + SECRET, SECRET + "9"):
        assert "MM" not in describe_selector(mistyped)
