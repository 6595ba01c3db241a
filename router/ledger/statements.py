"""Statements that both database systems know and SQLAlchemy spells by system, and some that have to be quick.

Every request becomes a row or two, and is looked for before. SQLAlchemy takes longer to prepare a value than
SQLite to find or to write it, so those go to the driver as they are.

SQLite's driver lets go of the interpreter for every statement and has to get it back, against a thread that
serves requests and is seldom idle. So many rows go into one statement there; PostgreSQL's driver sends them
all at once as it is.
"""

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Insert, Table
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

ROWS_AT_ONCE: Final = (
    50  # with at most 19 columns it stays below 999 values, which any SQLite takes
)
VALUES_AT_ONCE: Final = 500  # of one column, below the same bound


def insert_new(connection: Connection, table: Table) -> Insert:
    """Return an insert into `table` that leaves a row alone whose primary key exists."""
    return _insert_new(connection.dialect.name, table)


def insert_or_add(connection: Connection, table: Table) -> Insert:
    """Return an insert into `table` that adds to every other column of a row whose primary key exists."""
    return _insert_or_add(connection.dialect.name, table)


def insert_rows(
    connection: Connection,
    table: Table,
    names: tuple[str, ...],
    rows: Sequence[tuple[object, ...]],
    *,
    or_leave: bool = False,
) -> int:
    """Insert rows, given as the values of the columns `names`, of types that both drivers know.

    Returns how many went in. That is all of them, unless rows whose keys exist are to be left alone.
    """
    if not rows:
        return 0
    end = " ON CONFLICT DO NOTHING" if or_leave else ""
    if connection.dialect.name == "postgresql":
        text = _insert_text(table.name, names, "%s", 1) + end
        return connection.exec_driver_sql(text, list(rows)).rowcount
    inserted = 0
    for start in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[start : start + ROWS_AT_ONCE]
        text = _insert_text(table.name, names, "?", len(some)) + end
        inserted += connection.exec_driver_sql(text, tuple(chain.from_iterable(some))).rowcount
    return inserted


def find_known(connection: Connection, table: Table, name: str, values: Sequence[str]) -> set[str]:
    """Return which of `values` are in the text column `name` of the table."""
    known: set[str] = set()
    on_postgres = connection.dialect.name == "postgresql"
    for start in range(0, len(values), VALUES_AT_ONCE):
        some = tuple(values[start : start + VALUES_AT_ONCE])
        text = _find_text(table.name, name, "%s" if on_postgres else "?", len(some))
        known.update(connection.exec_driver_sql(text, some).scalars())
    return known


@cache
def _find_text(table: str, name: str, holder: str, values: int) -> str:
    return f"SELECT {name} FROM {table} WHERE {name} IN ({', '.join([holder] * values)})"  # noqa: S608 - our own names


@cache
def _insert_text(table: str, names: tuple[str, ...], holder: str, rows: int) -> str:
    row = f"({', '.join([holder] * len(names))})"
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES {', '.join([row] * rows)}"  # noqa: S608 - our own names


# Making a statement takes a good part of what a small batch takes; tables are few.
@cache
def _insert_new(dialect: str, table: Table) -> Insert:
    key = [column.name for column in table.primary_key]
    return _insert(dialect, table).on_conflict_do_nothing(index_elements=key)


@cache
def _insert_or_add(dialect: str, table: Table) -> Insert:
    statement = _insert(dialect, table)
    key = [column.name for column in table.primary_key]
    sums = {
        column.name: column + statement.excluded[column.name]
        for column in table.columns
        if column.name not in key
    }
    return statement.on_conflict_do_update(index_elements=key, set_=sums)


def _insert(dialect: str, table: Table) -> "postgresql.Insert | sqlite.Insert":
    if dialect != "postgresql":
        return sqlite.insert(table)
    # SQLAlchemy's part for PostgreSQL is large, and SQLite needs none of it.
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415

    return postgresql.insert(table)
