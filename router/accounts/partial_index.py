"""The index that not every row stands in: an open account has its name alone, a closed one's is free again.

The two database systems spell that each in its own way, and SQLAlchemy loads all it has for a system as soon
as one word of its language is used. So this part of the layout stands apart: only who compares the code's
picture of the database with a database needs it, and a gateway on SQLite does without PostgreSQL's drivers.
"""

from sqlalchemy import Index

from router.accounts.schema import accounts

Index(
    "uq_accounts_open_name",
    accounts.c.name,
    unique=True,
    sqlite_where=accounts.c.closed_at.is_(None),
    postgresql_where=accounts.c.closed_at.is_(None),
)
