"""`syze limits`: what a key has used of its limits, read from the counts of the running gateway."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click
import msgspec
import trio

from limiter.demand import Demand, Standing
from limiter.errors import TableError
from limiter.local import LocalLimiter
from limiter.table import Table
from router.accounts.caller import Caller
from router.accounts.store import KeyStore
from router.admission.terms import Terms
from router.cli_frame import (
    CONFIG_OPTION,
    JSON_OPTION,
    fail,
    load_or_exit,
    open_store,
    write_json,
    write_line,
)
from router.config import Config
from router.places import limits_folder

PATIENCE_SECONDS: Final = 2.0  # a person waits longer than a request


class Use(msgspec.Struct, frozen=True):
    """One limit, or a count that nothing limits. `reset_seconds`: until its window would be empty."""

    subject: str
    kind: str
    limit: int | None
    used: int
    left: int | None
    reset_seconds: float | None


@click.group()
def limits() -> None:
    """Look at the use of limits."""


@limits.command("show")
@CONFIG_OPTION
@click.argument("key")
@JSON_OPTION
def limits_show(*, config_path: Path | None, key: str, as_json: bool) -> None:
    """Show what KEY (its id, name, hint or the key itself) has used and has left, tab-separated.

    The columns are subject, kind of limit, limit, used, left, seconds until all of it is back. Besides the
    key's own there are those of its account and of models, which others use as well.
    """
    config = load_or_exit(config_path)
    caller = _caller(config, key)
    demands = Terms(config.limits, config.limits.models).all_demands(caller)
    standings = _standings(config, [demand.subject for demand in demands])
    found = [
        use
        for demand, standing in zip(demands, standings, strict=True)
        for use in uses_of(demand, standing)
    ]
    if as_json:
        write_json(found)
        return
    for use in found:
        write_line(msgspec.structs.asdict(use))


def uses_of(demand: Demand, standing: Standing) -> Iterator[Use]:
    """Tell how a subject stands: all three kinds for a key, and what is limited for others."""
    limits = demand.limits
    windows = (
        ("requests", limits.requests, standing.used_requests, standing.requests_reset),
        ("tokens", limits.tokens, standing.used_tokens, standing.tokens_reset),
        ("concurrency", limits.concurrency, standing.in_flight, None),
    )
    for kind, limit, used, reset in windows:
        if limit is not None or demand.subject.startswith("key:"):
            left = None if limit is None else max(0, limit - used)
            reset_seconds = None if reset is None else round(reset, 3)
            yield Use(demand.subject, kind, limit, used, left, reset_seconds)


def _caller(config: Config, selector: str) -> Caller:
    with open_store(config) as database:
        store = KeyStore(database)
        key = store.find(selector)
        caller = store.load()[1].find(key.digest)
    if caller is None:
        raise click.ClickException(f"the account of {key.id} is closed, so its keys do not work")
    return caller


def _standings(config: Config, subjects: Sequence[str]) -> list[Standing]:
    """Return how subjects stand, from wherever the configuration keeps its counts."""
    if config.limits.url is not None:
        try:
            return trio.run(_shared_standings, config.limits.url.reveal(), subjects)
        except ImportError as error:
            raise click.ClickException(str(error)) from error
    try:
        with Table.read_only(limits_folder(config)) as table:
            limiter = LocalLimiter(table)
            return [limiter.standing(subject, now=time.monotonic()) for subject in subjects]
    except FileNotFoundError as error:
        raise click.ClickException(
            "no gateway has run on this machine with this configuration, so nothing was counted"
        ) from error
    except (OSError, TableError) as error:
        fail(error)


async def _shared_standings(url: str, subjects: Sequence[str]) -> list[Standing]:
    """Return how subjects stand on all machines together."""
    from limiter.valkey import Settings, StoreAway, ValkeyLimiter  # noqa: PLC0415 - an optional library

    settings = Settings(patience=PATIENCE_SECONDS, give_up=PATIENCE_SECONDS)
    shared = ValkeyLimiter(url, instance="limits-show", settings=settings)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(shared.run)
            try:
                return [await shared.standing(subject) for subject in subjects]
            finally:
                nursery.cancel_scope.cancel()
    except* StoreAway as error:
        raise click.ClickException("the store of [limits] url does not answer") from error
