"""The comparison in tables: medians over the runs, a row for each contestant."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from bench.compare.record import Comparison, Requests, Run, Streams
from bench.race_report import Row

NOTHING = "-"
_KEPT_UP: Final = 0.95
"""Whoever delivers less has fallen behind; then several events come at once, and cost less each."""


_LAST_WORDS: Final = 160
_NEARLY_ALL: Final = 0.9
"""The share of the streams that have to be open for memory to be divided among them."""


def compare_tables(result: Comparison) -> list[list[Row]]:
    """All tables, each with its header first."""
    tables = [
        _request_rows(result),
        _event_rows(result),
        _delay_rows(result),
        _keeping_rows(result),
    ]
    ratios = list(_ratio_rows(result))
    if len(ratios) > 1:
        tables.append(ratios)
    if result.missing:
        rows = [(one.contestant, _in_a_line(one.why)) for one in result.missing]
        tables.append([("left out", "why"), *rows])
    return tables


def names_of(result: Comparison) -> list[str]:
    """The contestants, in the order in which they first came."""
    order = {"gateway": 1, "router": 2, "relay": 3}
    kinds = {run.contestant: order.get(run.kind, 0) for run in result.runs}
    return sorted(kinds, key=lambda name: (not name.startswith("syze"), kinds[name], name))


def request_median(
    result: Comparison, name: str, connections: int, figure: Callable[[Requests], float]
) -> float | None:
    """The median over the runs of a figure of plain requests."""
    return _median(
        figure(one)
        for run in _runs(result, name)
        for one in run.requests
        if one.connections == connections and one.cpu_us
    )


def stream_median(
    result: Comparison, name: str, streams: int, figure: Callable[[Streams], float]
) -> float | None:
    """The median over the runs of a figure of streams."""
    return _median(
        figure(one)
        for run in _runs(result, name)
        for one in run.streams
        if one.streams == streams and one.cpu_us
    )


def bytes_per_stream(result: Comparison, name: str) -> float | None:
    """The memory of a stream: only the first and largest number that a process held can tell it."""
    most = max(result.settings.streams)
    return _median(
        one.bytes_per_stream
        for run in _runs(result, name)
        for one in run.streams
        if one.streams == most and one.open >= _NEARLY_ALL * most
    )


def added_first_p50(result: Comparison, name: str, streams: int) -> float | None:
    """What a contestant adds to the median time to first token, in seconds."""
    return _added(result, name, streams, _first_p50)


def added_first_p99(result: Comparison, name: str, streams: int) -> float | None:
    """What a contestant adds to its 99th percentile, in seconds."""
    return _added(result, name, streams, _first_p99)


def _request_rows(result: Comparison) -> list[Row]:
    counts = result.settings.connections
    header = ("CPU µs per request", "version", *(f"{count} conn." for count in counts), "failed")
    rows: list[Row] = [header]
    for name in names_of(result):
        cells = (
            _number(request_median(result, name, count, lambda one: one.cpu_us)) for count in counts
        )
        failed = sum(one.failed for run in _runs(result, name) for one in run.requests)
        rows.append((name, _runs(result, name)[0].version, *cells, f"{failed:,}"))
    return rows


def _event_rows(result: Comparison) -> list[Row]:
    counts = sorted({one.streams for run in result.runs for one in run.streams})
    rows: list[Row] = [("CPU µs per event", *(f"{count:,} streams" for count in counts), "lost")]
    for name in names_of(result):
        cells = (
            _number(stream_median(result, name, count, lambda one: one.cpu_us), digits=1)
            + _star(stream_median(result, name, count, _delivered))
            for count in counts
        )
        lost = sum(one.lost for run in _runs(result, name) for one in run.streams)
        rows.append((name, *cells, f"{lost:,}"))
    return rows


def _delay_rows(result: Comparison) -> list[Row]:
    counts = result.settings.probed
    header = [f"{share} at {count}" for count in counts for share in ("p50", "p99")]
    transit = [f"transit p50 at {count}" for count in counts]
    rows: list[Row] = [("added to the first token, ms", *header, *transit)]
    for name in names_of(result):
        cells = [
            _milliseconds(figure(result, name, count))
            for count in counts
            for figure in (added_first_p50, added_first_p99)
        ]
        moved = [
            _milliseconds(stream_median(result, name, count, lambda one: one.transit_p50))
            for count in counts
        ]
        if any(cell != NOTHING for cell in cells):
            rows.append((name, *cells, *moved))
    return rows


def _keeping_rows(result: Comparison) -> list[Row]:
    most = max(result.settings.streams)
    rows: list[Row] = [("", "idle MiB", f"KiB per stream ({most:,})", "first answer, s")]
    for name in names_of(result):
        runs = _runs(result, name)
        idle = statistics.median(run.idle_bytes for run in runs)
        grown = bytes_per_stream(result, name)
        each = NOTHING if grown is None else f"{grown / 1024:.1f}"
        first = statistics.median(run.first_answer for run in runs)
        rows.append((name, f"{idle / 2**20:.1f}", each, f"{first:.2f}"))
    return rows


def _ratio_rows(result: Comparison) -> Iterator[Row]:
    """What the special entries are for: TLS beside plain, two workers beside one."""
    yield ("ratio", "requests", "events")
    for name, plain in (("syze-tls", "syze"), ("nginx-tls", "nginx")):
        yield from _ratio(result, f"{name}: cost to {plain}", name, plain, factor=None)
    two = "syze-2-workers"
    yield from _ratio(result, "2 workers: capacity to 1", two, "syze", factor=2.0)


def _ratio(
    result: Comparison, label: str, name: str, plain: str, *, factor: float | None
) -> Iterator[Row]:
    connections, streams = 64, 100
    pairs = [
        (
            request_median(result, name, connections, lambda one: one.cpu_us),
            request_median(result, plain, connections, lambda one: one.cpu_us),
        ),
        (
            stream_median(result, name, streams, lambda one: one.cpu_us),
            stream_median(result, plain, streams, lambda one: one.cpu_us),
        ),
    ]
    cells = []
    for special, usual in pairs:
        if special is None or usual is None:
            cells.append(NOTHING)
        else:
            cells.append(f"{special / usual if factor is None else factor * usual / special:.2f}")
    if any(cell != NOTHING for cell in cells):
        yield (label, *cells)


def _added(
    result: Comparison, name: str, streams: int, figure: Callable[[Streams], float | None]
) -> float | None:
    """What a contestant adds to the upstream's own time."""
    through = _median(
        value
        for run in _runs(result, name)
        for one in run.streams
        if one.streams == streams and (value := figure(one)) is not None
    )
    direct = _median(
        value
        for run in result.direct
        for one in run.streams
        if one.streams == streams and (value := figure(one)) is not None
    )
    return None if through is None or direct is None else through - direct


def _in_a_line(why: str) -> str:
    """The last words of a reason, which mostly say it, fit for a cell of a table."""
    words = " ".join(why.replace("|", "/").split())
    return words if len(words) <= _LAST_WORDS else f"... {words[-_LAST_WORDS:]}"


def _delivered(one: Streams) -> float:
    """Return which share of the events that were ordered came."""
    return one.per_second * one.gap_ms / 1000 / one.streams


def _star(delivered: float | None) -> str:
    return "" if delivered is None or delivered >= _KEPT_UP else "*"


def _first_p50(one: Streams) -> float | None:
    return one.probe.p50 if one.probe is not None and one.probe.count else None


def _first_p99(one: Streams) -> float | None:
    return one.probe.p99 if one.probe is not None and one.probe.count else None


def _runs(result: Comparison, name: str) -> Sequence[Run]:
    return [run for run in result.runs if run.contestant == name]


def _median(values: Iterator[float]) -> float | None:
    found = list(values)
    return statistics.median(found) if found else None


def _number(value: float | None, *, digits: int = 0) -> str:
    return NOTHING if value is None else f"{value:,.{digits}f}"


def _milliseconds(value: float | None) -> str:
    return NOTHING if value is None else f"{1000 * value:,.2f}"
