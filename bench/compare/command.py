"""The command `python -m bench compare`."""

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Final

import click
import msgspec

from bench.compare.cache import Cache, NotInstalled, default_cache
from bench.compare.field import entries
from bench.compare.goals import goals
from bench.compare.measuring import measure_comparison
from bench.compare.page import all_tables, save, write_page
from bench.compare.record import Settings
from bench.processes import StandFailed
from bench.record import all_passed
from bench.report import plain_table, tab_separated
from router.loadtest.progress import Progress

RESULTS: Final = Path(__file__).resolve().parent.parent / "results" / "compare"
MOST_RUNS: Final = 100
_QUICK: Final = Settings(
    connections=(16, 64),
    streams=(10, 100, 1000),
    runs=1,
    seconds=1.5,
    warm=0.5,
)
_FOLDER: Final = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.option("--quick", is_flag=True, help="One run of fewer and shorter windows.")
@click.option("--runs", type=click.IntRange(1, MOST_RUNS), help="Runs of each, 3 if not quick.")
@click.option(
    "--only", multiple=True, metavar="NAME", help="This contestant; may be given several times."
)
@click.option(
    "--again",
    multiple=True,
    metavar="NAME",
    help="Forget the kept runs of this one ('all': of all).",
)
@click.option("--cache", type=_FOLDER, help="Where peers are installed [the user's cache folder].")
@click.option("--offline", is_flag=True, help="Install nothing.")
@click.option("--install-only", is_flag=True, help="Install, and measure nothing.")
@click.option("--output", type=_FOLDER, default=RESULTS, show_default="bench/results/compare")
@click.option(
    "--name", default="compare", show_default=True, help="Name of the result and its file."
)
@click.option("--note", default="", help="A sentence kept with the result.")
@click.option("--tsv", is_flag=True, help="Tab-separated tables, for scripts.")
def compare(  # noqa: PLR0913 - one parameter an option
    *,
    quick: bool,
    runs: int | None,
    only: tuple[str, ...],
    again: tuple[str, ...],
    cache: Path | None,
    offline: bool,
    install_only: bool,
    output: Path,
    name: str,
    note: str,
    tsv: bool,
) -> None:
    """Measure the gateway and its peers in turn, with one load and one upstream.

    What was measured before under the same name stands, so that a comparison that was broken off goes on.
    Exit code 1 when a goal is missed.
    """
    settings = _QUICK if quick else Settings()
    if runs is not None:
        settings = msgspec.structs.replace(settings, runs=runs)
    field = [entry for entry in entries() if not only or entry.name in only]
    unknown = {*only, *again} - {entry.name for entry in entries()} - {"all"}
    if unknown or not field:
        raise click.UsageError(f"there is no {', '.join(sorted(unknown)) or 'contestant'}")
    home = Cache(cache or default_cache(os.environ), offline=offline)
    progress = Progress(sys.stderr)
    if install_only:
        for line in _installed(home):
            click.echo(line)
        return
    # Whoever ends this early, a build's time limit for instance, is not left with servers that run on.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    kept = home.folder / "runs" / name
    _forget(kept, again)
    try:
        result = measure_comparison(
            settings, field, cache=home, kept=kept, name=name, note=note, progress=progress
        )
    except StandFailed as error:
        raise click.ClickException(str(error)) from error
    progress.end()
    form = tab_separated if tsv else plain_table
    click.echo("\n" + "\n\n".join(form(rows) for rows in all_tables(result)))
    click.echo(f"\nkept in {save(result, output)} and {write_page(output)}", err=True)
    sys.exit(0 if all_passed(goals(result)) else 1)


def _forget(kept: Path, again: tuple[str, ...]) -> None:
    if "all" in again:
        shutil.rmtree(kept, ignore_errors=True)
    for name in again:
        for number in range(1, MOST_RUNS + 1):
            (kept / f"{name}-{number}.json").unlink(missing_ok=True)


def _installed(cache: Cache) -> list[str]:
    lines = []
    for entry in entries():
        try:
            lines.append(f"{entry.name}\t{entry.contestant.install(cache)}")
        except NotInstalled as error:
            lines.append(f"{entry.name}\t{error}")
    return lines
