"""The table of what money costs a request."""

import statistics

from bench.money_record import Money, median_more
from bench.race_report import Row


def money_rows(result: Money) -> list[Row]:
    """One row for each pair of windows and one for their medians, the header first."""
    pairs = result.pairs
    medians = (
        statistics.median(pair.with_money_us for pair in pairs),
        statistics.median(pair.without_us for pair in pairs),
        median_more(pairs),
    )
    return [
        ("pair", "with money, CPU µs", "without, CPU µs", "more µs"),
        *(
            _row(str(number), pair.with_money_us, pair.without_us, pair.more_us)
            for number, pair in enumerate(pairs, 1)
        ),
        _row("median", *medians),
    ]


def _row(name: str, with_money: float, without: float, more: float) -> Row:
    return (name, f"{with_money:.1f}", f"{without:.1f}", f"{more:.1f}")
