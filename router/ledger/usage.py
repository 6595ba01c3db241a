"""Use by account, key, model and day: small enough to be kept for ever, and exact.

A row is a sum. It grows in the same transaction as the entries that it sums up, so the two cannot disagree.
Days are those of UTC. `cost` is what the requests cost by the price list, `charged` what was taken from
credit: less for accounts that are not prepaid, and where the credit ended. Averages are for the reader to
make: the sums of seconds are there with their counts, and can be added up further.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, func, select

from router.ledger.schema import usage_days
from router.ledger.settlement import Settlement
from router.ledger.statements import insert_or_add

By = Literal["day", "account_id", "key_id", "model"]
_IDENTITY: Final = ("day", "account_id", "key_id", "model")
DAY_SECONDS: Final = 86_400

# Whose sums a settlement adds to: the day's number since 1970, account, key and model.
Identity = tuple[int, str, str, str]


class Figures(msgspec.Struct, kw_only=True):
    """Sums over some requests. Times are seconds; `first_tokens` is how many of them had a first token."""

    requests: int = 0
    errors: int = 0
    estimated: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nanodollars: int = 0
    charged_nanodollars: int = 0
    operator_nanodollars: int = 0
    duration_seconds: float = 0.0
    first_tokens: int = 0
    first_token_seconds: float = 0.0


_KINDS: Final[Mapping[str, type[int] | type[float]]] = {
    field.name: float if field.name.endswith("_seconds") else int
    for field in msgspec.structs.fields(Figures)
}


class UsageRow(Figures, kw_only=True):
    """One line of a report: the figures, and what they are summed by; `None` where that is everything."""

    day: str | None = None
    account_id: str | None = None
    key_id: str | None = None
    model: str | None = None


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Which use is meant; `None` for any. Days are `YYYY-MM-DD`, and both are part of it."""

    account_id: str | None = None
    key_id: str | None = None
    model: str | None = None
    since: str | None = None
    until: str | None = None


def day_of(at: float) -> str:
    """Return the day of a unix time in UTC, as `YYYY-MM-DD`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def add_usage(
    connection: Connection, use: Mapping[Identity, Sequence[tuple[Settlement, int]]]
) -> None:
    """Add settlements, each with what is really charged for it, to the rows that they belong to."""
    # In order, as always, so that two writers cannot wait for each other in a circle.
    rows = [
        msgspec.structs.asdict(_sum_of(use[identity]))
        | dict(zip(_IDENTITY, (day_of(identity[0] * DAY_SECONDS), *identity[1:]), strict=True))
        for identity in sorted(use)
    ]
    if rows:
        connection.execute(insert_or_add(connection, usage_days), rows)


def usage_report(connection: Connection, scope: Scope, *, by: Sequence[By] = ()) -> list[UsageRow]:
    """Return the use within `scope`, one row for each combination of what it is divided `by`, in its order.

    With an empty `by` it is one row, of zeros where nothing was used.
    """
    columns = usage_days.c
    sums = [
        func.coalesce(func.sum(columns[name]), 0).label(name) for name in Figures.__struct_fields__
    ]
    query = select(*(columns[name] for name in by), *sums)
    for name in ("account_id", "key_id", "model"):
        wanted = getattr(scope, name)
        if wanted is not None:
            query = query.where(columns[name] == wanted)
    if scope.since is not None:
        query = query.where(columns.day >= scope.since)
    if scope.until is not None:
        query = query.where(columns.day <= scope.until)
    if by:
        names = [columns[name] for name in by]
        query = query.group_by(*names).order_by(*names)
    return [UsageRow(**_plain(row._asdict())) for row in connection.execute(query)]


def _sum_of(settled: Sequence[tuple[Settlement, int]]) -> Figures:
    ones = [settlement for settlement, _ in settled]
    tokens = [one.tokens for one in ones]
    first = [one.first_token for one in ones if one.first_token is not None]
    return Figures(
        requests=sum([one.requests for one in ones]),
        errors=sum([one.requests for one in ones if one.outcome == "upstream_failed"]),
        estimated=sum([one.estimated for one in ones]),
        input_tokens=sum([one.input for one in tokens]),
        cached_tokens=sum([one.cached for one in tokens]),
        cache_write_tokens=sum([one.cache_write for one in tokens]),
        output_tokens=sum([one.output for one in tokens]),
        reasoning_tokens=sum([one.reasoning for one in tokens]),
        cost_nanodollars=sum([one.charge_nanodollars for one in ones]),
        charged_nanodollars=sum([charged for _, charged in settled]),
        operator_nanodollars=sum([one.operator_nanodollars for one in ones]),
        duration_seconds=sum([one.duration for one in ones]),
        first_tokens=len(first),
        first_token_seconds=sum(first),
    )


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Turn PostgreSQL's sums, which are decimals, into what was summed."""
    return {
        name: kind(value) if (kind := _KINDS.get(name)) else value for name, value in row.items()
    }
