"""One thing that can be done over HTTP: where, with what, and what comes back.

`handle` is a plain function of the stores and of what was asked. It knows no web framework and may block.
"""

from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar

import msgspec

from router.accounts.caller import Caller
from router.accounts.keys import Scope
from router.console.fields import Record
from router.console.stores import Stores

Method = Literal["GET", "POST", "PATCH", "DELETE"]
Q = TypeVar("Q")
B = TypeVar("B")


class NoQuery(Record, kw_only=True):
    """No parameters behind the path."""


class Asked(msgspec.Struct, Generic[Q, B], frozen=True, kw_only=True):
    """One request: `target` is the part of the path that names a thing, empty where there is none.

    `key` is the idempotency key, empty where the operation takes none. `caller` is whose API key asks,
    `None` where an operator does.
    """

    query: Q
    body: B
    target: str = ""
    key: str = ""
    caller: Caller | None = None


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table. `path` has at most one part in braces.

    `query` and `body` are structs that say what may be sent (`None`: no body), `answer` the type of what
    comes back. With `idempotent` the header `Idempotency-Key` is required. It is for operators, or, with
    a `scope`, for API keys that have that.
    """

    method: Method
    path: str
    summary: str
    handle: Callable[[Stores, Any], object]
    answer: Any
    body: type[Record] | None = None
    query: type[Record] = NoQuery
    status: int = 200
    idempotent: bool = False
    scope: Scope | None = None
