"""A crosscheck as a table."""

from bench.crosscheck_record import Crosscheck, Reading
from bench.race_report import Row


def crosscheck_rows(result: Crosscheck) -> list[Row]:
    """A row for each turn, and the medians; the header first."""
    rows: list[Row] = [("load generator", "answers a second", "p50", "p99", "server CPU µs")]
    for name, turns in (("ours", result.ours), (f"wrk {result.wrk}", result.theirs)):
        rows += [_row(name, turn) for turn in turns]
        rows.append(_row(f"{name}, median", Reading.median(turns)))
    return rows


def _row(name: str, turn: Reading) -> Row:
    return (
        name,
        f"{turn.per_second:,.0f}",
        f"{1000 * turn.p50:.2f} ms",
        f"{1000 * turn.p99:.2f} ms",
        f"{turn.cpu_us:.0f}",
    )
