"""Accounts and tiers at rest, on every kind of database: what is kept, refused, and told to the workers."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from limiter.demand import Limits
from router.accounts.account import EMBEDDED_ACCOUNT, Account
from router.accounts.account_store import AccountStore
from router.accounts.database import Database, open_database
from router.accounts.errors import (
    AccountClosed,
    AccountNeeded,
    AccountsError,
    InvalidName,
    InvalidTerms,
    NameTaken,
    TierInUse,
    UnknownAccount,
    UnknownTier,
)
from router.accounts.keys import generate_key
from router.accounts.store import KeyStore
from router.accounts.tier import EMBEDDED_TIER, ModelPatterns, Tier
from router.accounts.tier_store import TierStore

PRO = Tier("pro", ModelPatterns(["openai/*", "anthropic/*"]), Limits(tokens=10**12, concurrency=8))


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    location = (
        tmp_path / "syze.db"
        if request.param == "sqlite"
        else str(request.getfixturevalue("postgres_url"))
    )
    with open_database(location) as opened:
        yield opened


@pytest.fixture
def accounts(database: Database) -> AccountStore:
    # Later than the default account, which was made by the migration.
    ticks = itertools.count(4e9)
    return AccountStore(database, wall_clock=lambda: next(ticks))


@pytest.fixture
def tiers(database: Database) -> TierStore:
    return TierStore(database)


@pytest.fixture
def keys(database: Database) -> KeyStore:
    return KeyStore(database)


# Accounts


def test_a_store_begins_with_one_account_in_one_tier(
    accounts: AccountStore, tiers: TierStore
) -> None:
    [account] = accounts.list_accounts()
    assert replace(account, created_at=0.0) == EMBEDDED_ACCOUNT
    assert tiers.list_tiers() == [EMBEDDED_TIER]


def test_an_account_is_kept_as_it_was_made(accounts: AccountStore, tiers: TierStore) -> None:
    tiers.create(PRO)
    made = accounts.create("Zoë & Söhne", tier="pro", prepaid=True, limits=Limits(requests=7))
    assert made.id.startswith("acc_")
    assert len(made.id) == 16
    assert (made.tier, made.prepaid, made.created_at, made.closed_at) == ("pro", True, 4e9, None)
    assert accounts.list_accounts()[1:] == [made]
    assert accounts.find(made.id) == accounts.find("Zoë & Söhne") == made


def test_an_account_is_changed_but_not_in_what_makes_it(accounts: AccountStore) -> None:
    made = accounts.create("customer")
    changed = accounts.change(
        "customer",
        lambda found: replace(
            found, id="acc_x", created_at=1.0, closed_at=1.0, prepaid=True, limits=Limits(tokens=5)
        ),
    )
    assert changed == replace(made, prepaid=True, limits=Limits(tokens=5))
    assert accounts.find(made.id) == changed


def test_the_name_of_an_open_account_is_taken_and_that_of_a_closed_one_free(
    accounts: AccountStore,
) -> None:
    first = accounts.create("customer")
    other = accounts.create("other")
    with pytest.raises(NameTaken, match="'customer'"):
        accounts.create("customer")
    with pytest.raises(NameTaken, match="'customer'"):
        accounts.change(other.id, named("customer"))
    assert accounts.change(first.id, named("customer")) == first
    accounts.close(first.id)
    second = accounts.create("customer")
    assert accounts.find("customer") == second
    assert accounts.change(first.id, named("customer")).closed_at is not None


def test_a_closed_account_is_listed_only_on_request_and_stays(accounts: AccountStore) -> None:
    made = accounts.create("customer")
    closed = accounts.close("customer")
    assert closed == replace(made, closed_at=4e9 + 1)
    assert closed not in accounts.list_accounts()
    assert closed in accounts.list_accounts(include_closed=True)
    assert accounts.find(made.id) == closed
    with pytest.raises(AccountClosed, match=made.id):
        accounts.close(made.id)
    with pytest.raises(UnknownAccount):
        accounts.close("customer")


def test_the_account_of_all_other_keys_cannot_be_closed(accounts: AccountStore) -> None:
    with pytest.raises(AccountNeeded):
        accounts.close("default")
    assert [account.closed_at for account in accounts.list_accounts()] == [None]


def test_an_id_goes_before_a_name_that_imitates_it(accounts: AccountStore) -> None:
    made = accounts.create("customer")
    imitation = accounts.create(made.id)
    assert accounts.find(made.id) == made
    assert accounts.find(imitation.id) == imitation


def test_an_unknown_account_is_nobodys(accounts: AccountStore) -> None:
    for selector in ("", "nobody", "acc_000000000000", "a\nb", "a\0b", "\udcff", "%"):
        with pytest.raises(UnknownAccount):
            accounts.find(selector)


def test_a_mistyped_name_is_answered_with_the_nearest_one(
    accounts: AccountStore, tiers: TierStore
) -> None:
    accounts.create("Northwind")
    tiers.create(PRO)
    with pytest.raises(UnknownAccount, match=r"'nortwind'; did you mean 'Northwind'\?"):
        accounts.find("nortwind")
    with pytest.raises(UnknownTier, match=r"'proo'; did you mean 'pro'\?"):
        accounts.create("x", tier="proo")
    with pytest.raises(UnknownTier, match=r"did you mean 'default'\?"):
        tiers.delete("Default")


def test_a_name_that_cannot_be_shown_is_refused(accounts: AccountStore, tiers: TierStore) -> None:
    for name in ("", " ", "a" * 101, "two\nlines", "\x1b[31m", "\udcff"):
        with pytest.raises(InvalidName):
            accounts.create(name)
        with pytest.raises(InvalidName):
            accounts.change("default", named(name))
        with pytest.raises(InvalidName):
            tiers.create(Tier(name))
    assert [account.name for account in accounts.list_accounts()] == ["default"]


def test_i12_a_secret_is_refused_as_a_name_and_not_repeated(accounts: AccountStore) -> None:
    secret = generate_key()
    attempts: list[Callable[[], object]] = [
        lambda: accounts.create(secret),
        lambda: accounts.find(f" {secret}"),
    ]
    for attempt in attempts:
        with pytest.raises(AccountsError) as caught:
            attempt()
        assert secret[12:-4] not in str(caught.value)


# Tiers


def test_a_tier_is_kept_as_it_was_made_and_changed(tiers: TierStore) -> None:
    assert tiers.create(PRO) == PRO
    assert tiers.list_tiers() == [EMBEDDED_TIER, PRO]
    changed = tiers.change(
        "pro", lambda found: replace(found, name="x", models=ModelPatterns(["a/*"]))
    )
    assert changed == replace(PRO, models=ModelPatterns(["a/*"]))
    assert tiers.list_tiers() == [EMBEDDED_TIER, changed]
    with pytest.raises(NameTaken):
        tiers.create(PRO)


def test_a_tier_in_use_cannot_be_deleted(accounts: AccountStore, tiers: TierStore) -> None:
    tiers.create(PRO)
    account = accounts.create("customer", tier="pro")
    accounts.close(accounts.create("gone", tier="pro").id)
    with pytest.raises(TierInUse, match=r"'pro' has 2 accounts \(1 closed\)"):
        tiers.delete("pro")
    for one in accounts.list_accounts(include_closed=True):
        accounts.change(one.id, lambda found: replace(found, tier="default"))
    assert tiers.delete("pro") == PRO
    assert tiers.list_tiers() == [EMBEDDED_TIER]
    assert accounts.find(account.id).tier == "default"


def test_a_tier_that_makes_no_sense_is_refused(tiers: TierStore) -> None:
    for globs in ([], [""], [" openai/*"], ["a\nb"], ["a" * 201], ["*"] * 1001):
        assert_refused(tiers, Tier("pro", ModelPatterns(globs)))
    assert_refused(tiers, Tier("pro", limits=Limits(tokens=0)))
    assert tiers.list_tiers() == [EMBEDDED_TIER]


def assert_refused(tiers: TierStore, tier: Tier) -> None:
    with pytest.raises(InvalidTerms):
        tiers.create(tier)
    with pytest.raises(InvalidTerms):
        tiers.change("default", lambda _: tier)


# What the workers hear of


def test_every_change_moves_the_revision_and_a_refused_one_does_not(
    accounts: AccountStore, tiers: TierStore, keys: KeyStore
) -> None:
    steps: list[Callable[[], object]] = [
        lambda: tiers.create(PRO),
        lambda: tiers.change("pro", lambda tier: tier),
        lambda: accounts.create("customer", tier="pro"),
        lambda: accounts.change("customer", named("client")),
        lambda: accounts.close("client"),
        lambda: tiers.create(Tier("spare")),
        lambda: tiers.delete("spare"),
    ]
    for number, step in enumerate(steps, 1):
        step()
        assert keys.revision() == number
    with pytest.raises(TierInUse):
        tiers.delete("default")
    with pytest.raises(UnknownAccount):
        accounts.close("nobody")
    with pytest.raises(NameTaken):
        tiers.create(PRO)
    assert keys.revision() == len(steps)


def test_a_snapshot_shows_each_key_with_its_account_and_tier(
    accounts: AccountStore, tiers: TierStore, keys: KeyStore
) -> None:
    tiers.create(PRO)
    account = accounts.create("customer", tier="pro")
    key, _ = keys.create("laptop", account="customer")
    other, _ = keys.create("other")
    revision, snapshot = keys.load()
    assert revision == 4
    found, default = snapshot.callers
    assert (found.key, found.account, found.tier) == (key, account, PRO)
    assert (default.key, default.account.id, default.tier) == (other, "acc_default", EMBEDDED_TIER)
    assert snapshot.tiers_that_have("mistral/small") == ["default"]
    accounts.close("customer")
    assert [caller.key for caller in keys.load()[1].callers] == [other]


def named(name: str) -> Callable[[Account], Account]:
    """An edit that gives an account another name."""

    def edit(account: Account) -> Account:
        return replace(account, name=name)

    return edit
