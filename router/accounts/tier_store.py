"""Tiers at rest: made, changed and deleted by an operator while the gateway runs.

All calls block, so inside trio they belong in a worker thread.
"""

from collections.abc import Callable

from sqlalchemy import Connection, delete, func, insert, select, update

from router.accounts.database import Database
from router.accounts.errors import NameTaken, TierInUse, UnknownTier
from router.accounts.revision import changing
from router.accounts.rows import tier_of, tier_values
from router.accounts.schema import accounts, tiers
from router.accounts.terms import check_limits, check_name, check_patterns
from router.accounts.tier import Tier

_TIERS = select(tiers).order_by(tiers.c.name)


class TierStore:
    """The tiers of one database. Any method may raise a StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, tier: Tier) -> Tier:
        """Store a new tier and return it. Raises InvalidName, InvalidTerms, NameTaken."""
        check_name(tier.name, "a tier")
        _check(tier)
        with changing(self._database) as connection:
            if tier.name in tier_names(connection):
                raise NameTaken(f"there is a tier named {tier.name!r} already")
            connection.execute(insert(tiers).values(tier_values(tier)))
        return tier

    def list_tiers(self) -> list[Tier]:
        """Return all tiers by their names."""
        with self._database.reading() as connection:
            return all_tiers(connection)

    def change(self, name: str, edit: Callable[[Tier], Tier]) -> Tier:
        """Replace the tier by what `edit` makes of it, but for its name, and return that.

        Raises UnknownTier, InvalidTerms, and what `edit` raises.
        """
        with changing(self._database) as connection:
            changed = edit(_tier_named(connection, name))
            _check(changed)
            row = tier_values(changed) | {"name": name}
            connection.execute(update(tiers).where(tiers.c.name == name).values(row))
            return _tier_named(connection, name)

    def delete(self, name: str) -> Tier:
        """Delete a tier that no account is in and return it. Raises UnknownTier, TierInUse."""
        with changing(self._database) as connection:
            tier = _tier_named(connection, name)
            closed = func.count(accounts.c.closed_at)
            users = select(func.count(), closed).where(accounts.c.tier == name)
            count, count_closed = connection.execute(users).one()
            if count:
                raise TierInUse(
                    f"the tier {name!r} has {count} account{'s' if count != 1 else ''} "
                    f"({count_closed} closed); move them to another tier first"
                )
            connection.execute(delete(tiers).where(tiers.c.name == name))
            return tier


def all_tiers(connection: Connection) -> list[Tier]:
    """Return all tiers by their names, as this transaction sees them."""
    return [tier_of(row) for row in connection.execute(_TIERS)]


def tier_names(connection: Connection) -> list[str]:
    """Return the names of all tiers, as this transaction sees them."""
    return list(connection.execute(select(tiers.c.name)).scalars())


def _tier_named(connection: Connection, name: str) -> Tier:
    row = connection.execute(_TIERS.where(tiers.c.name == name)).one_or_none()
    if row is None:
        raise UnknownTier(name, tier_names(connection))
    return tier_of(row)


def _check(tier: Tier) -> None:
    check_patterns(tier.models)
    check_limits(tier.limits)
