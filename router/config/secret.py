"""Secrets: how the configuration names them, and a wrapper that never shows one by accident.

A configuration file gets copied, committed and pasted into tickets, so it may only say where a
secret lies: `env:NAME` or `file:PATH`. Once read, the value travels inside `Secret`, whose every
textual form is a row of stars; only `reveal()` gives it out. No message of this file contains a
value, not even a wrong one: what was written in the wrong place may be a real key.
"""

import hmac
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn, Self

import msgspec

from router.config.environment import expand_home

SHORTEST_LONG = 16
HOW_TO_WRITE = 'a secret is written as "env:NAME" or "file:PATH"'
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Secret:
    """A value that must not be seen. Compared in constant time; hashable; refuses to be pickled."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself: for the wire, never for a log."""
        return self._value

    def __repr__(self) -> str:
        return f"{type(self).__name__}('***')"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not written anywhere")


class HeaderValue(Secret):
    """A configured header's value: a reference or plain text, hidden as it is often a key."""

    __slots__ = ()


class DatabaseUrl(Secret):
    """The address of a PostgreSQL database, with the user and the password in it."""

    __slots__ = ()


class LongSecret(Secret):
    """A secret that anybody on the network may try to guess, so it is at least 16 characters long."""

    __slots__ = ()


class SecretReader:
    """Reads references against an environment; relative files are looked up in `folder`."""

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self._environ = environ
        self._folder = folder

    def read(self, kind: type[object], written: object) -> Secret:
        """Return the secret that `written` refers to, as msgspec's hook for unknown types wants it.

        Raises `ValueError` with a message that holds no value: not a reference, no such variable or
        file, empty, or unfit for a header.
        """
        if not isinstance(written, str):
            raise ValueError(f"expected a string: {HOW_TO_WRITE}")  # noqa: TRY004 - msgspec passes on ValueError
        if kind is HeaderValue:
            is_reference = written.startswith(("env:", "file:"))
            return HeaderValue(_fit(self._follow(written) if is_reference else written))
        if kind is DatabaseUrl:
            return DatabaseUrl(_postgres_url(_fit(self._follow(written))))
        if kind is LongSecret:
            return LongSecret(_long(_fit(self._follow(written))))
        return Secret(_fit(_on_one_line(self._follow(written))))

    def _follow(self, written: str) -> str:
        scheme, colon, target = written.partition(":")
        if colon and scheme == "env":
            return self._variable(target)
        if colon and scheme == "file":
            return self._file(target)
        raise ValueError(self._literal_refused(written))

    def _variable(self, name: str) -> str:
        if not _VARIABLE_NAME.fullmatch(name):
            raise ValueError("what follows `env:` is not the name of an environment variable")
        value = self._environ.get(name)
        if value is None:
            raise ValueError(f"the environment variable {name} is not set")
        if not value:
            raise ValueError(f"the environment variable {name} is empty")
        return value

    def _file(self, target: str) -> str:
        path = self._folder / expand_home(target, self._environ)
        try:
            value = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"the file {path} is not text") from None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            raise ValueError(f"the file {path} cannot be read: {reason or 'bad path'}") from None
        value = value.removesuffix("\n").removesuffix("\r")
        if not value:
            raise ValueError(f"the file {path} is empty")
        return value

    def _literal_refused(self, written: str) -> str:
        name = written.strip("${} ")
        if _VARIABLE_NAME.fullmatch(name) and name in self._environ:
            return f'{HOW_TO_WRITE}; did you mean "env:{name}"?'
        return f"{HOW_TO_WRITE}, never as the value itself"


def _on_one_line(value: str) -> str:
    """Return a JSON object, such as a service account's key file, without its line breaks."""
    if "\n" not in value or not value.startswith("{"):
        return value
    try:
        return msgspec.json.format(value, indent=-1)
    except msgspec.DecodeError:
        return value


def _postgres_url(value: str) -> str:
    if not value.startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
        raise ValueError(
            "the value is no URL such as postgresql://USER:PASSWORD@HOST/NAME; "
            "an SQLite file is named by `path`"
        )
    return value


def _long(value: str) -> str:
    if len(value) < SHORTEST_LONG:
        raise ValueError(
            f"the value is shorter than {SHORTEST_LONG} characters, which could be guessed"
        )
    return value


def _fit(value: str) -> str:
    # Everything secret ends in a header; a line break there would forge another one.
    if any(not " " <= character <= "~" for character in value) or value != value.strip():
        raise ValueError(
            "the value holds a line break, an outer space or a character unfit for HTTP headers"
        )
    return value
