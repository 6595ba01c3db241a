"""Which texts open which records, whatever the texts and whatever the ring."""

from collections.abc import Iterable

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from router.accounts.account import Account
from router.accounts.keyring import KeyRing
from router.accounts.keys import ApiKey, hash_key, key_hint
from router.accounts.snapshot import Snapshot
from router.accounts.tier import EMBEDDED_TIER

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
key_secrets = st.text(ALPHABET, min_size=32, max_size=32).map("sk-syze-".__add__)
secret_lists = st.lists(key_secrets, unique=True, max_size=8)


def record(secret: str, *, revoked_at: float | None = None) -> ApiKey:
    return ApiKey(
        id=f"key_{secret[8:20]}",
        name="test",
        hint=key_hint(secret),
        digest=hash_key(secret),
        created_at=0.0,
        revoked_at=revoked_at,
    )


def ring_of(keys: Iterable[ApiKey]) -> KeyRing:
    return KeyRing(Snapshot.embedded(keys))


def opened_by(ring: KeyRing, secret: str | bytes) -> ApiKey | None:
    caller = ring.authenticate(secret)
    return caller.key if caller is not None else None


@given(secret_lists)
def test_every_key_opens_its_own_record(secrets: list[str]) -> None:
    ring = ring_of(record(secret) for secret in secrets)
    assert len(ring) == len(secrets)
    for secret in secrets:
        assert opened_by(ring, secret) == record(secret)
        assert opened_by(ring, secret.encode()) == record(secret)


@given(key_secrets, st.integers(0, 39), st.characters())
def test_i12_a_key_with_one_character_changed_opens_nothing(
    secret: str, position: int, character: str
) -> None:
    changed = secret[:position] + character + secret[position + 1 :]
    found = ring_of([record(secret)]).authenticate(changed)
    assert (found is not None) == (changed == secret)


@given(key_secrets, st.integers(0, 39), st.text(min_size=1))
def test_i12_a_part_of_a_key_or_more_than_it_opens_nothing(
    secret: str, length: int, more: str
) -> None:
    ring = ring_of([record(secret)])
    assert ring.authenticate(secret[:length]) is None
    assert ring.authenticate(secret[length + 1 :]) is None
    assert ring.authenticate(secret + more) is None
    assert ring.authenticate(more + secret) is None


@given(key_secrets, st.text() | st.binary())
@example("sk-syze-" + "a" * 32, "")
@example("sk-syze-" + "a" * 32, "\ud800")
@example("sk-syze-" + "a" * 32, b"\xff" * 40)
@example("sk-syze-" + "a" * 32, "x" * 1_000_000)
def test_no_other_input_opens_a_record_or_raises(secret: str, other: str | bytes) -> None:
    assert ring_of([record(secret)]).authenticate(other) is None


@given(st.integers(1, 600))
def test_what_is_longer_than_the_limit_is_refused_even_if_it_were_known(length: int) -> None:
    secret = "a" * length
    key = ApiKey(id="key_1", name="", hint="", digest=hash_key(secret), created_at=0.0)
    assert (ring_of([key]).authenticate(secret) is not None) == (length <= 256)


@given(secret_lists, st.sets(st.integers(0, 7)))
def test_a_revoked_key_is_never_in_the_ring(secrets: list[str], revoked: set[int]) -> None:
    ring = ring_of(
        record(secret, revoked_at=1.0 if index in revoked else None)
        for index, secret in enumerate(secrets)
    )
    for index, secret in enumerate(secrets):
        assert (ring.authenticate(secret) is None) == (index in revoked)


@given(secret_lists, secret_lists)
def test_a_replaced_ring_holds_the_new_keys_and_no_other(old: list[str], new: list[str]) -> None:
    ring = ring_of(record(secret) for secret in old)
    ring.replace(Snapshot.embedded(record(secret) for secret in new))
    assert len(ring) == len(new)
    for secret in {*old, *new}:
        assert (ring.authenticate(secret) is not None) == (secret in new)


@given(key_secrets, st.integers(0, 31), st.integers(1, 255), st.booleans())
def test_i12_a_digest_that_is_nearly_equal_neither_opens_nor_hides_a_record(
    secret: str, position: int, flip: int, decoy_first: bool
) -> None:
    digest = bytearray(hash_key(secret))
    digest[position] ^= flip
    decoy = ApiKey(id="key_decoy", name="", hint="", digest=bytes(digest), created_at=0.0)
    assert ring_of([decoy]).authenticate(secret) is None
    both = [decoy, record(secret)] if decoy_first else [record(secret), decoy]
    assert opened_by(ring_of(both), secret) == record(secret)


@given(key_secrets, st.floats(0, 1e10), st.floats(0, 1e10))
@example("sk-syze-" + "a" * 32, 1000.0, 1000.0)
def test_a_key_opens_its_record_until_the_moment_it_expires(
    secret: str, expires_at: float, now: float
) -> None:
    key = replace(record(secret), expires_at=expires_at)
    ring = KeyRing(Snapshot.embedded([key]), wall_clock=lambda: now)
    assert (opened_by(ring, secret) == key) == (now < expires_at)


@given(st.lists(st.tuples(st.booleans(), key_secrets), unique_by=lambda pair: pair[1], max_size=8))
def test_a_key_of_a_closed_account_opens_nothing_whatever_else_is_open(
    owned: list[tuple[bool, str]],
) -> None:
    keys = [
        replace(record(secret), account_id=f"acc_{index}")
        for index, (_, secret) in enumerate(owned)
    ]
    accounts = [
        Account(f"acc_{index}", f"{index}", closed_at=1.0 if closed else None)
        for index, (closed, _) in enumerate(owned)
    ]
    ring = KeyRing(Snapshot(keys=keys, accounts=accounts, tiers=[EMBEDDED_TIER]))
    for key, (closed, secret) in zip(keys, owned, strict=True):
        assert opened_by(ring, secret) == (None if closed else key)
