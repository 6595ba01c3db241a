"""What can go wrong with accounts and their store, each with its own name and a sentence for a person.

Two kinds, told apart because different people can help: a request that makes no sense (the one who
typed it), and a store that does not serve (the one who runs the machine). No message ever holds a
secret: a selector that might be one is left out of it.
"""

import difflib
from collections.abc import Iterable, Sequence

from router.accounts.keys import PREFIX, ApiKey, key_hint, looks_like_key


class AccountsError(Exception):
    """Base of everything raised by this package."""


class InvalidName(AccountsError):
    """A new name is empty, too long, not printable, or itself a secret."""


class InvalidKeyName(InvalidName):
    """The name for a new key is none."""


class NameTaken(AccountsError):
    """Another account or tier has this name already."""


class InvalidTerms(AccountsError):
    """A limit, budget, end, scope or pattern that makes no sense; the message says which."""


class UnknownKey(AccountsError):
    """No active key answers to this selector; `names` are those of keys that exist."""

    def __init__(self, selector: str, names: Iterable[str] = ()) -> None:
        # A part of a secret is as near to a name as any other text, and is not to be compared.
        hint = "" if PREFIX in selector else nearest(selector, names)
        super().__init__(f"no active key matches {describe_selector(selector)}{hint}")


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


class UnknownAccount(AccountsError):
    """No account has this id, and no open one this name; `names` are those of open ones."""

    def __init__(self, selector: str, names: Iterable[str] = ()) -> None:
        hint = nearest(selector, names)
        super().__init__(f"no account matches {describe_selector(selector)}{hint}")


class AccountClosed(AccountsError):
    """The account is closed, and what was asked needs an open one."""

    def __init__(self, account_id: str) -> None:
        super().__init__(f"the account {account_id} is closed")


class AccountNeeded(AccountsError):
    """The account that owns the keys nobody put elsewhere cannot be closed."""


class UnknownTier(AccountsError):
    """No tier has this name; `names` are those that exist."""

    def __init__(self, name: str, names: Iterable[str] = ()) -> None:
        super().__init__(f"no tier is named {describe_selector(name)}{nearest(name, names)}")


class TierInUse(AccountsError):
    """Accounts stand in the tier, so it cannot be deleted."""


class StoreError(AccountsError):
    """The store failed in a way that has no name of its own below."""


class StoreUnsupported(StoreError):
    """The database URL names a system, or a form of one, that this version does not serve."""


class StoreNotWritable(StoreError):
    """The database cannot be created, opened or written: rights, a read-only copy, a full disk."""


class StoreBusy(StoreError):
    """Others kept the database locked, or every connection to it in use, for longer than we wait."""


class StoreAway(StoreError):
    """The database server cannot be reached, turns us away, or broke the connection off.

    What was under way has not happened, unless the connection broke during its commit. Whoever
    comes next finds a new connection, once the server is back.
    """


class StoreDamaged(StoreError):
    """What is there is not a database of this system, or no longer a sound one."""


class StoreTooNew(StoreError):
    """A newer version of the program has already changed the database's layout."""


def nearest(written: str, names: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the name most like `written`, or nothing."""
    by_lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(written.lower(), by_lower, n=1)
    return f"; did you mean {by_lower[near[0]]!r}?" if near else ""


def describe_selector(selector: str) -> str:
    """Quote what someone typed to name a thing, unless it could be a secret, whole or mistyped."""
    if looks_like_key(selector):
        return key_hint(selector)
    if PREFIX in selector:
        return f"that {PREFIX}… text"
    return repr(selector)
