"""How amounts, limits and moments are written on the command line, and read.

Money is US dollars there and whole nano-dollars inside; nothing is ever rounded, for a rounded
amount would be another one. Every value that can be taken away is taken away by `none`.
"""

import re
import time
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

import click

from limiter.demand import Limits
from router.accounts.terms import MOST, MOST_NANODOLLARS
from router.cli_frame import given
from router.console.usage import dimensions_of
from router.errors import InvalidRequest
from router.ledger.money import MOST_NANODOLLARS as MOST_AT_ONCE
from router.ledger.usage import By

NANODOLLARS: Final = 10**9
_NONE: Final = "none"
_DURATION: Final = re.compile(r"(\d{1,6})([mhdw])")
_SECONDS: Final = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class LimitParameter(click.ParamType[int | None]):
    """A whole number from 1 on, or `none`."""

    name = "limit"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """Return the number. `none` is None."""
        text = str(value)
        if text == _NONE:
            return None
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST):
            self.fail(f"{text!r} is neither a whole number from 1 on nor 'none'", param, ctx)
        return int(text)


class UsdParameter(click.ParamType[int | None]):
    """US dollars with at most nine decimals, such as `12.50`, or `none`."""

    name = "usd"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """Return nano-dollars. `none` is None."""
        text = str(value)
        if text == _NONE:
            return None
        try:
            return nanodollars_of(text)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class AmountParameter(click.ParamType[int]):
    """US dollars above zero, as many as can be booked at once."""

    name = "usd"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return nano-dollars."""
        try:
            amount = nanodollars_of(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not 0 < amount <= MOST_AT_ONCE:
            most = MOST_AT_ONCE // NANODOLLARS
            self.fail(f"{value} is not above zero and at most {most}", param, ctx)
        return amount


class DayParameter(click.ParamType[date]):
    """A day such as `2030-01-31`."""

    name = "day"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> date:
        """Return the day."""
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no day such as 2030-01-31", param, ctx)


class DimensionsParameter(click.ParamType[tuple[By, ...]]):
    """What to divide use by: `day,model`."""

    name = "list"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[By, ...]:
        """Return the columns to group by."""
        try:
            return dimensions_of(str(value))
        except InvalidRequest as error:
            self.fail(error.message, param, ctx)


class MomentParameter(click.ParamType[float | None]):
    """A duration from now (`90m`, `12h`, `30d`, `4w`), a date or a time in ISO form, or `none`."""

    name = "moment"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        """Return unix seconds. A date is its beginning; without an offset it is UTC."""
        text = str(value)
        if text == _NONE:
            return None
        duration = _DURATION.fullmatch(text)
        if duration is not None:
            return time.time() + int(duration[1]) * _SECONDS[duration[2]]
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{text!r} is none of: 30d, 12h, 2030-01-31, none", param, ctx)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


class SwitchParameter(click.ParamType[bool | None]):
    """`on`, `off`, or `none` for neither."""

    name = "switch"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> bool | None:
        """Return the switch. `none` is None."""
        known = {"on": True, "off": False, _NONE: None}
        if value not in known:
            self.fail(f"{value!r} is neither 'on' nor 'off' nor 'none'", param, ctx)
        return known[str(value)]


LIMIT_OPTIONS: Final = (
    click.option("--rpm", type=LimitParameter(), metavar="N", help="Requests a minute, or 'none'."),
    click.option("--tpm", type=LimitParameter(), metavar="N", help="Tokens a minute, or 'none'."),
    click.option(
        "--concurrency", type=LimitParameter(), metavar="N", help="Requests at once, or 'none'."
    ),
)


def given_limits() -> dict[str, int | None]:
    """Return what the command line says of limits, by the names of the fields of `Limits`."""
    return given({"rpm": "requests", "tpm": "tokens", "concurrency": "concurrency"})


def limit_facts(limits: Limits) -> dict[str, int | None]:
    """Return limits under the names that scripts know."""
    return {
        "requests_per_minute": limits.requests,
        "tokens_per_minute": limits.tokens,
        "concurrency": limits.concurrency,
    }


def nanodollars_of(text: str) -> int:
    """Return an amount of US dollars in nano-dollars. Raises ValueError for what is no exact one."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite() or not 0 <= amount <= MOST_NANODOLLARS // NANODOLLARS:
        raise ValueError(f"{text!r} is no amount of US dollars such as 12.50")
    nanodollars = amount * NANODOLLARS
    if nanodollars != int(nanodollars):
        raise ValueError(
            f"{text!r} has more than nine decimals; nano-dollars are the smallest unit"
        )
    return int(nanodollars)


def usd_text(nanodollars: int) -> str:
    """Return an amount in US dollars, exact, with at least two decimals: `12.50`."""
    sign = "-" if nanodollars < 0 else ""
    whole, rest = divmod(abs(nanodollars), NANODOLLARS)
    decimals = f"{rest:09}".rstrip("0")
    return f"{sign}{whole}.{decimals:0<2}"
