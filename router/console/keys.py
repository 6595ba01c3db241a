"""API keys, as operators make, change and revoke them. A key's secret is in one answer only: the first."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from router.accounts.keys import DEFAULT_ACCOUNT_ID, ApiKey, KeyTerms, Scope
from router.console.fields import (
    LimitChanges,
    LimitFields,
    Listing,
    Moment,
    Record,
    Usd,
    given,
    limit_fields,
    moment,
    moment_or_none,
)
from router.console.operation import Asked, NoQuery
from router.console.stores import Stores
from router.ledger.money import format_usd, parse_usd


class KeyQuery(Record, kw_only=True):
    """Which keys: of one account, by id or name; revoked ones are left out unless asked for."""

    account: str | None = None
    revoked: bool = False


class KeyNew(LimitFields, kw_only=True):
    """A key to make. What is null is left to its account and tier."""

    name: str = "default"
    account: str = DEFAULT_ACCOUNT_ID
    hedge: bool | None = None
    budget_usd: Usd | None = None
    expires_at: Moment | None = None
    scopes: list[Scope] | None = None


class KeyChange(LimitChanges, kw_only=True):
    """What is to be different."""

    name: str | UnsetType = UNSET
    account: str | UnsetType = UNSET
    hedge: bool | UnsetType | None = UNSET
    budget_usd: Usd | UnsetType | None = UNSET
    expires_at: Moment | UnsetType | None = UNSET
    scopes: list[Scope] | UnsetType | None = UNSET


class KeyInfo(LimitFields, kw_only=True):
    """A key, without its secret."""

    id: str
    name: str
    hint: str
    account_id: str
    created_at: Moment
    revoked_at: Moment | None
    hedge: bool | None
    budget_usd: Usd | None
    expires_at: Moment | None
    scopes: list[Scope] | None


class KeyCreated(KeyInfo, kw_only=True):
    """A new key; `key` is its secret, which is not shown again."""

    key: str


def list_keys(stores: Stores, asked: Asked[KeyQuery, None]) -> Listing[KeyInfo]:
    """Return the keys, oldest first."""
    query = asked.query
    found = stores.keys.list_keys(include_revoked=query.revoked)
    if query.account is not None:
        owner = stores.accounts.find(query.account).id
        found = [key for key in found if key.account_id == owner]
    return Listing(data=[key_info(key) for key in found])


def create_key(stores: Stores, asked: Asked[NoQuery, KeyNew]) -> KeyCreated:
    """Make a key."""
    new = asked.body
    changes = _terms(new.hedge, new.budget_usd, new.expires_at, new.scopes)
    terms = KeyTerms(limits=new.limits(), **changes)
    key, secret = stores.keys.create(new.name, account=new.account, terms=terms)
    return KeyCreated(**msgspec.structs.asdict(key_info(key)), key=secret)


def change_key(stores: Stores, asked: Asked[NoQuery, KeyChange]) -> KeyInfo:
    """Change a key; it is named by its id, name or hint."""
    wanted = asked.body
    changes = given({"name": wanted.name, "account_id": wanted.account})
    changes |= _terms(wanted.hedge, wanted.budget_usd, wanted.expires_at, wanted.scopes)

    def edit(found: ApiKey) -> ApiKey:
        return msgspec.structs.replace(found, **changes, limits=wanted.over(found.limits))

    return key_info(stores.keys.change(asked.target, edit))


def revoke_key(stores: Stores, asked: Asked[NoQuery, None]) -> KeyInfo:
    """Revoke a key; it is named by its id, name or hint."""
    return key_info(stores.keys.revoke(asked.target))


def key_info(key: ApiKey) -> KeyInfo:
    """Return what may be told of a key."""
    budget = key.budget_nanodollars
    return KeyInfo(
        id=key.id,
        name=key.name,
        hint=key.hint,
        account_id=key.account_id,
        created_at=moment(key.created_at),
        revoked_at=moment_or_none(key.revoked_at),
        hedge=key.hedge,
        budget_usd=None if budget is None else format_usd(budget),
        expires_at=moment_or_none(key.expires_at),
        scopes=None if key.scopes is None else list(key.scopes),
        **limit_fields(key.limits),
    )


def _terms(hedge: object, budget: object, expires: object, scopes: object) -> Mapping[str, Any]:
    """Return what was said of a key's terms, as the store knows them."""
    said = {
        "hedge": hedge,
        "budget_nanodollars": parse_usd(budget) if isinstance(budget, str) else budget,
        "expires_at": expires.timestamp() if isinstance(expires, datetime) else expires,
        "scopes": tuple(scopes) if isinstance(scopes, list) else scopes,
    }
    return given(said)
