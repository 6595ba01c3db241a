"""Which layout a database has, and whether it is the one that this version of the program knows.

Every start asks, and finds nothing to do nearly every time. So the question is two reads of our own; the
tool that migrates, a sixth of the memory of an idle process, is only loaded where there is work for it.
"""

from typing import Final

from sqlalchemy import Connection, inspect, text

NEWEST_LAYOUT: Final = "0003"
_VERSIONS: Final = "alembic_version"
_LAYOUT: Final = text(f"SELECT version_num FROM {_VERSIONS}")  # noqa: S608 - a name of our own


def layout_of(connection: Connection) -> str | None:
    """Return the name of the newest migration that was applied, `None` for a database without any."""
    if not inspect(connection).has_table(_VERSIONS):
        return None
    layout: str | None = connection.execute(_LAYOUT).scalar_one_or_none()
    return layout
