"""`syze credit` and `syze ledger`: credit added and looked up, codes made and redeemed, the books shown.

All of it can be done while the gateway runs. Amounts are in US dollars, exact to the nano-dollar.
"""

import secrets
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from router.cli_frame import (
    CONFIG_OPTION,
    JSON_OPTION,
    date_text,
    load_or_exit,
    open_store,
    write_facts,
    write_json,
    write_line,
)
from router.cli_values import AmountParameter, MomentParameter
from router.console.codes import code_info, redeem
from router.console.credit import (
    LedgerEntry,
    LedgerQuery,
    credit_of,
    list_entries,
    pay_in,
    verification_info,
)
from router.console.operation import Asked
from router.console.stores import Stores
from router.ledger.money import format_usd


@click.group()
def credit() -> None:
    """Add and show credit, make and redeem codes."""


@credit.command("add")
@CONFIG_OPTION
@click.argument("account")
@click.argument("amount", metavar="USD", type=AmountParameter())
@click.option("--reference", default="", help="What it is about, for the books.")
@click.option("--key", help="An idempotency key: what is said twice under one counts once.")
@JSON_OPTION
def credit_add(
    *,
    config_path: Path | None,
    account: str,
    amount: int,
    reference: str,
    key: str | None,
    as_json: bool,
) -> None:
    """Add credit that was paid for to ACCOUNT (its id or name)."""
    with open_store(load_or_exit(config_path)) as database:
        stores = Stores(database)
        key = key or secrets.token_hex(16)
        entry = pay_in(stores, account, amount, key=key, reference=reference)
        balance = format_usd(stores.book.balance(entry.account))
    _tell_entry(entry, f"{entry.account} has ${balance} now.", as_json=as_json)


@credit.command("show")
@CONFIG_OPTION
@click.argument("account")
@JSON_OPTION
def credit_show(*, config_path: Path | None, account: str, as_json: bool) -> None:
    """Show the credit of ACCOUNT (its id or name), what running calls hold not counted."""
    with open_store(load_or_exit(config_path)) as database:
        stores = Stores(database)
        found = msgspec.to_builtins(credit_of(stores, stores.accounts.find(account)))
    if as_json:
        write_json(found)
    else:
        write_facts(found)


@credit.command("redeem")
@CONFIG_OPTION
@click.argument("code")
@click.argument("account")
@JSON_OPTION
def credit_redeem(*, config_path: Path | None, code: str, account: str, as_json: bool) -> None:
    """Turn CODE into credit of ACCOUNT (its id or name)."""
    with open_store(load_or_exit(config_path)) as database:
        entry = redeem(Stores(database), code, account)
    said = f"{entry.account} has ${entry.amount_usd} more."
    _tell_entry(entry, said, as_json=as_json)


@credit.group("codes")
def codes() -> None:
    """Make and list redeem codes."""


@codes.command("create")
@CONFIG_OPTION
@click.argument("amount", metavar="USD", type=AmountParameter())
@click.option(
    "--expires",
    type=MomentParameter(),
    metavar="WHEN",
    help="Until when it can be redeemed: 30d, 12h, or a date (UTC).",
)
@JSON_OPTION
def codes_create(
    *, config_path: Path | None, amount: int, expires: float | None, as_json: bool
) -> None:
    """Make a code worth USD and show it, this once."""
    if expires is not None and expires <= time.time():
        raise click.BadParameter("a code cannot end in the past", param_hint="--expires")
    with open_store(load_or_exit(config_path)) as database:
        code, text = Stores(database).codes.create(amount, expires_at=expires)
    if as_json:
        write_json({**msgspec.to_builtins(code_info(code)), "code": text})
        return
    click.echo(text)
    click.echo(f"Code {code.id}. It is stored hashed and cannot be shown again.", err=True)


@codes.command("list")
@CONFIG_OPTION
@JSON_OPTION
def codes_list(*, config_path: Path | None, as_json: bool) -> None:
    """List the codes, tab-separated: id, US dollars, created, expires, redeemed by, redeemed."""
    with open_store(load_or_exit(config_path)) as database:
        found = [code_info(code) for code in Stores(database).codes.list_codes()]
    _tell_all(found, as_json=as_json)


@click.group()
def ledger() -> None:
    """Look into the books, and prove them."""


@ledger.command("verify")
@CONFIG_OPTION
@JSON_OPTION
def ledger_verify(*, config_path: Path | None, as_json: bool) -> None:
    """Prove that every balance is the sum of its entries; exit code 1 if one is not."""
    with open_store(load_or_exit(config_path)) as database:
        proof = Stores(database).book.verify()
    facts = msgspec.to_builtins(verification_info(proof))
    if as_json:
        write_json(facts)
    else:
        wrong = facts.pop("wrong")
        write_facts(facts)
        for one in wrong:
            click.echo(f"wrong\t{one['account']}\t{one['balance_usd']}\t{one['booked_usd']}")
    if not proof.sound:
        click.echo("The books are not sound.", err=True)
        sys.exit(1)


@ledger.command("show")
@CONFIG_OPTION
@click.argument("account")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many."
)
@click.option("--before", type=int, metavar="ID", help="Only entries older than this one.")
@JSON_OPTION
def ledger_show(
    *, config_path: Path | None, account: str, limit: int, before: int | None, as_json: bool
) -> None:
    """List the entries of ACCOUNT (its id or name), newest first, tab-separated.

    The columns are id, time, kind, account, counter-account, US dollars, reference, model, idempotency key.
    ACCOUNT may be one of the operator's, such as operator:attempts.
    """
    query = LedgerQuery(limit=limit, before=before)
    with open_store(load_or_exit(config_path)) as database:
        found = list_entries(Stores(database), Asked(target=account, query=query, body=None)).data
    _tell_all(found, as_json=as_json)


def _tell_entry(entry: LedgerEntry, sentence: str, *, as_json: bool) -> None:
    if as_json:
        write_json(entry)
    else:
        click.echo(
            f"Entry {entry.id}: ${entry.amount_usd} to {entry.account}. {sentence}", err=True
        )


def _tell_all(found: list[Any], *, as_json: bool) -> None:
    if as_json:
        write_json(found)
        return
    for one in found:
        facts = msgspec.structs.asdict(one)
        write_line({name: _shown(value) for name, value in facts.items()})


def _shown(value: object) -> object:
    return date_text(value.timestamp()) if isinstance(value, datetime) else value
