"""The command line: `python -m bench figures`, `endurance`, `stragglers`, `agreement`, `micro`, `money`,
`flat`, `workers`, `crosscheck` and `compare`.

Tables go to standard output, progress to standard error. Exit codes: 0 measured and passed, 1 failed
or could not be measured, 2 the command line is wrong.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
import trio

from bench.agreement import SCENARIO, measure_agreement
from bench.compare.command import compare
from bench.crosscheck import measure_crosscheck
from bench.crosscheck_record import CrosscheckSettings
from bench.endurance import measure_endurance
from bench.figures import measure_figures
from bench.flat import measure_flat
from bench.flat_record import FlatSettings
from bench.kept import AnyJudged, Result, save
from bench.micro import measure_micro
from bench.micro_record import MicroSettings
from bench.money import measure_money
from bench.money_record import MoneySettings
from bench.processes import StandFailed
from bench.race_record import AgreementSettings, StragglerSettings
from bench.race_report import Row
from bench.record import EnduranceSettings, FigureSettings
from bench.report import (
    capacity_rows,
    figure_rows,
    judged_tables,
    plain_table,
    tab_separated,
    write_page,
)
from bench.stragglers import measure_stragglers
from bench.windows import LoadFailed, WindowSettings
from bench.workers import measure_workers
from bench.workers_record import WorkersSettings
from router.config import ConfigError
from router.loadtest.exchange import WrongAnswer
from router.loadtest.progress import Progress
from router.loadtest.response import BadResponse

RESULTS: Final = Path(__file__).resolve().parent / "results"
_EXPECTED: Final = (
    StandFailed,
    LoadFailed,
    WrongAnswer,
    BadResponse,
    ConfigError,
    OSError,
    trio.BrokenResourceError,
    trio.TooSlowError,
)
Command = Callable[..., None]


class Numbers(click.ParamType[tuple[int, ...]]):
    """Positive whole numbers with commas between."""

    name = "N,N,..."

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Read the text; fails with a usage error."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of whole numbers", param, ctx)
        if min(numbers) < 1 or len(set(numbers)) != len(numbers):
            self.fail("the numbers have to be positive and different", param, ctx)
        return numbers


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    invoke_without_command=True,
)
@click.pass_context
def main(context: click.Context) -> None:
    """Measure the gateway: real processes on loopback, costs as the operating system counts them."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def output_options(default_name: str) -> Callable[[Command], Command]:
    """Add the options that every measurement has."""

    def add(command: Command) -> Command:
        for option in (
            click.option("--tsv", is_flag=True, help="Tab-separated tables, for scripts."),
            click.option(
                "--output",
                type=click.Path(file_okay=False, path_type=Path),
                default=RESULTS,
                show_default="bench/results",
                help="Folder for the JSON file and the page of results.",
            ),
            click.option("--note", default="", help="A sentence kept with the result."),
            click.option("--name", default=default_name, help="Name of the result and its file."),
        ):
            command = option(command)
        return command

    return add


SECONDS: Final = click.FloatRange(min=0.1, max=3600)
REST: Final = click.FloatRange(min=0, max=3600)


def window_options(settings: WindowSettings) -> Callable[[Command], Command]:
    """Add the options of windows of steady load, as `settings` have them where nothing else is said."""

    def add(command: Command) -> Command:
        for option in (
            click.option("--tokens", type=click.IntRange(1, 10_000), default=settings.tokens),
            click.option(
                "--warm", type=REST, default=settings.warm, help="Seconds of load before a window."
            ),
            click.option(
                "--seconds", type=SECONDS, default=settings.seconds, help="Length of each window."
            ),
        ):
            command = option(command)
        return command

    return add


_F: Final = FigureSettings()
_E: Final = EnduranceSettings()
_S: Final = StragglerSettings()
_A: Final = AgreementSettings()
_M: Final = MicroSettings()
_P: Final = MoneySettings()
_L: Final = FlatSettings()
_C: Final = CrosscheckSettings()
_W: Final = WorkersSettings()


@main.command()
@click.option("--connections", type=Numbers(), default=_F.connections, show_default="1,16,64,256")
@click.option("--streams", type=Numbers(), default=_F.streams, show_default="10,100,500")
@click.option("--runs", type=click.IntRange(1, 100), default=_F.runs)
@window_options(_F)
@click.option(
    "--event-rate",
    type=click.FloatRange(min=1),
    default=_F.event_rate,
    help="Events a second, of all streams together.",
)
@output_options("figures")
def figures(*, name: str, note: str, output: Path, tsv: bool, **chosen: Any) -> None:  # noqa: ANN401 - by option
    """Measure the CPU time of a request and of a streamed event."""
    settings = FigureSettings(**chosen)
    with explained():
        result = measure_figures(settings, name=name, note=note, progress=Progress(sys.stderr))
    finish(result, output, [figure_rows(result), capacity_rows(result)], tsv=tsv)


@main.command()
@click.option("--streams", type=click.IntRange(1, 9000), default=_E.streams)
@click.option("--seconds", type=SECONDS, default=_E.seconds, help="Length of each stream.")
@click.option("--rate", type=click.FloatRange(0.1, 1000), default=_E.rate, help="Events a second.")
@click.option("--spread", type=REST, default=_E.spread, help="Seconds over which they start.")
@click.option("--warm-up", type=SECONDS, default=_E.warm_up, help="Stream length of the warm-up.")
@click.option("--settle", type=REST, default=_E.settle, help="Rest before memory is compared.")
@click.option("--tolerance", type=click.FloatRange(0, 10), default=_E.tolerance)
@output_options("endurance")
def endurance(*, name: str, note: str, output: Path, tsv: bool, **chosen: Any) -> None:  # noqa: ANN401 - by option
    """Hold many long streams at once and look at what remains of them."""
    settings = EnduranceSettings(**chosen)
    with explained():
        result = measure_endurance(settings, name=name, note=note, progress=Progress(sys.stderr))
    finish_judged(result, output, result.streams.problems, tsv=tsv)


@main.command()
@click.option("--rate", type=click.FloatRange(1, 1000), default=_S.rate, help="Requests a second.")
@click.option(
    "--requests",
    type=click.IntRange(100, 1_000_000),
    default=_S.requests,
    help="Requests of each run; twice as many where the times shift.",
)
@click.option("--seed", type=int, default=_S.seed, help="Another run of chance.")
@output_options("stragglers")
def stragglers(*, name: str, note: str, output: Path, tsv: bool, **chosen: Any) -> None:  # noqa: ANN401 - by option
    """Measure what hedging saves of the slowest hundredth, and what it costs."""
    settings = StragglerSettings(**chosen)
    with explained():
        result = measure_stragglers(settings, name=name, note=note, progress=Progress(sys.stderr))
    problems = [f"{cell.name}: {problem}" for cell in result.cells for problem in cell.problems]
    finish_judged(result, output, problems, tsv=tsv)


@main.command()
@click.option(
    "--scenario",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=SCENARIO,
    show_default="bench/scenarios/agreement.toml",
    help="Play this one.",
)
@click.option(
    "--virtual-runs",
    type=click.IntRange(1, 1000),
    default=_A.virtual_runs,
    help="Runs in virtual time, each with luck of its own.",
)
@click.option("--tolerance", type=click.FloatRange(0, 10), default=_A.tolerance)
@output_options("agreement")
def agreement(
    *,
    scenario: Path,
    name: str,
    note: str,
    output: Path,
    tsv: bool,
    **chosen: Any,  # noqa: ANN401 - by option
) -> None:
    """Play a scenario over sockets and as `syze simulate` does, and compare."""
    settings = AgreementSettings(**chosen)
    progress = Progress(sys.stderr)
    with explained():
        result = measure_agreement(scenario, settings, name=name, note=note, progress=progress)
    finish_judged(result, output, result.problems, tsv=tsv)


@main.command()
@click.option("--keys", type=Numbers(), default=_M.keys, show_default="10,1000,100000,1000000")
@click.option("--workers", type=click.IntRange(1, 64), default=_M.workers, help="Regions of a key.")
@click.option("--rounds", type=click.IntRange(1, 100), default=_M.rounds)
@click.option(
    "--operations",
    type=click.IntRange(100, 1_000_000),
    default=_M.operations,
    help="Reservations of a round.",
)
@output_options("micro")
def micro(*, name: str, note: str, output: Path, tsv: bool, **chosen: Any) -> None:  # noqa: ANN401 - by option
    """Measure what a reservation of the limiter takes, beside two other packages."""
    settings = MicroSettings(**chosen)
    with explained():
        result = measure_micro(settings, name=name, note=note, progress=Progress(sys.stderr))
    finish_judged(result, output, [], tsv=tsv)


@main.command()
@click.option("--connections", type=click.IntRange(1, 1000), default=_P.connections)
@click.option("--pairs", type=click.IntRange(1, 100), default=_P.pairs, help="Pairs of windows.")
@window_options(_P)
@output_options("money")
def money(*, name: str, note: str, output: Path, tsv: bool, **chosen: Any) -> None:  # noqa: ANN401 - by option
    """Measure what accounts, limits and the ledger add to the CPU time of a request."""
    settings = MoneySettings(**chosen)
    with explained():
        result = measure_money(settings, name=name, note=note, progress=Progress(sys.stderr))
    finish_judged(result, output, [], tsv=tsv)


@main.command()
@click.option("--candidates", type=click.IntRange(2, 5000), default=_L.candidates)
@click.option("--keys", type=click.IntRange(2, 1_000_000), default=_L.keys)
@click.option("--connections", type=click.IntRange(1, 1000), default=_L.connections)
@click.option("--rounds", type=click.IntRange(1, 100), default=_L.rounds)
@window_options(_L)
@output_options("flat")
def flat(*, name: str, note: str, output: Path, tsv: bool, **chosen: Any) -> None:  # noqa: ANN401 - by option
    """Measure whether a request costs the same with many candidates and with many API keys."""
    settings = FlatSettings(**chosen)
    with explained():
        result = measure_flat(settings, name=name, note=note, progress=Progress(sys.stderr))
    finish_judged(result, output, [], tsv=tsv)


@main.command()
@click.option("--workers", type=click.IntRange(2, 64), default=_W.workers)
@click.option("--connections", type=click.IntRange(2, 1000), default=_W.connections)
@click.option("--rounds", type=click.IntRange(1, 100), default=_W.rounds)
@window_options(_W)
@output_options("workers")
def workers(*, name: str, note: str, output: Path, tsv: bool, **chosen: Any) -> None:  # noqa: ANN401 - by option
    """Measure whether many workers of one gateway do as much as so many gateways."""
    settings = WorkersSettings(**chosen)
    with explained():
        result = measure_workers(settings, name=name, note=note, progress=Progress(sys.stderr))
    finish_judged(result, output, [], tsv=tsv)


@main.command()
@click.option("--connections", type=click.IntRange(1, 1000), default=_C.connections)
@click.option("--rounds", type=click.IntRange(1, 100), default=_C.rounds, help="Turns of each.")
@click.option("--seconds", type=SECONDS, default=_C.seconds, help="Length of each turn.")
@click.option("--tolerance", type=click.FloatRange(0, 10), default=_C.tolerance)
@output_options("crosscheck")
def crosscheck(*, name: str, note: str, output: Path, tsv: bool, **chosen: Any) -> None:  # noqa: ANN401 - by option
    """Compare what the load generator says of a server with what wrk says of it."""
    settings = CrosscheckSettings(**chosen)
    with explained():
        result = measure_crosscheck(settings, name=name, note=note, progress=Progress(sys.stderr))
    finish_judged(result, output, [], tsv=tsv)


main.add_command(compare)


def finish_judged(
    result: AnyJudged,
    output: Path,
    problems: Sequence[str],
    *,
    tsv: bool,
) -> None:
    """Keep a result, print what was found, and end with the exit code that it deserves."""
    for problem in problems:
        click.echo(problem, err=True)
    finish(result, output, judged_tables(result), tsv=tsv)
    click.echo("passed" if result.passed else "FAILED", err=True)
    sys.exit(0 if result.passed else 1)


def finish(result: Result, output: Path, tables: Sequence[Sequence[Row]], *, tsv: bool) -> None:
    """Keep a result and print its tables."""
    form = tab_separated if tsv else plain_table
    click.echo("\n" + "\n\n".join(form(rows) for rows in tables))
    click.echo(f"\nkept in {save(result, output)} and {write_page(output)}", err=True)


@contextmanager
def explained() -> Iterator[None]:
    """Turn what can be expected to go wrong into one line and exit code 1."""
    try:
        yield
    except BaseExceptionGroup as errors:
        if errors.split(_EXPECTED)[1] is not None:
            raise
        raise _said(first_of(errors)) from errors
    except _EXPECTED as error:
        raise _said(error) from error


def first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first single exception of a group of groups."""
    first = errors.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


def _said(error: BaseException) -> click.ClickException:
    return click.ClickException(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
