"""A result as one HTML file that needs nothing else: no script, no font, no picture from elsewhere."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

import msgspec

from router.loadtest.plots import Curve, Point, bar_plot, percentile_plot, time_plot
from router.loadtest.result import Result, Spread
from router.loadtest.table import Row, figure_rows, spread_rows

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left }
.warning { background: #fff4e5; border-left: 4px solid #c2410c; padding: .5rem 1rem; margin: .5rem 0 }
svg { width: 100%; height: auto } pre { overflow-x: auto; background: #f6f6f6; padding: 1rem }
"""


def page_of(result: Result) -> str:
    """Write the whole page."""
    plan = result.plan
    load = (
        f"{plan.rate:g} requests a second, at random moments"
        if plan.rate is not None
        else f"{plan.connections} connections in a closed loop"
    )
    kind = "streams" if plan.streamed else "answers in one piece"
    parts = [
        f"<h1>{escape(plan.model)}</h1>",
        f"<p>{escape(result.base_url)}, {escape(result.measured_at)}: {load}, {kind}.</p>",
        *(f'<p class="warning">{escape(warning)}</p>' for warning in result.warnings),
        _table(spread_rows(result)),
        *_pictures(result),
        "<h2>Counts and costs</h2>",
        _table(figure_rows(result)),
        *_problems(result),
        "<h2>How it was measured</h2>",
        *(f"<p>{escape(text)}</p>" for text in _method(result)),
        f"<pre>{escape(msgspec.json.format(msgspec.json.encode(plan), indent=1).decode())}</pre>",
    ]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>Load on {escape(plan.model)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _pictures(result: Result) -> Iterator[str]:
    curves: list[Curve] = [
        (name, _drawn(spread))
        for name, spread in (
            ("time to first token", result.first_token),
            ("gap between events", result.gap),
            ("event transit", result.transit),
            ("whole answer", result.latency),
        )
        if spread is not None
    ]
    if curves:
        yield "<h2>Within how long</h2>"
        yield percentile_plot(curves)
    width = min(
        (b.at - a.at for a, b in zip(result.stretches, result.stretches[1:], strict=False)),
        default=1.0,
    )
    lines: list[Curve] = [
        (
            "half waited at most",
            [(one.at, one.p50) for one in result.stretches if one.p50 is not None],
        ),
        ("99 in 100", [(one.at, one.p99) for one in result.stretches if one.p99 is not None]),
    ]
    if any(points for _, points in lines):
        what = "Time to first token" if result.plan.streamed else "Time to the answer"
        yield f"<h2>{what}, over the run</h2>"
        yield time_plot(lines, seconds=result.seconds)
    yield "<h2>Requests, and those that failed</h2>"
    yield bar_plot([(one.at, one.requests, one.problems) for one in result.stretches], width=width)


def _drawn(spread: Spread) -> list[Point]:
    """Place the greatest of all as far out as one of so many can stand, for 100 % has no place."""
    furthest = 1.0 - 0.5 / spread.count
    points = [(min(share, furthest), seconds) for share, seconds in spread.curve]
    return [(0.0, points[0][1]), *points]


def _problems(result: Result) -> Iterator[str]:
    if result.told:
        yield "<h2>An example of each failure</h2>"
        yield _table([("failure", "seen"), *result.told.items()])


def _method(result: Result) -> Iterator[str]:
    plan, machine, ceiling = result.plan, result.machine, result.ceiling
    yield (
        f"{plan.warm:g} s of load came first and are not measured. All times count from the moment at "
        "which a request was due, not from when it could be sent, so a load that runs late does not flatter "
        "the server."
    )
    yield (
        "A gap lies between two events of one stream; events that arrive together have none between them. "
        "A stream counts as whole when [DONE] has come and the body has ended."
    )
    if ceiling is not None:
        yield (
            "The load generator is one process. Against a responder that does nothing it takes "
            f"{ceiling.request_us:.0f} µs of CPU for a request and {ceiling.event_us:.1f} µs for an event, "
            f"so it can ask at most {ceiling.requests_per_second:,.0f} requests or read "
            f"{ceiling.events_per_second:,.0f} events a second here."
        )
    if result.server is not None:
        yield (
            "The server's CPU time is that of its processes, by their own clocks, in the measured window. "
            "Memory is PSS (/proc/PID/smaps_rollup): a page shared by several processes counts in parts."
        )
    yield f"Load generator: {machine.cpu}; {machine.kernel}; {machine.python}."


def _table(rows: Sequence[Row]) -> str:
    head, *body = rows
    lines = ["<table>", _line(head, "th"), *(_line(row, "td") for row in body), "</table>"]
    return "\n".join(lines)


def _line(row: Row, tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row) + "</tr>"
