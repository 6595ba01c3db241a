"""`syze usage`: who used which model when, and what it cost; for the operator also what was spent besides."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from router.cli_frame import (
    CONFIG_OPTION,
    JSON_OPTION,
    load_or_exit,
    open_store,
    write_json,
    write_line,
)
from router.cli_values import DayParameter, DimensionsParameter
from router.console.stores import Stores
from router.console.usage import (
    DIMENSIONS,
    CostLine,
    OperatorCosts,
    UsageLine,
    UsageQuery,
    operator_costs,
    scope_of,
    usage_lines,
)
from router.ledger.usage import By


@click.command()
@CONFIG_OPTION
@click.option("--account", help="Only that of this account, by id or name.")
@click.option("--key", help="Only that of this key, by id, name or hint.")
@click.option("--model", help="Only that of this model, by its id in the list of models.")
@click.option(
    "--since", type=DayParameter(), metavar="DAY", help="From this day on (UTC), as 2030-01-31."
)
@click.option(
    "--until", type=DayParameter(), metavar="DAY", help="Up to this day, which is included."
)
@click.option(
    "--by",
    type=DimensionsParameter(),
    default="day,model",
    show_default=True,
    metavar="LIST",
    help="What to divide by: day, account, key, model; '' for the sum.",
)
@click.option(
    "--operator",
    "of_operator",
    is_flag=True,
    help="What lost hedges, failed attempts and second readings cost the operator.",
)
@JSON_OPTION
def usage(
    *,
    config_path: Path | None,
    by: tuple[By, ...],
    of_operator: bool,
    as_json: bool,
    **which: Any,  # noqa: ANN401 - the options that are the query's fields, of their types
) -> None:
    """Show what was used, tab-separated.

    The columns are what it is divided by, then requests, errors, requests whose tokens were estimated,
    tokens (input, cached, written to caches, output, reasoning), cost and what was taken from credit in US
    dollars, mean seconds, mean seconds to the first token.

    With --operator they are what it is divided by, requests, the operator's costs, the customers' costs.
    """
    query = UsageQuery(**which)
    with open_store(load_or_exit(config_path)) as database:
        stores = Stores(database)
        scope = scope_of(stores, query)
        if of_operator:
            _tell_costs(operator_costs(stores, scope, by), by, as_json=as_json)
        else:
            _tell_usage(usage_lines(stores, scope, by), by, as_json=as_json)


def _tell_costs(report: OperatorCosts, by: Sequence[By], *, as_json: bool) -> None:
    if as_json:
        write_json(report)
    else:
        _write_lines(report.data, by)


def _tell_usage(lines: Sequence[UsageLine], by: Sequence[By], *, as_json: bool) -> None:
    if as_json:
        write_json(lines)
    else:
        _write_lines(lines, by)


def _write_lines(lines: Sequence[UsageLine | CostLine], by: Sequence[By]) -> None:
    """Write what each line is about, in the order that was asked for, and then its figures."""
    for line in lines:
        facts = msgspec.structs.asdict(line)
        identity: dict[str, object] = {name: facts[name] for name in by}
        figures = {name: facts[name] for name in facts if name not in DIMENSIONS.values()}
        write_line({**identity, **figures})
