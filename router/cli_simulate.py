"""`syze simulate`: a scenario played in virtual time, for choosing a hedge policy."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec


@click.command()
@click.argument("scenario", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--compare", is_flag=True, help="Play the same traffic without hedging too.")
@click.option("--seed", type=int, help="Another seed than the scenario's: another run of chance.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE.svg",
    help="Draw which share of the requests still waits after how many seconds.",
)
@click.option("--json", "form", flag_value="json", help="Write JSON, for scripts.")
@click.option("--tsv", "form", flag_value="tsv", help="Write tab-separated lines, a run each.")
def simulate(
    *, scenario: Path, compare: bool, seed: int | None, plot: Path | None, form: str | None
) -> None:
    """Play the traffic of SCENARIO.toml against modelled providers, and tell what clients would see.

    Policy, health, hedging and budget are those of the gateway. No provider is asked, nothing is paid, and
    the clock is virtual: an hour of traffic takes seconds or minutes.
    """
    # Every other command starts without the simulation.
    from router.config import ConfigError  # noqa: PLC0415
    from router.simulation.plot import waiting_plot  # noqa: PLC0415
    from router.simulation.report import report_of, table, tsv  # noqa: PLC0415
    from router.simulation.scenario import load_scenario  # noqa: PLC0415
    from router.simulation.world import World  # noqa: PLC0415

    try:
        loaded = load_scenario(scenario)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    if seed is not None:
        loaded = loaded.with_seed(seed)
    runs = {"hedging" if loaded.race.hedge else "no hedging": loaded}
    if compare:
        runs["no hedging"] = loaded.without_hedging()
    with _progress(round(loaded.traffic.expected_requests) * len(runs)) as tell:
        played = {name: World(run).play(tell) for name, run in runs.items()}
    reports = [report_of(name, figures) for name, figures in played.items()]
    if form == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(reports), indent=2))
    else:
        for line in tsv(reports) if form == "tsv" else table(reports):
            click.echo(line)
    if plot is not None:
        _write(plot, waiting_plot([(name, one.first_token) for name, one in played.items()]))


@contextmanager
def _progress(requests: int) -> Iterator[Callable[[int], None]]:
    """Show a bar to a person, and nothing to a file or a pipe."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=requests, label="Playing", file=sys.stderr) as bar:
        yield bar.update


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from error
