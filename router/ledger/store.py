"""Where the journals' settlements become entries: one transaction for a batch, exactly once.

Two guards keep a settlement from being booked twice. Each journal file's position is kept in the database
and moves in the same transaction as the batch, so a batch that is brought again finds itself done. And each
request id is booked once, whichever file it comes from. What is booked for them is worked out in `sheet`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, delete, select, update

from router.accounts.database import Database
from router.ledger.posting import enter, lock_balances
from router.ledger.schema import journal_positions, settlements
from router.ledger.settlement import Settlement
from router.ledger.sheet import OPERATOR_SIDE, work_out
from router.ledger.statements import find_known, insert_new, insert_rows
from router.ledger.usage import add_usage

_COLUMNS: Final = tuple(column.name for column in settlements.columns)


class Batch(msgspec.Struct, frozen=True):
    """Settlements of one journal file from byte `start` to byte `end`, each with the byte where it ends."""

    file_id: str
    start: int
    end: int
    records: Sequence[tuple[int, Settlement]]


class Stored(msgspec.Struct, frozen=True):
    """How far the file is booked now, and the balances that this changed, in nano-dollars by account."""

    position: int
    balances: Mapping[str, int]


class SettlementStore:
    """Books settlements. All calls block, and may raise a StoreError; what raised has booked nothing."""

    def __init__(self, database: Database, *, wall_clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._wall_clock = wall_clock

    def apply(self, batch: Batch) -> Stored:
        """Book what of the batch is not booked yet.

        `position` in the answer is the batch's end, or more where the file was booked further than that
        already. It is less than the batch's start if the database knows less of the file than its caller
        thought, after it was restored from a copy, say; then nothing is booked, and the caller brings the
        file again from there.
        """
        try:
            return self._apply(batch, pick=_all)
        except _BookedBefore:
            # It takes a file that was copied back, so nobody looks before it has happened.
            return self._apply(batch, pick=_without_booked)

    def _apply(self, batch: Batch, pick: "_Pick") -> Stored:
        with self._database.writing() as connection:
            done = _locked_position(connection, batch.file_id)
            if done < batch.start or done >= batch.end:
                return Stored(done, {})
            new = [record for end, record in batch.records if end > done]
            changed = _book(connection, new, pick, at=self._wall_clock())
            connection.execute(
                update(journal_positions)
                .where(journal_positions.c.file_id == batch.file_id)
                .values(position=batch.end)
            )
            return Stored(batch.end, changed)

    def position(self, file_id: str) -> int:
        """Return how far a file is booked, in bytes; 0 for one that was never heard of."""
        query = select(journal_positions.c.position).where(journal_positions.c.file_id == file_id)
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one_or_none() or 0

    def forget(self, file_id: str) -> None:
        """Forget a file that is booked to its end and does not exist any more."""
        with self._database.writing() as connection:
            connection.execute(
                delete(journal_positions).where(journal_positions.c.file_id == file_id)
            )

    def forget_settlements(self, *, before_at: float) -> int:
        """Delete the single records of requests that ended before a unix time; return how many.

        The entries and the usage stay. Records must be kept for longer than a journal can be away.
        """
        with self._database.writing() as connection:
            result = connection.execute(delete(settlements).where(settlements.c.at < before_at))
            return result.rowcount


class _BookedBefore(Exception):
    """Some of the settlements that were to be booked are booked."""


_Pick = Callable[[Connection, Sequence[Settlement]], Sequence[Settlement]]


def _all(_: Connection, records: Sequence[Settlement]) -> Sequence[Settlement]:
    return records


def _without_booked(connection: Connection, records: Sequence[Settlement]) -> Sequence[Settlement]:
    by_request = {record.request_id: record for record in records}
    for known in find_known(connection, settlements, "request_id", list(by_request)):
        del by_request[known]
    return list(by_request.values())


def _book(
    connection: Connection, records: Sequence[Settlement], pick: _Pick, *, at: float
) -> dict[str, int]:
    """Book, as of unix time `at`, what is picked; return the balances that this changed.

    Raises `_BookedBefore` if some of that is booked; then the transaction must not be committed.
    """
    if not records:
        return {}
    asked = {record.account_id for record in records if record.billed}
    # The locks come first: what another transaction books meanwhile is seen only after them.
    locked = lock_balances(connection, {*asked, *OPERATOR_SIDE})
    sheet = work_out(pick(connection, records), locked, at=at)
    if insert_rows(connection, settlements, _COLUMNS, sheet.rows, or_leave=True) < len(sheet.rows):
        raise _BookedBefore
    enter(connection, sheet.lines, locked, sheet.balances)
    add_usage(connection, sheet.use)
    return {account: to for account, to in sheet.balances.items() if to != locked[account]}


def _locked_position(connection: Connection, file_id: str) -> int:
    connection.execute(
        insert_new(connection, journal_positions), {"file_id": file_id, "position": 0}
    )
    query = select(journal_positions.c.position).where(journal_positions.c.file_id == file_id)
    position: int = connection.execute(query.with_for_update()).scalar_one()
    return position
