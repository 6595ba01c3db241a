"""`syze accounts` and `syze tiers`: who pays, and which models and limits that buys.

Every change is in force in every running gateway within a second.
"""

from pathlib import Path
from typing import Any

import click
import msgspec

from limiter.demand import Limits
from router.accounts.account import Account
from router.accounts.account_store import AccountStore
from router.accounts.database import Database
from router.accounts.store import KeyStore
from router.accounts.tier import DEFAULT_TIER, ModelPatterns, Tier
from router.accounts.tier_store import TierStore
from router.cli_frame import (
    CONFIG_OPTION,
    JSON_OPTION,
    date_text,
    given,
    load_or_exit,
    open_store,
    write_facts,
    write_json,
    write_line,
)
from router.cli_keys import key_facts
from router.cli_values import LIMIT_OPTIONS, given_limits, limit_facts

_PREPAID_OPTION = click.option(
    "--prepaid/--no-prepaid",
    default=False,
    help="Whether it can spend only the credit it has.",
)
_MODELS_OPTION = click.option(
    "--models",
    "models",
    multiple=True,
    metavar="PATTERN",
    help="Models it has, such as 'openai/*'; several times for several.",
)


def _limit_options(command: Any) -> Any:  # noqa: ANN401 - what click's own decorators take and give
    for option in reversed(LIMIT_OPTIONS):
        command = option(command)
    return command


@click.group()
def accounts() -> None:
    """Create, list, change and close accounts."""


@accounts.command("create")
@CONFIG_OPTION
@click.argument("name")
@click.option("--tier", default=DEFAULT_TIER, show_default=True, help="Its models and limits.")
@_PREPAID_OPTION
@_limit_options
@JSON_OPTION
def accounts_create(
    *,
    config_path: Path | None,
    name: str,
    tier: str,
    prepaid: bool,
    as_json: bool,
    **_limits: object,
) -> None:
    """Open an account. Its limits are what all of its keys may use together."""
    limits = Limits(**given_limits())
    with open_store(load_or_exit(config_path)) as database:
        made = AccountStore(database).create(name, tier=tier, prepaid=prepaid, limits=limits)
    _tell(account_facts(made), f"Opened {made.id} ({made.name}).", as_json=as_json, shown=made.id)


@accounts.command("list")
@CONFIG_OPTION
@click.option("--all", "include_closed", is_flag=True, help="Also those that were closed.")
@JSON_OPTION
def accounts_list(*, config_path: Path | None, include_closed: bool, as_json: bool) -> None:
    """List the accounts, tab-separated.

    The columns are id, name, tier, prepaid, requests a minute, tokens a minute, concurrency, created,
    closed. The limits are those of all its keys together.
    """
    with open_store(load_or_exit(config_path)) as database:
        found = AccountStore(database).list_accounts(include_closed=include_closed)
    _tell_all([account_facts(account) for account in found], as_json=as_json)


@accounts.command("show")
@CONFIG_OPTION
@click.argument("account")
@JSON_OPTION
def accounts_show(*, config_path: Path | None, account: str, as_json: bool) -> None:
    """Show ACCOUNT (its id or name) and its keys."""
    with open_store(load_or_exit(config_path)) as database:
        found = AccountStore(database).find(account)
        owned = _keys_of(database, found)
    if as_json:
        write_json({**account_facts(found), "keys": owned})
        return
    write_facts(account_facts(found))
    for key in owned:
        click.echo(f"key\t{key['id']}\t{key['name']}\t{key['hint']}")


@accounts.command("set")
@CONFIG_OPTION
@click.argument("account")
@click.option("--name", help="Another name.")
@click.option("--tier", help="Another tier.")
@_PREPAID_OPTION
@_limit_options
@JSON_OPTION
def accounts_set(
    *, config_path: Path | None, account: str, as_json: bool, **_options: object
) -> None:
    """Change ACCOUNT (its id or name); what is not named stays as it is."""
    changes, limits = given({"name": "name", "tier": "tier", "prepaid": "prepaid"}), given_limits()
    if not changes and not limits:
        raise click.UsageError("Say what to change: --tier, --tpm, --name and so on.")

    def edit(found: Account) -> Account:
        own = msgspec.structs.replace(found.limits, **limits)
        return msgspec.structs.replace(found, **changes, limits=own)

    with open_store(load_or_exit(config_path)) as database:
        changed = AccountStore(database).change(account, edit)
    _tell(account_facts(changed), f"Changed {changed.id} ({changed.name}).", as_json=as_json)


@accounts.command("close")
@CONFIG_OPTION
@click.argument("account")
@JSON_OPTION
def accounts_close(*, config_path: Path | None, account: str, as_json: bool) -> None:
    """Close ACCOUNT (its id or name) for good: its keys stop working within a second."""
    with open_store(load_or_exit(config_path)) as database:
        closed = AccountStore(database).close(account)
    _tell(account_facts(closed), f"Closed {closed.id} ({closed.name}).", as_json=as_json)


@click.group()
def tiers() -> None:
    """Create, list, change and delete tiers."""


@tiers.command("create")
@CONFIG_OPTION
@click.argument("name")
@_MODELS_OPTION
@_limit_options
@JSON_OPTION
def tiers_create(
    *,
    config_path: Path | None,
    name: str,
    models: tuple[str, ...],
    as_json: bool,
    **_limits: object,
) -> None:
    """Create a tier. Without patterns it has every model. Its limits are those of each key."""
    tier = Tier(name, ModelPatterns(models or ["*"]), Limits(**given_limits()))
    with open_store(load_or_exit(config_path)) as database:
        made = TierStore(database).create(tier)
    _tell(tier_facts(made), f"Created the tier {made.name}.", as_json=as_json)


@tiers.command("list")
@CONFIG_OPTION
@JSON_OPTION
def tiers_list(*, config_path: Path | None, as_json: bool) -> None:
    """List the tiers, tab-separated.

    The columns are name, patterns of models, requests a minute, tokens a minute, concurrency.
    """
    with open_store(load_or_exit(config_path)) as database:
        found = TierStore(database).list_tiers()
    _tell_all([tier_facts(tier) for tier in found], as_json=as_json)


@tiers.command("set")
@CONFIG_OPTION
@click.argument("name")
@_MODELS_OPTION
@_limit_options
@JSON_OPTION
def tiers_set(
    *,
    config_path: Path | None,
    name: str,
    models: tuple[str, ...],
    as_json: bool,
    **_limits: object,
) -> None:
    """Change the tier NAME; what is not named stays as it is. Patterns replace those it has."""
    limits = given_limits()
    if not models and not limits:
        raise click.UsageError("Say what to change: --models, --tpm and so on.")

    def edit(found: Tier) -> Tier:
        kept = msgspec.structs.replace(found.limits, **limits)
        return Tier(found.name, ModelPatterns(models) if models else found.models, kept)

    with open_store(load_or_exit(config_path)) as database:
        changed = TierStore(database).change(name, edit)
    _tell(tier_facts(changed), f"Changed the tier {changed.name}.", as_json=as_json)


@tiers.command("delete")
@CONFIG_OPTION
@click.argument("name")
@JSON_OPTION
def tiers_delete(*, config_path: Path | None, name: str, as_json: bool) -> None:
    """Delete the tier NAME, which no account may be in any more."""
    with open_store(load_or_exit(config_path)) as database:
        deleted = TierStore(database).delete(name)
    _tell(tier_facts(deleted), f"Deleted the tier {deleted.name}.", as_json=as_json)


def account_facts(account: Account) -> dict[str, object]:
    """Return what is told of an account, in the order of the columns."""
    return {
        "id": account.id,
        "name": account.name,
        "tier": account.tier,
        "prepaid": account.prepaid,
        **limit_facts(account.limits),
        "created_at": date_text(account.created_at),
        "closed_at": None if account.closed_at is None else date_text(account.closed_at),
    }


def tier_facts(tier: Tier) -> dict[str, object]:
    """Return what is told of a tier, in the order of the columns."""
    return {"name": tier.name, "models": tier.models.globs, **limit_facts(tier.limits)}


def _keys_of(database: Database, account: Account) -> list[dict[str, object]]:
    every = KeyStore(database).list_keys()
    return [key_facts(key, {account.id: account}) for key in every if key.account_id == account.id]


def _tell(
    facts: dict[str, object], sentence: str, *, as_json: bool, shown: str | None = None
) -> None:
    """Answer with JSON, or with a sentence for a person and, for a script, what it needs next."""
    if as_json:
        write_json(facts)
        return
    if shown is not None:
        click.echo(shown)
    click.echo(sentence, err=True)


def _tell_all(facts: list[dict[str, object]], *, as_json: bool) -> None:
    if as_json:
        write_json(facts)
        return
    for one in facts:
        write_line(one)
