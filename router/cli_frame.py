"""What the commands share: finding the configuration, opening the store, answering people and scripts."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import click
import msgspec
from click.core import ParameterSource

from router.accounts.database import Database, open_database
from router.accounts.errors import AccountsError
from router.config import Config, ConfigError, load_config
from router.ledger.errors import LedgerError
from router.places import store_location

Load = Callable[[Path | None, Mapping[str, str]], Config]

CONFIG_OPTION = click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The configuration file (default: $SYZE_CONFIG, ./syze.toml, the user's configuration folder, "
    "else providers from the environment).",
)
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Write JSON, for scripts.")


def load_or_exit(config_path: Path | None, load: Load = load_config) -> Config:
    """Return the configuration, or end the process with every problem told (exit code 2)."""
    try:
        return load(config_path, os.environ)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(2)


@contextmanager
def open_store(config: Config) -> Iterator[Database]:
    """Give the configured database; what goes wrong in the block is told in one line (exit code 1)."""
    try:
        with open_database(store_location(config)) as database:
            yield database
    except (AccountsError, LedgerError) as error:
        fail(error)


def fail(error: Exception) -> NoReturn:
    """End the command with what the error says (exit code 1)."""
    raise click.ClickException(str(error)) from error


def given(names: Mapping[str, str]) -> dict[str, Any]:
    """Return what the command line itself says: `names` maps options to the fields they set.

    `none` on the command line is a value too, so a default cannot tell what was left out.
    """
    context = click.get_current_context()
    return {
        field: context.params[option]
        for option, field in names.items()
        if context.get_parameter_source(option) is ParameterSource.COMMANDLINE
    }


def write_json(value: object) -> None:
    """Write a value to standard output."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def write_line(facts: Mapping[str, object]) -> None:
    """Write the values as one line, separated by tabs; what is None becomes a dash."""
    click.echo("\t".join(_plain(value) for value in facts.values()))


def write_facts(facts: Mapping[str, object]) -> None:
    """Write each value in a line of its own behind its name."""
    for name, value in facts.items():
        click.echo(f"{name}\t{_plain(value)}")


def date_text(at: float) -> str:
    """Return unix seconds as a date and time in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _plain(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join(str(one) for one in value)
    return str(value)
