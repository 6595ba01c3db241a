"""A result in rows, for people and for scripts that read tab-separated lines."""

from collections.abc import Iterator

from router.loadtest.result import Result, Spread

Row = tuple[str, ...]
_SHARES = ("p50", "p90", "p99", "p99.9", "greatest", "mean")


def spread_rows(result: Result) -> list[Row]:
    """Durations in milliseconds, the header first; what was not measured has no row."""
    kinds = {
        "time to first token": result.first_token,
        "gap between events": result.gap,
        "event transit": result.transit,
        "whole answer": result.latency,
        "load generator late": result.late,
    }
    rows: list[Row] = [("milliseconds", *_SHARES, "of")]
    rows += [_spread_row(name, spread) for name, spread in kinds.items() if spread is not None]
    return rows


def figure_rows(result: Result) -> list[Row]:
    """Everything else that was measured, a row each."""
    return [("measured", "value"), *_counts(result), *_costs(result)]


def tsv_lines(result: Result) -> Iterator[str]:
    """Yield `name TAB value` lines in plain numbers: seconds, counts, microseconds, bytes."""
    for name, spread in (
        ("first_token", result.first_token),
        ("gap", result.gap),
        ("transit", result.transit),
        ("latency", result.latency),
        ("late", result.late),
    ):
        if spread is not None:
            for share, value in zip(_SHARES, _values(spread), strict=True):
                yield f"{name}_{share}_seconds\t{value:.6f}"
    yield f"requests\t{result.requests}"
    yield f"good\t{result.good}"
    yield f"incomplete\t{result.incomplete}"
    for problem, times in result.problems.items():
        yield f"problem {problem}\t{times}"
    yield f"requests_per_second\t{result.requests_per_second:.3f}"
    yield f"events_per_second\t{result.events_per_second:.3f}"
    yield f"load_busy\t{result.load_busy:.4f}"
    if result.server is not None:
        yield f"server_cpu_us_per_request\t{_or_empty(result.server.cpu_us_per_request)}"
        yield f"server_cpu_us_per_event\t{_or_empty(result.server.cpu_us_per_event)}"
        yield f"server_bytes_per_open\t{_or_empty(result.server.bytes_per_open)}"


def plain_lines(rows: list[Row]) -> Iterator[str]:
    """Yield columns in line: words to the left, figures to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        first, *others = zip(row, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        yield "  ".join(cells).rstrip()


def _counts(result: Result) -> Iterator[Row]:
    yield "requests measured", f"{result.requests:,}"
    yield "answered whole", f"{result.good:,}"
    if result.plan.streamed:
        yield "streams without [DONE]", f"{result.incomplete:,}"
    for problem, times in result.problems.items():
        yield f"failed: {problem}", f"{times:,}"
    yield "window", f"{result.seconds:.1f} s"
    yield "answers a second", f"{result.requests_per_second:,.1f}"
    if result.plan.streamed:
        yield "events a second", f"{result.events_per_second:,.1f}"
    yield "most answers under way", f"{result.most_open:,}"


def _costs(result: Result) -> Iterator[Row]:
    server = result.server
    if server is not None:
        yield "server CPU", f"{server.cpu_seconds / result.seconds:.0%} of a core"
        if server.cpu_us_per_request is not None:
            yield "server CPU per request", f"{server.cpu_us_per_request:,.0f} µs"
        if server.cpu_us_per_event is not None:
            yield "server CPU per event", f"{server.cpu_us_per_event:,.1f} µs"
        yield "server memory before", f"{server.idle_bytes / 2**20:.1f} MiB"
        if server.bytes_per_open is not None:
            yield (
                f"per answer under way ({server.most_open:,})",
                f"{server.bytes_per_open / 1024:.1f} KiB",
            )
    yield "load generator busy", f"{result.load_busy:.0%} of a core"
    if result.ceiling is not None:
        yield "it could ask at most", f"{result.ceiling.requests_per_second:,.0f} requests/s"
        yield "or read at most", f"{result.ceiling.events_per_second:,.0f} events/s"


def _spread_row(name: str, spread: Spread) -> Row:
    return (name, *(f"{1000 * value:,.2f}" for value in _values(spread)), f"{spread.count:,}")


def _values(spread: Spread) -> tuple[float, ...]:
    return (spread.p50, spread.p90, spread.p99, spread.p99_9, spread.greatest, spread.mean)


def _or_empty(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
