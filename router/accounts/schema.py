"""The tables, as today's code sees them. How they came to be is told by the migrations.

`changes` exists for the watchers. Every worker asks twice a second whether anything moved, so the
question must be tiny: one counter a topic, raised in the same transaction as the change it
announces.
"""

from typing import Final

from sqlalchemy import Column, Double, Integer, LargeBinary, MetaData, String, Table

KEYS_TOPIC: Final = "keys"
MAX_NAME_LENGTH: Final = 100

# Constraints get names by rule, for only a named one can be altered by a later migration.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(MAX_NAME_LENGTH), nullable=False, index=True),
    Column("hint", String(32), nullable=False),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
    Column("revoked_at", Double, nullable=True),
)

changes = Table(
    "changes",
    metadata,
    Column("topic", String(32), primary_key=True),
    Column("revision", Integer, nullable=False),
)
