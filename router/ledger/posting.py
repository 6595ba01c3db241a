"""How lines get into the books: balances are locked, checked and moved in the same transaction.

Every writer locks the balances it will touch before it looks at anything, all of them, in the order of
their names. So two writers never wait for each other in a circle, and what was checked still holds when it
is booked. SQLite has one lock for all and needs no asking; PostgreSQL locks the rows.

Posting is the only thing that writes to `ledger_entries` and `balances`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, bindparam, select, update

from router.ledger.entry import Draft, Entry
from router.ledger.errors import KeyReused, Overdraw
from router.ledger.schema import OPERATOR, balances, ledger_entries
from router.ledger.statements import insert_new, insert_rows

ENTRIES: Final = select(*(ledger_entries.c[field] for field in Entry.__struct_fields__))
_COLUMNS: Final = (*Draft.__struct_fields__, "created_at")
_MOVE: Final = (
    update(balances).where(balances.c.account == bindparam("of")).values(amount=bindparam("to"))
)


def lock_balances(connection: Connection, accounts: Iterable[str]) -> dict[str, int]:
    """Return the balances of the accounts, which nobody else changes until the transaction ends."""
    names = sorted(set(accounts))
    if not names:
        return {}
    connection.execute(
        insert_new(connection, balances), [{"account": name, "amount": 0} for name in names]
    )
    query = (
        select(balances.c.account, balances.c.amount)
        .where(balances.c.account.in_(names))
        .order_by(balances.c.account)
        .with_for_update()
    )
    return {row.account: row.amount for row in connection.execute(query)}


def post(
    connection: Connection, drafts: Sequence[Draft], locked: dict[str, int], *, at: float
) -> None:
    """Book the lines, whose keys are new and whose accounts are all in `locked`, as of unix time `at`.

    Raises `Overdraw` if a customer's balance would be below zero after all of them.
    """
    if not drafts:
        return
    moved = Counter[str]()
    for draft in drafts:
        moved[draft.account] += draft.amount
        moved[draft.counter_account] -= draft.amount
    for account, amount in moved.items():
        if locked[account] + amount < 0 and not account.startswith(OPERATOR):
            raise Overdraw(account, balance=locked[account], asked=-amount)
    rows = [(*msgspec.structs.astuple(draft), at) for draft in drafts]
    insert_rows(connection, ledger_entries, _COLUMNS, rows)
    connection.execute(
        _MOVE,
        [{"of": account, "to": locked[account] + moved[account]} for account in sorted(moved)],
    )


def post_once(connection: Connection, draft: Draft, *, at: float) -> Entry:
    """Book one line unless its key is in the books already, and return it as it stands there.

    Raises `Overdraw`, and `KeyReused` where the key stands for something else.
    """
    locked = lock_balances(connection, (draft.account, draft.counter_account))
    found = find_entry(connection, draft.key)
    if found is None:
        post(connection, [draft], locked, at=at)
        found = find_entry(connection, draft.key)
        assert found is not None  # noqa: S101 - it was written two lines above
    if Draft(**{field: getattr(found, field) for field in Draft.__struct_fields__}) != draft:
        raise KeyReused(draft.key)
    return found


def find_entry(connection: Connection, key: str) -> Entry | None:
    """Return the line with this idempotency key."""
    row = connection.execute(ENTRIES.where(ledger_entries.c.key == key)).one_or_none()
    return None if row is None else Entry(**row._asdict())
