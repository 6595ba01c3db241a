"""How lines get into the books: balances are locked, checked and moved in the same transaction.

Every writer locks the balances it will touch before it looks at anything, all of them, in the order of
their names. So two writers never wait for each other in a circle, and what was checked still holds when it
is booked. SQLite has one lock for all and needs no asking; PostgreSQL locks the rows.

Posting is the only thing that writes to `ledger_entries` and `balances`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, select, update

from router.ledger.entry import Draft, Entry, Kind
from router.ledger.errors import KeyReused, Overdraw
from router.ledger.schema import OPERATOR, balances, ledger_entries
from router.ledger.statements import insert_new, insert_rows

ENTRIES: Final = select(*(ledger_entries.c[field] for field in Entry.__struct_fields__))
_COLUMNS: Final = (*Draft.__struct_fields__, "created_at")

# A draft's values in their order, and the unix time as of which it is booked: a row as it goes to the driver.
Line = tuple[str, str, str, int, Kind, str, str | None, float]

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


def enter(
    connection: Connection,
    lines: Sequence[Line],
    locked: Mapping[str, int],
    balances: Mapping[str, int],
) -> None:
    """Book the lines, whose keys are new, which make of the balances that are `locked` these `balances`."""
    insert_rows(connection, ledger_entries, _COLUMNS, lines)
    moved = [
        {"of": account, "to": balances[account]}
        for account in sorted(balances)
        if balances[account] != locked[account]
    ]
    if moved:
        connection.execute(_MOVE, moved)


def post_once(connection: Connection, draft: Draft, *, at: float) -> Entry:
    """Book one line unless its key is in the books already, and return it as it stands there.

    Raises `Overdraw`, and `KeyReused` where the key stands for something else.
    """
    locked = lock_balances(connection, (draft.account, draft.counter_account))
    found = find_entry(connection, draft.key)
    if found is None:
        _post(connection, draft, locked, at=at)
        found = find_entry(connection, draft.key)
        assert found is not None  # noqa: S101 - it was written two lines above
    if Draft(**{field: getattr(found, field) for field in Draft.__struct_fields__}) != draft:
        raise KeyReused(draft.key)
    return found


def _post(connection: Connection, draft: Draft, locked: Mapping[str, int], *, at: float) -> None:
    account, counter_account, amount = draft.account, draft.counter_account, draft.amount
    after = {
        account: locked[account] + amount,
        counter_account: locked[counter_account] - amount,
    }
    for name, balance in after.items():
        if balance < 0 and not name.startswith(OPERATOR):
            raise Overdraw(name, balance=locked[name], asked=locked[name] - balance)
    line = (
        draft.key,
        account,
        counter_account,
        amount,
        draft.kind,
        draft.reference,
        draft.model,
        at,
    )
    enter(connection, [line], locked, after)


def find_entry(connection: Connection, key: str) -> Entry | None:
    """Return the line with this idempotency key."""
    row = connection.execute(ENTRIES.where(ledger_entries.c.key == key)).one_or_none()
    return None if row is None else Entry(**row._asdict())
