"""Where a key is looked for in a request's headers, and what a request without a valid one is told."""

import msgspec
import pytest

from router.accounts.keyring import KeyRing
from router.accounts.keys import PREFIX, ApiKey, hash_key, key_hint
from router.accounts.snapshot import Snapshot
from router.errors import InvalidKey, MissingKey, ScopeMissing
from router.front.credentials import Credentials, authenticate

# Written out, since they are part of the tests' names.
SECRET = PREFIX + "Right" + "0123456789abcdefghijklmnopq"
OTHER = PREFIX + "Other" + "0123456789abcdefghijklmnopq"
KEY = ApiKey(id="key_1", name="one", hint=key_hint(SECRET), digest=hash_key(SECRET), created_at=0.0)
RING = KeyRing(Snapshot.embedded([KEY]))

Headers = list[tuple[bytes, bytes]]


def bearer(secret: str, scheme: str = "Bearer") -> tuple[bytes, bytes]:
    return b"authorization", f"{scheme} {secret}".encode()


def x_api_key(secret: str) -> tuple[bytes, bytes]:
    return b"x-api-key", secret.encode()


@pytest.mark.parametrize(
    "headers",
    [
        [bearer(SECRET)],
        [bearer(SECRET, "bearer")],
        [bearer(SECRET, "BEARER")],
        [bearer(f"  {SECRET}  ")],
        [x_api_key(SECRET)],
        [x_api_key(f" {SECRET} ")],
        [bearer(SECRET), x_api_key(SECRET)],
        [bearer(OTHER), x_api_key(SECRET)],
        [x_api_key(OTHER), bearer(SECRET)],
        [bearer("anything", "Basic"), x_api_key(SECRET)],
        [bearer(""), x_api_key(SECRET)],
        [bearer(OTHER), bearer(SECRET)],
    ],
    ids=repr,
)
def test_one_valid_key_is_enough_wherever_it_stands(headers: Headers) -> None:
    assert authenticate([(b"host", b"a"), *headers], RING, "inference").key is KEY


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [bearer("")],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"")],
        [bearer(SECRET, "Basic")],
        [(b"authorization", SECRET.encode())],
        [x_api_key("")],
        [x_api_key("  ")],
        [(b"api-key", SECRET.encode())],
        [(b"proxy-authorization", b"Bearer " + SECRET.encode())],
    ],
    ids=repr,
)
def test_a_request_that_sends_no_key_is_told_how_to_send_one(headers: Headers) -> None:
    with pytest.raises(MissingKey, match="Authorization: Bearer"):
        authenticate(headers, RING, "inference")


@pytest.mark.parametrize(
    "headers",
    [
        [bearer(OTHER)],
        [x_api_key(OTHER)],
        [bearer(OTHER), x_api_key(OTHER[:-1])],
        [bearer(SECRET[:-1])],
        [bearer(SECRET + "a")],
        [bearer(SECRET.upper())],
        [bearer("é" * 300)],
        [(b"authorization", b"Bearer \xff\xfe\x00")],
    ],
    ids=repr,
)
def test_a_wrong_key_is_refused_without_being_repeated(headers: Headers) -> None:
    with pytest.raises(InvalidKey) as caught:
        authenticate(headers, RING, "inference")
    assert OTHER not in caught.value.message
    assert SECRET[-8:] not in caught.value.message


def test_a_key_is_good_for_what_its_scopes_say_and_for_nothing_else() -> None:
    key = msgspec.structs.replace(KEY, scopes=("models", "usage"))
    ring = KeyRing(Snapshot.embedded([key]))
    assert authenticate([bearer(SECRET)], ring, "models").key is key
    with pytest.raises(ScopeMissing, match="for inference, only for models and usage"):
        authenticate([bearer(SECRET)], ring, "inference")


def test_an_expired_key_is_told_what_a_wrong_one_is() -> None:
    key = msgspec.structs.replace(KEY, expires_at=1000.0)
    now = 999.9
    ring = KeyRing(Snapshot.embedded([key]), wall_clock=lambda: now)
    assert authenticate([bearer(SECRET)], ring, "inference").key is key
    now = 1000.0
    with pytest.raises(InvalidKey):
        authenticate([bearer(SECRET)], ring, "inference")


def test_who_was_found_once_is_found_again_until_the_ring_has_another_picture() -> None:
    ring = KeyRing(Snapshot.embedded([KEY]))
    credentials = Credentials([bearer(SECRET)])
    first = credentials.identify(ring, "inference")
    assert credentials.identify(ring, "inference") is first
    ring.replace(Snapshot.embedded([]))
    with pytest.raises(InvalidKey):
        credentials.identify(ring, "inference")
    ring.replace(Snapshot.embedded([msgspec.structs.replace(KEY, name="renamed")]))
    assert credentials.identify(ring, "inference").key.name == "renamed"


def test_who_was_found_for_one_use_may_not_have_another() -> None:
    ring = KeyRing(Snapshot.embedded([msgspec.structs.replace(KEY, scopes=("models",))]))
    credentials = Credentials([bearer(SECRET)])
    assert credentials.identify(ring, "models").key.id == KEY.id
    with pytest.raises(ScopeMissing):
        credentials.identify(ring, "inference")


def test_a_key_that_was_found_ends_when_it_ends() -> None:
    now = 0.0
    ring = KeyRing(
        Snapshot.embedded([msgspec.structs.replace(KEY, expires_at=10.0)]), wall_clock=lambda: now
    )
    credentials = Credentials([bearer(SECRET)])
    credentials.identify(ring, "inference")
    now = 10.0
    with pytest.raises(InvalidKey):
        credentials.identify(ring, "inference")
