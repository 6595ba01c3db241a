"""Results for people and for scripts: plain tables, tab-separated ones, and the page of all results.

The page is written anew from the JSON files each time, so the two cannot disagree.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.crosscheck_record import Crosscheck
from bench.crosscheck_report import crosscheck_rows
from bench.flat_record import Flat
from bench.flat_report import flat_rows
from bench.kept import AnyJudged, Result, load_all
from bench.micro_record import Micro
from bench.micro_report import micro_rows
from bench.money_record import Money
from bench.money_report import money_rows
from bench.race_record import Stragglers
from bench.race_report import Row, agreement_rows, noise_rows, straggler_rows
from bench.record import Capacity, Check, Endurance, Figures, Judged, Origin, Point
from bench.workers_record import Workers
from bench.workers_report import worker_rows

PAGE: Final = "README.md"
_INTRODUCTION: Final = """\
# Results

Written by `python -m bench` from the JSON files beside this page, which hold the raw runs too. Figures
from small virtual machines differ from one run to the next; compare what was measured in one run, and take
ratios rather than absolute numbers.
"""
_POINT_HEADER: Final = (
    "work",
    "clients",
    "CPU µs",
    "runs",
    "per second",
    "gateway busy",
    "load busy",
)


def figure_rows(figures: Figures) -> list[Row]:
    """The table of `figures`, the header first."""
    return [
        _POINT_HEADER,
        *(_point_row("request", point) for point in figures.requests),
        *(_point_row("event", point) for point in figures.events),
    ]


def capacity_rows(figures: Figures) -> list[Row]:
    """What the load reaches without the gateway, the header first."""
    header = (
        "work",
        "clients",
        "per second",
        "load CPU µs",
        "provider CPU µs",
        "ceiling per second",
    )
    return [
        header,
        _capacity_row("request", figures.direct_requests),
        _capacity_row("event", figures.direct_events),
    ]


def check_rows(result: Judged) -> list[Row]:
    """The findings of a measurement that is judged, the header first."""
    return found_rows(result.checks)


def found_rows(checks: Sequence[Check]) -> list[Row]:
    """Some findings, the header first."""
    return [
        ("check", "result", "found"),
        *((check.name, _verdict(check), check.detail) for check in checks),
    ]


def endurance_rows(endurance: Endurance) -> list[Row]:
    """What `endurance` measured, the header first."""
    streams, window = endurance.streams, endurance.window
    per_stream = (endurance.peak.rss_bytes - endurance.warmed.memory.rss_bytes) / streams.asked
    busy = {role: f"{window.busy(role):.0%} of a core" for role in window.cpu}
    return [
        ("measured", "value"),
        ("events delivered", f"{streams.events:,}"),
        ("events per second", f"{window.per_second:,.0f}"),
        ("gateway CPU per event, requests included", f"{window.cpu_us_per_unit('gateway'):.0f} µs"),
        ("gateway busy", busy["gateway"]),
        ("load busy", busy["load"]),
        ("provider busy", busy["provider"]),
        ("shortest stream", f"{streams.shortest_seconds:.2f} s"),
        ("median stream", f"{streams.median_seconds:.2f} s"),
        ("longest stream", f"{streams.longest_seconds:.2f} s"),
        ("most memory", f"{endurance.peak.rss_bytes / 2**20:.1f} MiB"),
        ("memory per open stream", f"{per_stream / 1024:.1f} KiB"),
    ]


def judged_tables(result: AnyJudged) -> list[list[Row]]:
    """All tables of a measurement that is judged."""
    match result:
        case Endurance():
            found = [endurance_rows(result)]
        case Stragglers():
            found = [straggler_rows(result), noise_rows(result)]
        case Micro():
            found = [micro_rows(result)]
        case Crosscheck():
            found = [crosscheck_rows(result)]
        case Money():
            found = [money_rows(result)]
        case Flat():
            found = [flat_rows(result)]
        case Workers():
            found = [worker_rows(result)]
        case _:
            found = [agreement_rows(result), noise_rows(result)]
    return [check_rows(result), *found]


def plain_table(rows: Sequence[Row]) -> str:
    """Columns in line: words to the left, figures to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        first, *others = zip(row, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def tab_separated(rows: Sequence[Row]) -> str:
    """One line a row; cells hold no tabs."""
    return "\n".join("\t".join(row) for row in rows)


def markdown_table(rows: Sequence[Row]) -> str:
    """A table of the usual extension of Markdown."""
    header, *body = rows
    marked = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(row) + " |" for row in marked)


def write_page(folder: Path) -> Path:
    """Write the page of all results of a folder and return where it is."""
    path = folder / PAGE
    path.write_text(page(load_all(folder)), encoding="utf-8")
    return path


def page(results: Sequence[Result]) -> str:
    """The page of some results, in the order given."""
    return "\n".join([_INTRODUCTION, *map(_section, results)])


def _section(result: Result) -> str:
    origin = result.origin
    parts = [f"## {origin.name}", *([origin.note] if origin.note else []), provenance(origin)]
    if isinstance(result, Figures):
        parts += [
            markdown_table(figure_rows(result)),
            f"Without any load the gateway kept {result.idle_busy:.1%} of a core busy.",
            "The load generator against the provider itself, without a gateway between:",
            markdown_table(capacity_rows(result)),
        ]
    else:
        verdict = "passed" if result.passed else "FAILED"
        parts.append(f"Verdict: **{verdict}**.")
        parts += map(markdown_table, judged_tables(result))
    parts += ["Method:", "\n".join(f"- {paragraph}" for paragraph in result.method)]
    return "\n\n".join(parts) + "\n"


def provenance(origin: Origin) -> str:
    """Say where a result comes from, in a paragraph."""
    machine = origin.machine
    commit = machine.commit[:12] if machine.commit else "none yet"
    changes = " with uncommitted changes" if machine.commit and machine.uncommitted else ""
    libraries = ", ".join(f"{name} {version}" for name, version in machine.libraries.items())
    return (
        f"Measured {origin.measured_at}, commit {commit}{changes}. {machine.cpu}, {machine.cores} cores, "
        f"{machine.memory_bytes / 2**30:.0f} GiB; {machine.kernel}; {machine.python}; {libraries}."
    )


def _point_row(work: str, point: Point) -> Row:
    return (
        work,
        str(point.clients),
        f"{point.cpu_us:.0f}",
        " ".join(f"{each:.0f}" for each in point.cpu_us_runs),
        f"{point.per_second:.0f}",
        f"{point.gateway_busy:.0%}",
        f"{point.load_busy:.0%}",
    )


def _capacity_row(work: str, capacity: Capacity) -> Row:
    return (
        work,
        str(capacity.clients),
        f"{capacity.per_second:.0f}",
        f"{capacity.load_cpu_us:.0f}",
        f"{capacity.provider_cpu_us:.0f}",
        f"{capacity.ceiling_per_second:.0f}",
    )


def _verdict(check: Check) -> str:
    if check.passed:
        return "yes"
    return "NO" if check.required else "no (reported only)"
