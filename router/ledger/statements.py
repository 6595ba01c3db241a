"""Statements that both database systems know and SQLAlchemy spells by system, and one that has to be quick.

Every request becomes a row or two. SQLAlchemy takes longer to prepare a row for `executemany` than SQLite to
write it, so those rows go to the driver as they are.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, Insert, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_new(connection: Connection, table: Table) -> Insert:
    """Return an insert into `table` that leaves a row alone whose primary key exists."""
    key = [column.name for column in table.primary_key]
    return _insert(connection, table).on_conflict_do_nothing(index_elements=key)


def insert_or_add(connection: Connection, table: Table) -> Insert:
    """Return an insert into `table` that adds to every other column of a row whose primary key exists."""
    statement = _insert(connection, table)
    key = [column.name for column in table.primary_key]
    sums = {
        column.name: column + statement.excluded[column.name]
        for column in table.columns
        if column.name not in key
    }
    return statement.on_conflict_do_update(index_elements=key, set_=sums)


def insert_rows(
    connection: Connection, table: Table, names: Sequence[str], rows: Sequence[tuple[object, ...]]
) -> None:
    """Insert rows, given as the values of the columns `names`, of types that both drivers know."""
    holder = "%s" if connection.dialect.name == "postgresql" else "?"
    columns, holders = ", ".join(names), ", ".join([holder] * len(names))
    connection.exec_driver_sql(
        f"INSERT INTO {table.name} ({columns}) VALUES ({holders})",  # noqa: S608 - our own names
        list(rows),
    )


def _insert(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
