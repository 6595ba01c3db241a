"""`syze keys`: made, listed, changed and revoked while the gateway runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from router.accounts.account import Account
from router.accounts.account_store import AccountStore
from router.accounts.keys import DEFAULT_ACCOUNT_ID, SCOPES, ApiKey, KeyTerms
from router.accounts.store import KeyStore
from router.cli_frame import (
    CONFIG_OPTION,
    JSON_OPTION,
    date_text,
    given,
    load_or_exit,
    open_store,
    write_json,
    write_line,
)
from router.cli_values import (
    LIMIT_OPTIONS,
    MomentParameter,
    SwitchParameter,
    UsdParameter,
    given_limits,
    limit_facts,
    usd_text,
)

_ALL_SCOPES: Final = "all"
_TERM_OPTIONS: Final = (
    *LIMIT_OPTIONS,
    click.option(
        "--hedge",
        type=SwitchParameter(),
        metavar="on|off",
        help="Hedge its requests or never, whatever is configured; 'none': as configured.",
    ),
    click.option(
        "--budget", type=UsdParameter(), metavar="USD", help="What it may spend in all, or 'none'."
    ),
    click.option(
        "--expires",
        type=MomentParameter(),
        metavar="WHEN",
        help="When it stops working: 30d, 12h, a date (UTC), or 'none'.",
    ),
    click.option(
        "--scope",
        "scopes",
        multiple=True,
        type=click.Choice([*SCOPES, _ALL_SCOPES]),
        help="What it may be used for; several times for several.",
    ),
)


def _term_options(command: Any) -> Any:  # noqa: ANN401 - what click's own decorators take and give
    for option in reversed(_TERM_OPTIONS):
        command = option(command)
    return command


@click.group()
def keys() -> None:
    """Create, list, change and revoke API keys."""


@keys.command("create")
@CONFIG_OPTION
@click.option("--name", default="default", show_default=True, help="What the key is for.")
@click.option("--account", default=DEFAULT_ACCOUNT_ID, help="Whose it is: an account's id or name.")
@_term_options
@JSON_OPTION
def keys_create(
    *, config_path: Path | None, name: str, account: str, as_json: bool, **_terms: object
) -> None:
    """Create a key and show it, this once."""
    terms = msgspec.structs.replace(KeyTerms(), **_given_terms(KeyTerms()))
    with open_store(load_or_exit(config_path)) as database:
        key, secret = KeyStore(database).create(name, account=account, terms=terms)
        accounts = _accounts_by_id(AccountStore(database))
    if as_json:
        write_json({**key_facts(key, accounts), "key": secret})
    else:
        click.echo(secret)
        click.echo(
            f"Key {key.id} ({key.name}). It is stored hashed and cannot be shown again.", err=True
        )


@keys.command("set")
@CONFIG_OPTION
@click.argument("key")
@click.option("--name", help="Another name.")
@click.option("--account", help="Give it to another account, by id or name.")
@_term_options
@JSON_OPTION
def keys_set(*, config_path: Path | None, key: str, as_json: bool, **_terms: object) -> None:
    """Change KEY (its id, name, hint or the key itself); what is not named stays as it is."""

    def edit(found: ApiKey) -> ApiKey:
        changes = given({"name": "name", "account": "account_id"}) | _given_terms(found)
        if not changes:
            raise click.UsageError("Say what to change: --rpm, --tpm, --budget and so on.")
        return msgspec.structs.replace(found, **changes)

    with open_store(load_or_exit(config_path)) as database:
        changed = KeyStore(database).change(key, edit)
        accounts = _accounts_by_id(AccountStore(database))
    if as_json:
        write_json(key_facts(changed, accounts))
    else:
        click.echo(f"Changed {changed.id} ({changed.name}).", err=True)


@keys.command("list")
@CONFIG_OPTION
@click.option("--all", "include_revoked", is_flag=True, help="Also those that were revoked.")
@JSON_OPTION
def keys_list(*, config_path: Path | None, include_revoked: bool, as_json: bool) -> None:
    """List the keys, tab-separated.

    The columns are id, name, hint, created, revoked, account, requests a minute, tokens a minute,
    concurrency, hedge, budget in US dollars, expires, scopes.
    """
    with open_store(load_or_exit(config_path)) as database:
        found = KeyStore(database).list_keys(include_revoked=include_revoked)
        accounts = _accounts_by_id(AccountStore(database))
    facts = [key_facts(key, accounts) for key in found]
    if as_json:
        write_json(facts)
        return
    for one in facts:
        write_line({name: value for name, value in one.items() if name != "account_id"})


@keys.command("revoke")
@CONFIG_OPTION
@click.argument("key")
@JSON_OPTION
def keys_revoke(*, config_path: Path | None, key: str, as_json: bool) -> None:
    """Revoke KEY (its id, name, hint or the key itself); it stops working within a second."""
    with open_store(load_or_exit(config_path)) as database:
        revoked = KeyStore(database).revoke(key)
        accounts = _accounts_by_id(AccountStore(database))
    if as_json:
        write_json(key_facts(revoked, accounts))
    else:
        click.echo(f"Revoked {revoked.id} ({revoked.name}).", err=True)


def key_facts(key: ApiKey, accounts: Mapping[str, Account]) -> dict[str, object]:
    """Return what may be told of a key, in the order of the columns; `accounts` are by id."""
    return {
        "id": key.id,
        "name": key.name,
        "hint": key.hint,
        "created_at": date_text(key.created_at),
        "revoked_at": None if key.revoked_at is None else date_text(key.revoked_at),
        "account": accounts[key.account_id].name,
        "account_id": key.account_id,
        **limit_facts(key.limits),
        "hedge": key.hedge,
        "budget_usd": None if key.budget_nanodollars is None else usd_text(key.budget_nanodollars),
        "expires_at": None if key.expires_at is None else date_text(key.expires_at),
        "scopes": key.scopes,
    }


def _given_terms(before: KeyTerms) -> dict[str, Any]:
    """Return the fields of a key's terms that the command line sets."""
    fields = {"hedge": "hedge", "budget": "budget_nanodollars", "expires": "expires_at"}
    changes = given({**fields, "scopes": "scopes"})
    limits = given_limits()
    if limits:
        changes["limits"] = msgspec.structs.replace(before.limits, **limits)
    if _ALL_SCOPES in changes.get("scopes", ()):
        changes["scopes"] = None
    elif "scopes" in changes:
        changes["scopes"] = tuple(dict.fromkeys(changes["scopes"]))
    return changes


def _accounts_by_id(store: AccountStore) -> dict[str, Account]:
    return {account.id: account for account in store.list_accounts(include_closed=True)}
