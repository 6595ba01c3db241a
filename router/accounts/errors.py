"""What can go wrong with keys and their store, each with its own name and a sentence for a person.

Two kinds, told apart because different people can help: a request about keys that makes no sense
(the one who typed it), and a store that does not serve (the one who runs the machine). No message
ever holds a secret: a selector that might be one is left out of it.
"""

from collections.abc import Sequence

from router.accounts.keys import PREFIX, ApiKey, key_hint, looks_like_key


class AccountsError(Exception):
    """Base of everything raised by this package."""


class InvalidKeyName(AccountsError):
    """The name for a new key is empty, too long, not printable, or itself a secret."""


class UnknownKey(AccountsError):
    """No active key answers to this selector."""

    def __init__(self, selector: str) -> None:
        super().__init__(f"no active key matches {describe_selector(selector)}")


class AlreadyRevoked(UnknownKey):
    """Only revoked keys answer to this selector; `keys` are those."""

    def __init__(self, selector: str, keys: Sequence[ApiKey]) -> None:
        super().__init__(selector)
        self.args = (f"already revoked: {', '.join(key.id for key in keys)}",)
        self.keys = tuple(keys)


class AmbiguousKey(AccountsError):
    """Several active keys answer to this selector; `keys` are those, to choose from by id."""

    def __init__(self, selector: str, keys: Sequence[ApiKey]) -> None:
        ids = ", ".join(key.id for key in keys)
        super().__init__(f"{describe_selector(selector)} names {len(keys)} active keys: {ids}")
        self.keys = tuple(keys)


class StoreError(AccountsError):
    """The store failed in a way that has no name of its own below."""


class StoreUnsupported(StoreError):
    """The database URL names a system, or a form of one, that this version does not serve."""


class StoreNotWritable(StoreError):
    """The database file or its directory cannot be created, opened or written."""


class StoreBusy(StoreError):
    """Another process kept the database locked for longer than we wait."""


class StoreDamaged(StoreError):
    """The file is not an SQLite database, or no longer a sound one."""


class StoreTooNew(StoreError):
    """A newer version of the program has already changed the database's layout."""


def describe_selector(selector: str) -> str:
    """Quote what someone typed to name a key, unless it could be a secret, whole or mistyped."""
    if looks_like_key(selector):
        return key_hint(selector)
    if PREFIX in selector:
        return f"that {PREFIX}… text"
    return repr(selector)
