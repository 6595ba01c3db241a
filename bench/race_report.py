"""Tables of scenarios that were played over sockets, beside what virtual time says about them."""

from collections.abc import Sequence
from typing import Final

from bench.race_record import Agreement, Cell, Compared, Seen, Stragglers

Row = Sequence[str]

_HEADER: Final = (
    "upstreams",
    "run",
    "p50",
    "p90",
    "p99",
    "p99 to no stragglers",
    "in virtual time",
    "extra upstream requests",
)


def straggler_rows(result: Stragglers) -> list[Row]:
    """The three runs of every cell, the header first."""
    return [_HEADER, *(row for cell in result.cells for row in _cell_rows(cell))]


def noise_rows(result: Stragglers | Agreement) -> list[Row]:
    """What the machine and the load had to do with it, the header first."""
    header = ("run", "load late, p99", "gateways busy", "upstreams busy", "load busy")
    if isinstance(result, Agreement):
        return [header, _noise_row("agreement", result)]
    return [
        (*header, "median above its twin", "played again"),
        *(
            (*_noise_row(cell.name, cell), f"{cell.median_off:+.1%}", "yes" if cell.again else "no")
            for cell in result.cells
        ),
    ]


def agreement_rows(result: Agreement) -> list[Row]:
    """Every figure over sockets and in virtual time, the header first."""
    header = ("figure", "over sockets", "in virtual time", "of its runs", "difference")
    return [header, *map(_compared_row, result.compared)]


def _cell_rows(cell: Cell) -> list[Row]:
    sockets, virtual = cell.sockets, cell.virtual
    return [
        (cell.name, "no stragglers", *_times(sockets.steady), "", "", _extra(sockets.steady)),
        (
            cell.name,
            "stragglers, no hedging",
            *_times(sockets.unhedged),
            f"{sockets.unhedged_ratio:.2f}",
            f"{virtual.unhedged_ratio:.2f}",
            _extra(sockets.unhedged),
        ),
        (
            cell.name,
            "stragglers, hedging",
            *_times(sockets.hedged),
            f"{sockets.hedged_ratio:.2f}",
            f"{virtual.hedged_ratio:.2f}",
            _extra(sockets.hedged),
        ),
    ]


def _noise_row(name: str, run: Cell | Agreement) -> Row:
    roles = ("gateway", "upstreams", "load")
    busy = (f"{run.window.busy(role):.0%} of a core" for role in roles)
    return (name, f"{1000 * run.late:.1f} ms", *busy)


def _compared_row(one: Compared) -> Row:
    tell = _seconds if one.name.startswith("p") else _count
    spread = f"{tell(one.least)} to {tell(one.greatest)}"
    return (one.name, tell(one.sockets), tell(one.virtual), spread, f"{one.difference:+.1%}")


def _times(seen: Seen) -> tuple[str, str, str]:
    return _seconds(seen.p50), _seconds(seen.p90), _seconds(seen.p99)


def _extra(seen: Seen) -> str:
    return f"{seen.extra:+.2%}"


def _seconds(value: float) -> str:
    return f"{value:.3f} s"


def _count(value: float) -> str:
    return f"{value:,.0f}"
