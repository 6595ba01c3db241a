"""The table of what reservations cost, ours above and the others beside it as ratios."""

from bench.micro_record import Cost, Micro
from bench.race_report import Row

_HEADER = (
    "what",
    "keys",
    "asked for",
    "CPU µs",
    "least µs",
    "to this limiter's",
    "first µs",
    "shared bytes a key",
    "private bytes a key",
)


def micro_rows(result: Micro) -> list[Row]:
    """One row for each contestant and number of keys, the header first."""
    first = result.costs[0].contestant
    own = {(cost.keys, cost.chosen): cost for cost in result.costs if cost.contestant == first}
    return [_HEADER, *(_row(cost, own[cost.keys, cost.chosen]) for cost in result.costs)]


def _row(cost: Cost, own: Cost) -> Row:
    return (
        cost.contestant,
        f"{cost.keys:,}",
        cost.chosen,
        f"{cost.median_us:.1f}",
        f"{cost.least_us:.1f}",
        f"{cost.median_us / own.median_us:.2f}",
        f"{cost.first_us:.1f}",
        f"{cost.shared_bytes:,.0f}",
        f"{cost.private_bytes:,.0f}",
    )
