"""Accounts and tiers in memory: who a key belongs to, and what it may do."""

import fnmatch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router.accounts.account import Account
from router.accounts.caller import Caller
from router.accounts.keyring import KeyRing
from router.accounts.keys import SCOPES, ApiKey, generate_key, hash_key, key_hint
from router.accounts.snapshot import Snapshot
from router.accounts.tier import EMBEDDED_TIER, ModelPatterns, Tier
from router.errors import ModelNotAllowed

SECRET = generate_key()
KEY = ApiKey("key_1", "one", key_hint(SECRET), hash_key(SECRET), 0.0, account_id="acc_1")
ACCOUNT = Account("acc_1", "customer", tier="pro")
FREE = Tier("free", ModelPatterns(["openai/gpt-4o-mini", "*:free"]))
PRO = Tier("pro", ModelPatterns(["openai/*", "anthropic/claude-?-[45]"]))


@pytest.mark.parametrize(
    ("tier", "model", "allowed"),
    [
        (EMBEDDED_TIER, "anything/at:all", True),
        (FREE, "openai/gpt-4o-mini", True),
        (FREE, "openai/gpt-4o-mini-2024", False),
        (FREE, "OpenAI/gpt-4o-mini", False),
        (FREE, "deep/seek:free", True),
        (FREE, "", False),
        (PRO, "openai/o1", True),
        (PRO, "openai/org/o1", True),
        (PRO, "x/openai/o1", False),
        (PRO, "anthropic/claude-x-4", True),
        (PRO, "anthropic/claude-x-6", False),
        (Tier("none", ModelPatterns([])), "a", False),
        (Tier("none", ModelPatterns([])), "", False),
    ],
    ids=lambda value: value.name if isinstance(value, Tier) else repr(value),
)
def test_a_tier_has_the_models_that_its_patterns_name(
    tier: Tier, model: str, allowed: bool
) -> None:
    assert [tier.allows(model), tier.allows(model)] == [allowed, allowed]


pieces = st.text("ab*?[]!-./:\n", max_size=12)


@given(st.lists(pieces, max_size=4), st.lists(pieces, max_size=6))
@example(["*" + "a*" * 30 + "b"], ["a" * 5000])
def test_patterns_mean_what_they_mean_to_a_shell(globs: list[str], models: list[str]) -> None:
    patterns = ModelPatterns(globs)
    for model in [*models, *models]:
        expected = any(fnmatch.fnmatchcase(model, glob) for glob in globs)
        assert patterns.match(model) == expected


def test_what_is_remembered_of_models_is_bounded() -> None:
    patterns = ModelPatterns(["a*"])
    for number in range(10_000):
        assert patterns.match(f"a{number}")
        assert not patterns.match(f"b{number}")
    assert len(patterns._remembered) <= 4096


def test_the_tiers_that_have_a_model_are_named_in_order() -> None:
    snapshot = Snapshot(tiers=[PRO, EMBEDDED_TIER, FREE])
    assert snapshot.tiers_that_have("openai/gpt-4o-mini") == ["default", "free", "pro"]
    assert snapshot.tiers_that_have("openai/o1") == ["default", "pro"]
    assert Snapshot(tiers=[FREE]).tiers_that_have("openai/o1") == []


@pytest.mark.parametrize(
    ("having", "told"),
    [
        ([], "No tier has it at present."),
        (["pro"], "The tier 'pro' has it."),
        (["pro", "team"], "The tier 'pro' or 'team' has it."),
        (list("abcdefg"), "The tier 'a', 'b', 'c', 'd' or 'e' has it."),
    ],
    ids=len,
)
def test_a_refusal_names_the_tiers_that_have_the_model(having: list[str], told: str) -> None:
    error = ModelNotAllowed("openai/o1", tier="free", tiers_with=having)
    assert error.message == f"The tier 'free' does not have the model 'openai/o1'. {told}"


def test_a_key_comes_with_its_account_and_tier() -> None:
    ring = KeyRing(Snapshot(keys=[KEY], accounts=[ACCOUNT], tiers=[PRO, FREE]))
    assert ring.authenticate(SECRET) == Caller(KEY, ACCOUNT, PRO)


@pytest.mark.parametrize(
    "snapshot",
    [
        Snapshot(keys=[KEY], tiers=[PRO]),
        Snapshot(keys=[KEY], accounts=[ACCOUNT]),
        Snapshot(keys=[KEY], accounts=[Account("acc_1", "c", "pro", closed_at=1.0)], tiers=[PRO]),
    ],
    ids=["no account", "no tier", "closed"],
)
def test_a_key_without_an_open_account_in_a_tier_opens_nothing(snapshot: Snapshot) -> None:
    assert KeyRing(snapshot).authenticate(SECRET) is None
    assert snapshot.callers == ()


@given(st.sets(st.sampled_from(SCOPES)), st.sampled_from(SCOPES))
def test_a_key_is_good_for_its_scopes_or_for_everything(scopes: set[str], scope: str) -> None:
    narrow = ApiKey("key_1", "one", "", b"", 0.0, scopes=tuple(scopes))  # type: ignore[arg-type]
    assert narrow.allows(scope) == (scope in scopes)  # type: ignore[arg-type]
    assert KEY.allows(scope)  # type: ignore[arg-type]
