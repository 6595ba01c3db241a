"""API keys at rest: the database that outlives the process and that several processes share.

Nothing here is on a request's path. The command line creates, lists and revokes; every worker
loads the active keys at its start and again when the revision moves. All calls block (on a disk,
and for up to five seconds on another writer), so inside trio they belong in a worker thread. One
store may be used from many threads.
"""

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from sqlalchemy import Connection, Engine, insert, or_, select, update

from router.accounts.database import database_path, open_engine, store_errors, writing
from router.accounts.errors import AlreadyRevoked, AmbiguousKey, InvalidKeyName, UnknownKey
from router.accounts.keys import (
    PREFIX,
    ApiKey,
    generate_key,
    generate_key_id,
    hash_key,
    key_hint,
    looks_like_key,
)
from router.accounts.migrate import migrate
from router.accounts.schema import KEYS_TOPIC, MAX_NAME_LENGTH, api_keys, changes

_KEYS = select(
    api_keys.c.id,
    api_keys.c.name,
    api_keys.c.hint,
    api_keys.c.digest,
    api_keys.c.created_at,
    api_keys.c.revoked_at,
).order_by(api_keys.c.created_at, api_keys.c.id)
_ACTIVE_KEYS = _KEYS.where(api_keys.c.revoked_at.is_(None))
_REVISION = select(changes.c.revision).where(changes.c.topic == KEYS_TOPIC)


class KeyStore:
    """The keys of one database. Any method may raise a StoreError, with the file and the cause."""

    def __init__(self, path: Path, engine: Engine, *, wall_clock: Callable[[], float]) -> None:
        self._path = path
        self._engine = engine
        self._wall_clock = wall_clock

    @classmethod
    def open(
        cls, url_or_path: str | Path, *, wall_clock: Callable[[], float] = time.time
    ) -> "KeyStore":
        """Open the database, creating and migrating it as needed; safe for many processes at once.

        `url_or_path` is a path or `sqlite:///PATH`. `wall_clock` gives unix seconds.
        """
        path = database_path(url_or_path)
        engine = open_engine(path)
        try:
            with store_errors(path):
                migrate(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(path, engine, wall_clock=wall_clock)

    def close(self) -> None:
        """Close every connection; calling it again does no harm."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def create(self, name: str) -> tuple[ApiKey, str]:
        """Make a key and return its record and its secret, which nobody can read again later.

        Names are for people and need not be unique. Raises InvalidKeyName.
        """
        _check_name(name)
        secret = generate_key()
        key = ApiKey(
            id=generate_key_id(),
            name=name,
            hint=key_hint(secret),
            digest=hash_key(secret),
            created_at=self._wall_clock(),
        )
        row = {field: getattr(key, field) for field in key.__struct_fields__}
        with store_errors(self._path), writing(self._engine).begin() as connection:
            connection.execute(insert(api_keys).values(row))
            _announce(connection)
        return key, secret

    def list_keys(self, *, include_revoked: bool = False) -> list[ApiKey]:
        """Return the keys, oldest first."""
        with store_errors(self._path), self._engine.begin() as connection:
            return _fetch(connection, include_revoked=include_revoked)

    def load(self) -> tuple[int, list[ApiKey]]:
        """Return the revision and the active keys as of that revision, read at one moment."""
        with store_errors(self._path), self._engine.begin() as connection:
            return _revision(connection), _fetch(connection)

    def revision(self) -> int:
        """Return the number that moves with every change of the keys: one tiny query."""
        with store_errors(self._path), self._engine.begin() as connection:
            return _revision(connection)

    def revoke(self, selector: str) -> ApiKey:
        """Revoke the one active key with this id, name, hint or secret; return it as revoked.

        An id or secret is exact and goes before a name or hint.

        Raises:
            AlreadyRevoked: only revoked keys match. It is an UnknownKey too.
            UnknownKey: nothing matches.
            AmbiguousKey: several active keys match; none was revoked.
        """
        with store_errors(self._path), writing(self._engine).begin() as connection:
            found = _matching(connection, selector)
            active = [key for key in found if key.revoked_at is None]
            if found and not active:
                raise AlreadyRevoked(selector, found)
            if not active:
                raise UnknownKey(selector)
            if len(active) > 1:
                raise AmbiguousKey(selector, active)
            return self._revoke(connection, active)[0]

    def revoke_all_named(self, name: str) -> list[ApiKey]:
        """Revoke every active key of this name and return them; UnknownKey if there is none."""
        with store_errors(self._path), writing(self._engine).begin() as connection:
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
        _announce(connection)
        return [msgspec.structs.replace(key, revoked_at=revoked_at) for key in keys]


def _check_name(name: str) -> None:
    if not name.strip():
        raise InvalidKeyName("a key needs a name")
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidKeyName(f"a key's name has at most {MAX_NAME_LENGTH} characters")
    if not name.isprintable():
        raise InvalidKeyName("a key's name has printable characters only")
    if PREFIX in name:
        # Names are stored and shown in clear; a secret pasted in the wrong place must not be.
        raise InvalidKeyName(f"a key's name must not contain {PREFIX!r}, as a key does")


def _revision(connection: Connection) -> int:
    revision: int = connection.execute(_REVISION).scalar_one()
    return revision


def _fetch(connection: Connection, *, include_revoked: bool = False) -> list[ApiKey]:
    query = _KEYS if include_revoked else _ACTIVE_KEYS
    return [ApiKey(*row) for row in connection.execute(query)]


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
    found = [ApiKey(*row) for row in connection.execute(query)]
    return [key for key in found if key.id == selector or key.digest == digest] or found


def _announce(connection: Connection) -> None:
    connection.execute(
        update(changes).where(changes.c.topic == KEYS_TOPIC).values(revision=changes.c.revision + 1)
    )
