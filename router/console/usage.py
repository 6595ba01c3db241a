"""What was used, by whom and when, for operators and for the owners of keys.

A customer is told what its requests used and cost. What the gateway spent besides, on hedges that lost and
attempts that failed, is the operator's affair, and stands in a report of its own (`costs`).
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Final

from msgspec import Meta

from router.accounts.errors import nearest
from router.console.fields import Listing, Record, Usd
from router.console.operation import Asked
from router.console.stores import Stores
from router.errors import InvalidRequest
from router.ledger.money import format_usd
from router.ledger.usage import By, Scope, UsageRow, usage_report

DIMENSIONS: Final[Mapping[str, By]] = {
    "day": "day",
    "account": "account_id",
    "key": "key_id",
    "model": "model",
}
Dimensions = Annotated[
    str, Meta(description="Any of day, account, key and model, separated by commas")
]


class PeriodQuery(Record, kw_only=True):
    """Which days (UTC), the first and the last included, and what to divide by."""

    since: date | None = None
    until: date | None = None
    by: Dimensions = "day,model"


class UsageQuery(PeriodQuery, kw_only=True):
    """Whose use of which model; accounts and keys by id or name."""

    account: str | None = None
    key: str | None = None
    model: str | None = None


class Identity(Record, omit_defaults=True):
    """What a line is about; it has what was divided by."""

    day: str | None = None
    account_id: str | None = None
    key_id: str | None = None
    model: str | None = None


class UsageLine(Identity, kw_only=True):
    """Requests and what they used. `cost_usd` is by the price list, `charged_usd` was taken from credit.

    `estimated` counts the requests whose tokens no provider told. Means are in seconds.
    """

    requests: int
    errors: int
    estimated: int
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_usd: Usd
    charged_usd: Usd
    mean_seconds: float | None
    mean_first_token_seconds: float | None


class CostLine(Identity, kw_only=True):
    """What the operator bore: `operator_usd` for lost hedges, failed attempts and second readings."""

    requests: int
    operator_usd: Usd
    cost_usd: Usd


class OperatorCosts(Listing[CostLine], kw_only=True):
    """The operator's costs, and its side of the books by account."""

    books: dict[str, Usd]


def show_usage(stores: Stores, asked: Asked[UsageQuery, None]) -> Listing[UsageLine]:
    """Return what was used."""
    query = asked.query
    return Listing(data=usage_lines(stores, scope_of(stores, query), dimensions_of(query.by)))


def show_costs(stores: Stores, asked: Asked[UsageQuery, None]) -> OperatorCosts:
    """Return what was spent besides the customers' answers."""
    query = asked.query
    return operator_costs(stores, scope_of(stores, query), dimensions_of(query.by))


def operator_costs(stores: Stores, scope: Scope, by: Sequence[By]) -> OperatorCosts:
    """Return the operator's costs within `scope`, a line for each combination of `by`, and its books."""
    balances = stores.book.operator_balances()
    books = {account: format_usd(balances[account]) for account in sorted(balances)}
    return OperatorCosts(data=cost_lines(stores, scope, by), books=books)


def usage_lines(stores: Stores, scope: Scope, by: Sequence[By]) -> list[UsageLine]:
    """Return the use within `scope`, a line for each combination of `by`."""
    return [_usage_line(row, by) for row in _rows(stores, scope, by)]


def cost_lines(stores: Stores, scope: Scope, by: Sequence[By]) -> list[CostLine]:
    """Return the operator's costs within `scope`; what cost it nothing is left out."""
    return [
        CostLine(
            **_identity(row, by),
            requests=row.requests,
            operator_usd=format_usd(row.operator_nanodollars),
            cost_usd=format_usd(row.cost_nanodollars),
        )
        for row in _rows(stores, scope, by)
        if row.operator_nanodollars
    ]


def dimensions_of(text: str) -> tuple[By, ...]:
    """Return what to divide by; nothing for an empty text. Raises `InvalidRequest`."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in DIMENSIONS:
            hint = nearest(name, DIMENSIONS) or f"; valid here: {', '.join(DIMENSIONS)}"
            raise InvalidRequest(f"Nothing can be divided by {name[:40]!r}{hint}", param="by")
    return tuple(DIMENSIONS[name] for name in names)


def scope_of(stores: Stores, query: UsageQuery) -> Scope:
    """Return which use is meant. Raises `UnknownAccount`, `UnknownKey`, `AmbiguousKey`."""
    account = None if query.account is None else stores.accounts.find(query.account).id
    key = None if query.key is None else _key_id(stores, query.key)
    return Scope(
        account_id=account,
        key_id=key,
        model=query.model,
        since=None if query.since is None else query.since.isoformat(),
        until=None if query.until is None else query.until.isoformat(),
    )


def _key_id(stores: Stores, selector: str) -> str:
    """Return the id of a key; one that was revoked is named by its id."""
    every = stores.keys.list_keys(include_revoked=True)
    if any(key.id == selector for key in every):
        return selector
    return stores.keys.find(selector).id


def _rows(stores: Stores, scope: Scope, by: Sequence[By]) -> list[UsageRow]:
    with stores.database.reading() as connection:
        return usage_report(connection, scope, by=by)


def _identity(row: UsageRow, by: Sequence[By]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in by}


def _usage_line(row: UsageRow, by: Sequence[By]) -> UsageLine:
    return UsageLine(
        **_identity(row, by),
        requests=row.requests,
        errors=row.errors,
        estimated=row.estimated,
        input_tokens=row.input_tokens,
        cached_tokens=row.cached_tokens,
        cache_write_tokens=row.cache_write_tokens,
        output_tokens=row.output_tokens,
        reasoning_tokens=row.reasoning_tokens,
        cost_usd=format_usd(row.cost_nanodollars),
        charged_usd=format_usd(row.charged_nanodollars),
        mean_seconds=_mean(row.duration_seconds, row.requests),
        mean_first_token_seconds=_mean(row.first_token_seconds, row.first_tokens),
    )


def _mean(total: float, count: int) -> float | None:
    return round(total / count, 6) if count else None
