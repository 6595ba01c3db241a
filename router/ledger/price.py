"""The price of a model, in a unit so small that no list price loses a digit.

Lists say US dollars per million tokens. One such dollar is 1,000 nano-dollars a token, and lists go down to
millionths of it, so prices are integers of femto-dollars per token: 10**9 to the dollar per million. That
leaves three digits for a markup. Whatever is finer still is rounded up, by less than a millionth of a
nano-dollar a token.

A price that cannot be right refuses its model (invariant I3): better not served than served for nothing.
"""

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Final

import msgspec

FEMTODOLLARS_PER_NANODOLLAR: Final = 1_000_000
MOST_USD_PER_MTOK: Final = 10_000
"""Above this a price is taken for a slip. The dearest model ever listed costs 600."""

_DIGITS: Final = 9  # 1 USD per Mtok = 10**9 femto-dollars per token
RATES: Final = ("input", "output", "cache_read", "cache_write", "reasoning")

Stated = Mapping[str, float | Decimal | str]
"""US dollars per million tokens by rate, as a list or an operator wrote them."""


class PriceProblem(ValueError):
    """A model cannot be sold: a price is missing, negative, not a number or absurd. Names the model."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"the model {model} has no usable price: {reason}")
        self.model = model
        self.reason = reason


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """Femto-dollars per token. Cached reads and cache writes are part of the input, reasoning of the output.

    Every rate is at least 0; `make_price` is the way to one. What every hold asks for is found out once:
    `dearest_input` is what a token of the prompt costs at most, whatever the provider does with it, and
    `dearest_output` what one of the answer does.
    """

    input: int
    output: int
    cache_read: int
    cache_write: int
    reasoning: int
    dearest_input: int = 0
    dearest_output: int = 0

    def __post_init__(self) -> None:
        """Find out the dearest rates."""
        dearest_input = max(self.input, self.cache_read, self.cache_write)
        msgspec.structs.force_setattr(self, "dearest_input", dearest_input)
        msgspec.structs.force_setattr(self, "dearest_output", max(self.output, self.reasoning))


def make_price(model: str, stated: Stated, *, has_output: bool = True) -> Price:
    """Return the price of `model` from what is stated of it.

    A rate that is not stated costs what its tokens would cost without it: a cached read is input, reasoning
    is output. `has_output` is false for embeddings, which have no output to pay for.

    Raises `PriceProblem` where input or output is missing, or any rate is negative, infinite, not a number,
    above `MOST_USD_PER_MTOK`, or unknown.
    """
    unknown = set(stated) - set(RATES)
    if unknown:
        raise PriceProblem(model, f"{', '.join(sorted(unknown))} is no rate")
    rates = {rate: _femtodollars(model, rate, value) for rate, value in stated.items()}
    if "input" not in rates:
        raise PriceProblem(model, "the input price is missing")
    if not has_output:
        rates["output"] = 0
    if "output" not in rates:
        raise PriceProblem(model, "the output price is missing")
    return Price(
        input=rates["input"],
        output=rates["output"],
        cache_read=rates.get("cache_read", rates["input"]),
        cache_write=rates.get("cache_write", rates["input"]),
        reasoning=rates.get("reasoning", rates["output"]) if has_output else 0,
    )


def marked_up(price: Price, factor: Decimal) -> Price:
    """Return the price times `factor`, each rate rounded up to the unit."""
    return Price(**{rate: _rounded_up(getattr(price, rate) * factor) for rate in RATES})


def check_markup(factor: Decimal) -> Decimal:
    """Return the factor. Raises `ValueError` unless it is a number above 0 and at most 100."""
    # NaN compares as false with everything, so the test is written for it to fail.
    if not (factor.is_finite() and 0 < factor <= 100):
        raise ValueError(f"a markup is a factor above 0 and at most 100, not {factor}")
    return factor


def usd_per_mtok(rate: int) -> Decimal:
    """Return a rate of a `Price` in US dollars per million tokens, exactly."""
    return Decimal(rate).scaleb(-_DIGITS)


def _femtodollars(model: str, rate: str, value: float | Decimal | str) -> int:
    try:
        # By way of its shortest text a float is the decimal that somebody wrote.
        usd_per_mtok = Decimal(str(value))
    except InvalidOperation:
        raise PriceProblem(model, f"the {rate} price is not a number") from None
    if not usd_per_mtok.is_finite():
        raise PriceProblem(model, f"the {rate} price is {usd_per_mtok}")
    if usd_per_mtok < 0:
        raise PriceProblem(model, f"the {rate} price is negative ({usd_per_mtok})")
    if usd_per_mtok > MOST_USD_PER_MTOK:
        most = f"{MOST_USD_PER_MTOK:,} USD per million tokens"
        raise PriceProblem(model, f"the {rate} price, {usd_per_mtok}, is above {most}")
    return _rounded_up(usd_per_mtok.scaleb(_DIGITS))


def _rounded_up(value: Decimal) -> int:
    return int(value.to_integral_value(ROUND_CEILING))
