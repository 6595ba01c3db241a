"""A run in figures: what an operator compares, for people, for scripts and for spreadsheets."""

from collections.abc import Iterator, Sequence

import msgspec

from router.simulation.figures import Figures, percentile


class FirstToken(msgspec.Struct, frozen=True):
    """Percentiles of the time to first token, in seconds; `None` if nothing was answered."""

    p50: float | None
    p90: float | None
    p99: float | None
    p99_9: float | None = msgspec.field(name="p99.9")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Shares are 0 to 1; `cost` is US dollars, stopped attempts counted whole.

    `extra_share`: upstream requests beyond one for each client request. `first_failure` and `last_failure`:
    when the first and the last of the requests arrived that nobody answered, in seconds from the start.
    """

    name: str
    requests: int
    success_share: float
    first_token: FirstToken
    upstream_requests: int
    extra_share: float
    hedges: int
    hedges_won: int
    cost: float
    first_failure: float | None
    last_failure: float | None
    upstream_requests_by_endpoint: dict[str, int]


def report_of(name: str, figures: Figures) -> Report:
    """Sum a run up."""
    ordered = sorted(figures.first_token)
    requests = max(1, figures.requests)
    return Report(
        name=name,
        requests=figures.requests,
        success_share=len(ordered) / requests,
        first_token=FirstToken(*(percentile(ordered, share) for share in (0.5, 0.9, 0.99, 0.999))),
        upstream_requests=figures.attempts,
        extra_share=(figures.attempts - figures.requests) / requests,
        hedges=figures.hedges,
        hedges_won=figures.hedges_won,
        cost=figures.cost,
        first_failure=min(figures.failed_at, default=None),
        last_failure=max(figures.failed_at, default=None),
        upstream_requests_by_endpoint=dict(sorted(figures.attempts_by_endpoint.items())),
    )


def tsv(reports: Sequence[Report]) -> Iterator[str]:
    """Yield a line of names, then a line for each run, without the figures of each endpoint."""
    for number, report in enumerate(reports):
        cells = _cells(report)
        if number == 0:
            yield "\t".join(cells)
        yield "\t".join("" if value is None else str(value) for value in cells.values())


def table(reports: Sequence[Report]) -> Iterator[str]:
    """Yield lines for people: a row for each figure, a column for each run."""
    rows = [_words(report) for report in reports]
    label = max(len(name) for name in rows[0])
    widths = [max(len(text) for text in row.values()) for row in rows]
    for name in rows[0]:
        cells = (f"{row[name]:>{width}}" for row, width in zip(rows, widths, strict=True))
        yield "  ".join([f"{name:<{label}}", *cells]).rstrip()


def _cells(report: Report) -> dict[str, object]:
    facts: dict[str, object] = msgspec.to_builtins(report)
    del facts["upstream_requests_by_endpoint"]
    cells: dict[str, object] = {}
    for name, value in facts.items():
        if isinstance(value, dict):
            cells |= {f"{name}_{part}": number for part, number in value.items()}
        else:
            cells[name] = value
    return cells


def _words(report: Report) -> dict[str, str]:
    times = report.first_token
    failures = "-"
    if report.first_failure is not None and report.last_failure is not None:
        failures = f"{report.first_failure:.1f} to {report.last_failure:.1f} s"
    return {
        "": report.name,
        "requests": f"{report.requests:,}",
        "answered": f"{report.success_share:.4%}",
        "failed ones arrived": failures,
        "first token p50": _seconds(times.p50),
        "first token p90": _seconds(times.p90),
        "first token p99": _seconds(times.p99),
        "first token p99.9": _seconds(times.p99_9),
        "upstream requests": f"{report.upstream_requests:,}",
        "extra upstream load": f"{report.extra_share:+.2%}",
        "hedges": f"{report.hedges:,}",
        "hedges won": f"{report.hedges_won:,}",
        "cost": f"${report.cost:,.2f}",
        **{
            f"  asked {name}": f"{asked:,}"
            for name, asked in report.upstream_requests_by_endpoint.items()
        },
    }


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f} s"
