"""What the tests of the books share: databases of both systems, accounts, and settlements to book."""

import itertools
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from router.accounts.database import Database, open_database
from router.accounts.schema import accounts
from router.ledger.cost import Tokens
from router.ledger.settlement import Settlement
from router.ledger.store import Batch

SYSTEMS = ("sqlite", "postgresql")
_numbers = itertools.count(1)


@contextmanager
def open_books(system: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Database]:
    """An empty database of one system, closed at the end. PostgreSQL is skipped where it is not installed."""
    location: str | Path = folder / "books.db"
    if system == "postgresql":
        location = request.getfixturevalue("postgres_server").new_database()
    with open_database(location) as database:
        yield database


def new_account(database: Database) -> str:
    """Make a prepaid account and return its id."""
    id_ = f"acc_{secrets.token_hex(6)}"
    row = {"id": id_, "name": id_, "tier": "default", "prepaid": True, "created_at": 0.0}
    with database.writing() as connection:
        connection.execute(insert(accounts).values(row))
    return id_


def settlement(**fields: Any) -> Settlement:
    """A settlement of a request of its own, with figures that a test does not care about."""
    usual: dict[str, Any] = {
        "request_id": f"req_{next(_numbers):08}",
        "account_id": "acc_default",
        "key_id": "key_1",
        "model": "openai/gpt-4o",
        "provider": "openai",
        "at": 1_760_000_000.0,
        "tokens": Tokens(input=10, cached=4, output=6, reasoning=1),
        "charge_nanodollars": 1000,
        "operator_nanodollars": 0,
        "outcome": "completed",
        "duration": 0.5,
        "first_token": 0.25,
    }
    return Settlement(**usual | fields)


def batch(*settled: Settlement, start: int = 0, file_id: str = "file") -> Batch:
    """A batch in which every settlement takes a hundred bytes."""
    records = [(start + 100 * number, one) for number, one in enumerate(settled, 1)]
    return Batch(file_id, start, start + 100 * len(settled), records)
