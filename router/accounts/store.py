"""API keys at rest: the database that outlives the process and that several processes share.

Nothing here is on a request's path. The command line creates, lists, changes and revokes; every
worker loads a picture of all that can be called with at its start, and again when the revision
moves. All calls block (on a disk or a network, and for up to five seconds on another writer), so
inside trio they belong in a worker thread. One store may be used from many threads.
"""

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from sqlalchemy import Connection, insert, or_, select, update

from router.accounts.account_store import account_matching, all_accounts
from router.accounts.database import Database, open_database
from router.accounts.errors import (
    AccountClosed,
    AlreadyRevoked,
    AmbiguousKey,
    InvalidKeyName,
    UnknownKey,
)
from router.accounts.keys import (
    DEFAULT_ACCOUNT_ID,
    ApiKey,
    KeyTerms,
    generate_key,
    generate_key_id,
    hash_key,
    key_hint,
    looks_like_key,
)
from router.accounts.revision import changing, revision_in
from router.accounts.rows import key_of, key_values
from router.accounts.schema import api_keys
from router.accounts.snapshot import Snapshot
from router.accounts.terms import check_key_terms, check_name
from router.accounts.tier_store import all_tiers

_KEYS = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
_ACTIVE_KEYS = _KEYS.where(api_keys.c.revoked_at.is_(None))
_OPEN_TERMS = KeyTerms()


class KeyStore:
    """The keys of one database. Any method may raise a StoreError, with its name and the cause.

    `wall_clock` gives unix seconds. Closing the store closes its `database`.
    """

    def __init__(self, database: Database, *, wall_clock: Callable[[], float] = time.time) -> None:
        self.database = database
        self._wall_clock = wall_clock

    @classmethod
    def open(
        cls, location: str | Path, *, wall_clock: Callable[[], float] = time.time
    ) -> "KeyStore":
        """Open the database, as `open_database` does, for its keys."""
        return cls(open_database(location), wall_clock=wall_clock)

    def close(self) -> None:
        """Close every connection; calling it again does no harm."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def create(
        self, name: str, *, account: str = DEFAULT_ACCOUNT_ID, terms: KeyTerms = _OPEN_TERMS
    ) -> tuple[ApiKey, str]:
        """Make a key and return its record and its secret, which nobody can read again later.

        Names are for people and need not be unique. `account` is an id or the name of an open one.
        Raises InvalidKeyName, InvalidTerms, UnknownAccount, AccountClosed.
        """
        check_name(name, "a key", refusal=InvalidKeyName)
        now = self._wall_clock()
        check_key_terms(terms, now=now)
        secret = generate_key()
        with changing(self.database) as connection:
            key = ApiKey(
                id=generate_key_id(),
                name=name,
                hint=key_hint(secret),
                digest=hash_key(secret),
                created_at=now,
                account_id=_open_account(connection, account),
                **msgspec.structs.asdict(terms),
            )
            connection.execute(insert(api_keys).values(key_values(key)))
        return key, secret

    def list_keys(self, *, include_revoked: bool = False) -> list[ApiKey]:
        """Return the keys, oldest first; those of closed accounts too."""
        with self.database.reading() as connection:
            return _fetch(connection, include_revoked=include_revoked)

    def find(self, selector: str) -> ApiKey:
        """Return the one active key that `selector` names. Raises what `revoke` raises."""
        with self.database.reading() as connection:
            return _one_active(connection, selector)

    def load(self) -> tuple[int, Snapshot]:
        """Return the revision, and what can be called with as of it, read at one moment."""
        with self.database.reading() as connection:
            revision = revision_in(connection)
            tiers, accounts = all_tiers(connection), all_accounts(connection)
            keys = _fetch(connection)
        return revision, Snapshot(keys=keys, accounts=accounts, tiers=tiers)

    def revision(self) -> int:
        """Return the number that moves with every change: one tiny query."""
        with self.database.reading() as connection:
            return revision_in(connection)

    def change(self, selector: str, edit: Callable[[ApiKey], ApiKey]) -> ApiKey:
        """Replace the one active key that `selector` names, as for `revoke`, by what `edit` makes of it.

        Its name, account (an id or a name) and terms may change, all else stays. Raises what
        `revoke` and `create` raise, and what `edit` raises.
        """
        with changing(self.database) as connection:
            found = _one_active(connection, selector)
            changed = edit(found)
            check_name(changed.name, "a key", refusal=InvalidKeyName)
            if changed.expires_at != found.expires_at:
                check_key_terms(changed, now=self._wall_clock())
            else:  # also when that moment has passed: the others may be set nevertheless
                check_key_terms(msgspec.structs.replace(changed, expires_at=None), now=0.0)
            if changed.account_id != found.account_id:
                account_id = _open_account(connection, changed.account_id)
                changed = msgspec.structs.replace(changed, account_id=account_id)
            fixed = {name: getattr(found, name) for name in ("id", "hint", "digest", "created_at")}
            changed = msgspec.structs.replace(changed, **fixed, revoked_at=None)
            values = key_values(changed)
            connection.execute(update(api_keys).where(api_keys.c.id == found.id).values(values))
            return changed

    def revoke(self, selector: str) -> ApiKey:
        """Revoke the one active key with this id, name, hint or secret; return it as revoked.

        An id or secret is exact and goes before a name or hint.

        Raises:
            AlreadyRevoked: only revoked keys match. It is an UnknownKey too.
            UnknownKey: nothing matches.
            AmbiguousKey: several active keys match; none was revoked.
        """
        with changing(self.database) as connection:
            return self._revoke(connection, [_one_active(connection, selector)])[0]

    def revoke_all_named(self, name: str) -> list[ApiKey]:
        """Revoke every active key of this name and return them; UnknownKey if there is none."""
        with changing(self.database) as connection:
            active = [key for key in _fetch(connection) if key.name == name]
            if not active:
                raise UnknownKey(name)
            return self._revoke(connection, active)

    def _revoke(self, connection: Connection, keys: list[ApiKey]) -> list[ApiKey]:
        revoked_at = self._wall_clock()
        ids = [key.id for key in keys]
        connection.execute(
            update(api_keys).where(api_keys.c.id.in_(ids)).values(revoked_at=revoked_at)
        )
        return [msgspec.structs.replace(key, revoked_at=revoked_at) for key in keys]


def _fetch(connection: Connection, *, include_revoked: bool = False) -> list[ApiKey]:
    query = _KEYS if include_revoked else _ACTIVE_KEYS
    return [key_of(row) for row in connection.execute(query)]


def _open_account(connection: Connection, selector: str) -> str:
    account = account_matching(connection, selector)
    if account.closed_at is not None:
        raise AccountClosed(account.id)
    return account.id


def _one_active(connection: Connection, selector: str) -> ApiKey:
    found = _matching(connection, selector)
    active = [key for key in found if key.revoked_at is None]
    if found and not active:
        raise AlreadyRevoked(selector, found)
    if not active:
        names = select(api_keys.c.name).where(api_keys.c.revoked_at.is_(None)).distinct()
        raise UnknownKey(selector, connection.execute(names).scalars())
    if len(active) > 1:
        raise AmbiguousKey(selector, active)
    return active[0]


def _matching(connection: Connection, selector: str) -> list[ApiKey]:
    """Return the keys, revoked ones too, that the selector names in its most exact sense."""
    if not selector.isprintable():
        return []
    digest = hash_key(selector) if looks_like_key(selector) else b""
    columns = api_keys.c
    query = _KEYS.where(
        or_(
            columns.id == selector,
            columns.digest == digest,
            columns.name == selector,
            columns.hint == selector,
        )
    )
    found = [key_of(row) for row in connection.execute(query)]
    return [key for key in found if key.id == selector or key.digest == digest] or found
