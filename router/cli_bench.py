"""`syze bench`: load on any server that speaks OpenAI's API, and what came of it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
import trio

from router.process import allow_many_open_files
from router.workers.failure import leaves

if TYPE_CHECKING:
    from router.loadtest.plan import Plan
    from router.loadtest.result import Result
    from router.loadtest.target import Target

_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)
_SECONDS = click.FloatRange(min=0.1, max=86_400)


@click.command()
@click.argument("base_url", metavar="URL")
@click.option("--model", required=True, help="The model to ask for.")
@click.option(
    "--key",
    envvar="OPENAI_API_KEY",
    default="none",
    show_default="$OPENAI_API_KEY",
    help="The API key.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0.01),
    help="Requests a second at random moments, whether or not others are answered (an open loop).",
)
@click.option(
    "--connections",
    type=click.IntRange(1, 100_000),
    help="So many clients, each of which asks again when it has its answer (a closed loop).",
)
@click.option("--stream/--no-stream", "streamed", default=True, help="Ask for streams.")
@click.option(
    "--prompt", default="Which trees grow by the river, and why there?", help="What to ask."
)
@click.option(
    "--max-tokens",
    type=click.IntRange(0),
    default=128,
    help="Length of an answer; 0 says nothing of it.",
)
@click.option("--seconds", type=_SECONDS, default=30.0, help="How long to measure.")
@click.option("--requests", type=click.IntRange(1), help="Measure at most so many requests.")
@click.option(
    "--warm", type=click.FloatRange(0, 3600), default=5.0, help="Seconds of load before that."
)
@click.option(
    "--timeout", type=_SECONDS, default=120.0, help="The longest wait for a whole answer."
)
@click.option("--seed", type=int, default=0, help="Another one gives other random moments.")
@click.option(
    "--pid", type=click.IntRange(1), help="Measure this local process and its children too."
)
@click.option(
    "--stamped",
    is_flag=True,
    help="The server writes the moment of sending into its events: tell their transit.",
)
@click.option(
    "--no-calibration", is_flag=True, help="Do not measure what the load generator can do."
)
@click.option("--json", "json_path", type=_FILE, metavar="FILE", help="Write the result as JSON.")
@click.option("--html", "html_path", type=_FILE, metavar="FILE", help="Write a page with plots.")
@click.option("--tsv", is_flag=True, help="Print tab-separated lines, for scripts.")
def bench(  # noqa: PLR0913 - one parameter an option
    *,
    base_url: str,
    key: str,
    max_tokens: int,
    pid: int | None,
    no_calibration: bool,
    json_path: Path | None,
    html_path: Path | None,
    tsv: bool,
    **chosen: Any,  # noqa: ANN401 - each as its option says
) -> None:
    """Put load on the server at URL (such as http://127.0.0.1:8080/v1) and tell how it answers.

    Streaming comes first: the time to first token, the gaps between events, streams that break. Without
    --rate and --connections, ten requests a second are asked. Real providers want to be paid for what
    they are asked.
    """
    from router.loadtest.plan import Plan  # noqa: PLC0415 - other commands start without it
    from router.loadtest.target import Target  # noqa: PLC0415

    if chosen["rate"] is None and chosen["connections"] is None:
        chosen["rate"] = 10.0
    try:
        plan = Plan(max_tokens=max_tokens or None, **chosen)
        target = Target.of_url(base_url, key=key, model=plan.model)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    result = _measured(plan, target, base_url, pid=pid, calibrate=not no_calibration)
    _tell(result, tsv=tsv)
    if json_path is not None:
        _write(json_path, msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    if html_path is not None:
        from router.loadtest.page import page_of  # noqa: PLC0415

        _write(html_path, page_of(result).encode())
    sys.exit(0 if result.good else 1)


def _measured(
    plan: "Plan", target: "Target", base_url: str, *, pid: int | None, calibrate: bool
) -> "Result":
    """Run the load. What an operator can mend ends the command with one line (exit code 1)."""
    from router.loadtest.ceiling import CalibrationFailed  # noqa: PLC0415
    from router.loadtest.progress import Progress  # noqa: PLC0415
    from router.loadtest.result import NothingMeasured  # noqa: PLC0415
    from router.loadtest.session import measure  # noqa: PLC0415

    allow_many_open_files()
    progress = Progress(sys.stderr)
    failures: list[BaseException] = []
    measured: list[Result] = []

    async def run() -> None:
        measured.append(
            await measure(
                plan, target, base_url=base_url, pid=pid, calibrate=calibrate, show=progress.show
            )
        )

    try:
        trio.run(run)
    except* (NothingMeasured, CalibrationFailed, OSError) as group:
        failures.extend(leaves(group))
    progress.end()
    if failures:
        raise click.ClickException("; ".join(str(failure) for failure in failures))
    return measured[0]


def _tell(result: "Result", *, tsv: bool) -> None:
    """Print the figures, and to a person the warnings."""
    from router.loadtest.table import figure_rows, plain_lines, spread_rows, tsv_lines  # noqa: PLC0415

    if tsv:
        lines = list(tsv_lines(result))
    else:
        lines = [*plain_lines(spread_rows(result)), "", *plain_lines(figure_rows(result))]
    for line in lines:
        click.echo(line)
    for problem, told in result.told.items():
        click.echo(f"{problem}: {told}", err=True)
    for warning in result.warnings:
        click.echo(f"Warning: {warning}", err=True)


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from error
