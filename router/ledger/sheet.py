"""What a batch of settlements comes to in the books, worked out before any of it is written.

A charge takes what the account has and not more: no balance goes below zero (invariant I3). What is missing
then was held by nobody, which means that credit was taken away while a request ran on it, or that its
estimate was too low. It is the operator's loss, so that it can be seen.

Every request comes by here, hundreds at a time, in a thread that competes with those which are being served.
So it is one loop, and what it leaves are rows as they go to the driver. Nothing is checked again that a
settlement has checked of itself.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from router.ledger.entry import ATTEMPTS, LOSSES, PROVIDERS, REVENUE
from router.ledger.posting import Line
from router.ledger.settlement import Settlement
from router.ledger.usage import DAY_SECONDS, Identity

OPERATOR_SIDE: Final = (ATTEMPTS, LOSSES, PROVIDERS, REVENUE)


class Sheet(msgspec.Struct, frozen=True):
    """What is to be written. `rows` are the settlements, as the values of their table's columns.

    `balances` are those of all accounts afterwards. `use` has the settlements of each row of the usage, each
    with what is charged for it.
    """

    rows: list[tuple[object, ...]]
    lines: list[Line]
    balances: dict[str, int]
    use: dict[Identity, list[tuple[Settlement, int]]]


def work_out(records: Iterable[Settlement], locked: Mapping[str, int], *, at: float) -> Sheet:
    """Return what settlements come to whose accounts, and the operator's, have the balances `locked`.

    Their lines are booked as of unix time `at`. A charge takes what those before it have left.
    """
    balances = dict(locked)
    rows: list[tuple[object, ...]] = []
    lines: list[Line] = []
    use: dict[Identity, list[tuple[Settlement, int]]] = {}
    revenue = lost = spent = 0
    for one in records:
        request_id, account, model = one.request_id, one.account_id, one.model
        cost, own, charged = one.charge_nanodollars, one.operator_nanodollars, 0
        if cost and one.billed:
            left = balances[account]
            charged = min(cost, left)
            revenue += cost
            if charged:
                balances[account] = left - charged
                key = f"charge:{request_id}"
                lines.append((key, account, REVENUE, -charged, "charge", request_id, model, at))
            if charged < cost:
                lost += cost - charged
                key = f"loss:{request_id}"
                lines.append(
                    (key, LOSSES, REVENUE, charged - cost, "operator_cost", request_id, model, at)
                )
        if own:
            spent += own
            key = f"attempts:{request_id}"
            lines.append((key, ATTEMPTS, PROVIDERS, -own, "operator_cost", request_id, model, at))
        rows.append(
            (
                request_id,
                account,
                one.key_id,
                model,
                one.provider,
                one.at,
                *msgspec.structs.astuple(one.tokens),
                cost,
                charged,
                own,
                one.outcome,
                one.estimated,
            )
        )
        identity = (int(one.at // DAY_SECONDS), account, one.key_id, model)
        same = use.get(identity)
        if same is None:
            use[identity] = [(one, charged)]
        else:
            same.append((one, charged))
    balances[REVENUE] += revenue
    balances[LOSSES] -= lost
    balances[ATTEMPTS] -= spent
    balances[PROVIDERS] += spent
    return Sheet(rows, lines, balances, use)
