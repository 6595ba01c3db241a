"""Redeem codes, as operators make them and turn them in for others."""

from typing import Any

from router.accounts.errors import AccountClosed
from router.console.credit import LedgerEntry, entry_info
from router.console.fields import (
    Listing,
    Moment,
    Record,
    Usd,
    moment,
    moment_or_none,
    nanodollars_of,
)
from router.console.operation import Asked, NoQuery
from router.console.stores import Stores
from router.ledger.money import format_usd
from router.ledger.redeem import RedeemCode


class CodeNew(Record, kw_only=True):
    """A code to make, and until when it can be redeemed."""

    amount_usd: Usd
    expires_at: Moment | None = None


class CodeInfo(Record, kw_only=True):
    """What is known of a code; not the code itself."""

    id: str
    amount_usd: Usd
    created_at: Moment
    expires_at: Moment | None
    redeemed_by: str | None
    redeemed_at: Moment | None


class CodeCreated(CodeInfo, kw_only=True):
    """A new code; `code` is its text, which is not shown again."""

    code: str


class Redemption(Record, kw_only=True):
    """A code, and whose credit it becomes."""

    code: str
    account: str


def list_codes(stores: Stores, asked: Asked[NoQuery, None]) -> Listing[CodeInfo]:  # noqa: ARG001 - nothing asked
    """Return all codes, oldest first."""
    return Listing(data=[code_info(code) for code in stores.codes.list_codes()])


def create_code(stores: Stores, asked: Asked[NoQuery, CodeNew]) -> CodeCreated:
    """Make a code."""
    new = asked.body
    expires_at = None if new.expires_at is None else new.expires_at.timestamp()
    code, text = stores.codes.create(nanodollars_of(new.amount_usd), expires_at=expires_at)
    return CodeCreated(**_facts(code), code=text)


def redeem_code(stores: Stores, asked: Asked[NoQuery, Redemption]) -> LedgerEntry:
    """Turn a code into credit."""
    return redeem(stores, asked.body.code, asked.body.account)


def redeem(stores: Stores, code: str, account: str) -> LedgerEntry:
    """Turn a code into credit of an open account, named by id or name. Raises what `RedeemCodes` raises."""
    found = stores.accounts.find(account)
    if found.closed_at is not None:
        raise AccountClosed(found.id)
    return entry_info(stores.codes.redeem(code, found.id))


def code_info(code: RedeemCode) -> CodeInfo:
    """Return what is told of a code."""
    return CodeInfo(**_facts(code))


def _facts(code: RedeemCode) -> dict[str, Any]:
    return {
        "id": code.id,
        "amount_usd": format_usd(code.amount),
        "created_at": moment(code.created_at),
        "expires_at": moment_or_none(code.expires_at),
        "redeemed_by": code.redeemed_by,
        "redeemed_at": moment_or_none(code.redeemed_at),
    }
