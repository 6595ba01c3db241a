"""The fields that several answers and bodies share: amounts, moments, limits, lists.

Money is a text of US dollars, because a float could not hold it. In a change, a field that is absent stays
as it is, and `null` takes a thing away.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from limiter.demand import Limits
from router.accounts.terms import MOST
from router.errors import InvalidRequest
from router.ledger.money import MOST_NANODOLLARS, NANODOLLARS_PER_USD, parse_usd

T = TypeVar("T")

Usd = Annotated[
    str,
    Meta(
        pattern=r"^-?[0-9]{1,10}(\.[0-9]{1,9})?$",
        description="US dollars, exact to the nano-dollar",
        examples=["12.50"],
    ),
]
Moment = Annotated[datetime, Meta(tz=True)]
Limit = Annotated[int, Meta(ge=1, le=MOST)]
IdempotencyKey = Annotated[str, Meta(min_length=1, max_length=200)]


class Record(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is sent or answered."""


class Listing(Record, Generic[T], kw_only=True):
    """Several of one kind."""

    object: Literal["list"] = "list"
    data: list[T]


class LimitFields(Record, kw_only=True):
    """Limits; null is none."""

    requests_per_minute: Limit | None = None
    tokens_per_minute: Limit | None = None
    concurrency: Limit | None = None

    def limits(self) -> Limits:
        """Return them as the stores know them."""
        return Limits(
            requests=self.requests_per_minute,
            tokens=self.tokens_per_minute,
            concurrency=self.concurrency,
        )


class LimitChanges(Record, kw_only=True):
    """Changes of limits."""

    requests_per_minute: Limit | UnsetType | None = UNSET
    tokens_per_minute: Limit | UnsetType | None = UNSET
    concurrency: Limit | UnsetType | None = UNSET

    def over(self, limits: Limits) -> Limits:
        """Return the limits with these changes."""
        changes = {
            "requests": self.requests_per_minute,
            "tokens": self.tokens_per_minute,
            "concurrency": self.concurrency,
        }
        return msgspec.structs.replace(limits, **given(changes))


def limit_fields(limits: Limits) -> dict[str, int | None]:
    """Return limits under the names of their fields."""
    return {
        "requests_per_minute": limits.requests,
        "tokens_per_minute": limits.tokens,
        "concurrency": limits.concurrency,
    }


def given(changes: dict[str, Any]) -> dict[str, Any]:
    """Return what of the changes was said."""
    return {name: value for name, value in changes.items() if value is not UNSET}


def moment(at: float) -> datetime:
    """Return unix seconds as a moment in UTC."""
    return datetime.fromtimestamp(at, UTC)


def moment_or_none(at: float | None) -> datetime | None:
    """Return unix seconds as a moment in UTC, `None` for never."""
    return None if at is None else moment(at)


def nanodollars_of(amount: str, *, signed: bool = False) -> int:
    """Return an amount that can be booked. Raises `InvalidRequest`."""
    try:
        nanodollars = parse_usd(amount)
    except ValueError:
        nanodollars = 0
    if nanodollars == 0 or (nanodollars < 0 and not signed) or abs(nanodollars) > MOST_NANODOLLARS:
        most = MOST_NANODOLLARS // NANODOLLARS_PER_USD
        kind = "not zero" if signed else "above zero"
        raise InvalidRequest(
            f"'amount_usd' must be {kind}, and at most {most} US dollars.", param="amount_usd"
        )
    return nanodollars
