"""Between rows and structs: what the tables call a thing, and what the code does."""

from typing import Any

from sqlalchemy import Row

from limiter.demand import Limits
from router.accounts.account import Account
from router.accounts.keys import ApiKey
from router.accounts.tier import ModelPatterns, Tier

Values = dict[str, object]


def key_of(row: Row[Any]) -> ApiKey:
    """Return the key in a row of `api_keys`."""
    return ApiKey(
        id=row.id,
        name=row.name,
        hint=row.hint,
        digest=row.digest,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        account_id=row.account_id,
        limits=_limits_of(row),
        hedge=row.hedge,
        budget_nanodollars=row.budget_nanodollars,
        expires_at=row.expires_at,
        scopes=None if row.scopes is None else tuple(row.scopes),
    )


def key_values(key: ApiKey) -> Values:
    """Return what a row of `api_keys` holds for the key."""
    return {
        "id": key.id,
        "name": key.name,
        "hint": key.hint,
        "digest": key.digest,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
        "account_id": key.account_id,
        **_limit_values(key.limits),
        "hedge": key.hedge,
        "budget_nanodollars": key.budget_nanodollars,
        "expires_at": key.expires_at,
        "scopes": None if key.scopes is None else list(key.scopes),
    }


def account_of(row: Row[Any]) -> Account:
    """Return the account in a row of `accounts`."""
    return Account(
        id=row.id,
        name=row.name,
        tier=row.tier,
        prepaid=row.prepaid,
        limits=_limits_of(row),
        created_at=row.created_at,
        closed_at=row.closed_at,
    )


def account_values(account: Account) -> Values:
    """Return what a row of `accounts` holds for the account."""
    return {
        "id": account.id,
        "name": account.name,
        "tier": account.tier,
        "prepaid": account.prepaid,
        **_limit_values(account.limits),
        "created_at": account.created_at,
        "closed_at": account.closed_at,
    }


def tier_of(row: Row[Any]) -> Tier:
    """Return the tier in a row of `tiers`."""
    return Tier(name=row.name, models=ModelPatterns(row.models), limits=_limits_of(row))


def tier_values(tier: Tier) -> Values:
    """Return what a row of `tiers` holds for the tier."""
    models = list(tier.models.globs)
    return {"name": tier.name, "models": models, **_limit_values(tier.limits)}


def _limits_of(row: Row[Any]) -> Limits:
    return Limits(
        requests=row.requests_per_minute,
        tokens=row.tokens_per_minute,
        concurrency=row.concurrency,
    )


def _limit_values(limits: Limits) -> Values:
    return {
        "requests_per_minute": limits.requests,
        "tokens_per_minute": limits.tokens,
        "concurrency": limits.concurrency,
    }
