"""The one unit of money, and the only two places where it turns into text and back.

Money is an integer number of nano-dollars everywhere (invariant I3). A float cannot hold a tenth of a cent,
and sums of floats depend on their order; an integer is neither rounded nor reordered by accident. A single
movement is at most a million dollars, and a sum may reach nine billion: what a database's integers hold.
"""

import re
from decimal import Decimal
from typing import Final

NANODOLLARS_PER_USD: Final = 1_000_000_000
MOST_NANODOLLARS: Final = 1_000_000 * NANODOLLARS_PER_USD
"""The largest single movement: a million dollars. More is a slip of the keyboard, or an attack."""

_AMOUNT: Final = re.compile(r"-?\d{1,10}(\.\d{1,9})?", re.ASCII)


def parse_usd(text: str) -> int:
    """Return an amount such as `12.50` in nano-dollars, exactly.

    Raises `ValueError` for anything but a plain decimal number of at most nine places after the point.
    """
    if not _AMOUNT.fullmatch(text):
        raise ValueError(f"not an amount of dollars: {text[:40]!r}")
    return int(Decimal(text).scaleb(9))


def format_usd(nanodollars: int) -> str:
    """Return an amount in dollars, exactly, with two places after the point or as many as it takes."""
    whole, rest = divmod(abs(nanodollars), NANODOLLARS_PER_USD)
    sign = "-" if nanodollars < 0 else ""
    return f"{sign}{whole}.{f'{rest:09}'.rstrip('0'):0<2}"
