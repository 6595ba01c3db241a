"""Tiers, as operators make, change and delete them."""

import msgspec
from msgspec import UNSET, UnsetType

from router.accounts.tier import ModelPatterns, Tier
from router.console.fields import LimitChanges, LimitFields, Listing, limit_fields
from router.console.operation import Asked, NoQuery
from router.console.stores import Stores


class TierInfo(LimitFields, kw_only=True):
    """A tier: patterns of the models that it has, and the limits of each key."""

    name: str
    models: list[str] = msgspec.field(default_factory=lambda: ["*"])


class TierChange(LimitChanges, kw_only=True):
    """What is to be different."""

    models: list[str] | UnsetType = UNSET


def list_tiers(stores: Stores, asked: Asked[NoQuery, None]) -> Listing[TierInfo]:  # noqa: ARG001 - nothing asked
    """Return all tiers."""
    return Listing(data=[tier_info(tier) for tier in stores.tiers.list_tiers()])


def create_tier(stores: Stores, asked: Asked[NoQuery, TierInfo]) -> TierInfo:
    """Make a tier."""
    new = asked.body
    return tier_info(stores.tiers.create(Tier(new.name, ModelPatterns(new.models), new.limits())))


def change_tier(stores: Stores, asked: Asked[NoQuery, TierChange]) -> TierInfo:
    """Change a tier."""
    wanted = asked.body

    def edit(found: Tier) -> Tier:
        models = found.models
        if not isinstance(wanted.models, UnsetType):
            models = ModelPatterns(wanted.models)
        return Tier(found.name, models, wanted.over(found.limits))

    return tier_info(stores.tiers.change(asked.target, edit))


def delete_tier(stores: Stores, asked: Asked[NoQuery, None]) -> TierInfo:
    """Delete a tier that no account is in."""
    return tier_info(stores.tiers.delete(asked.target))


def tier_info(tier: Tier) -> TierInfo:
    """Return what is told of a tier."""
    return TierInfo(name=tier.name, models=list(tier.models.globs), **limit_fields(tier.limits))
