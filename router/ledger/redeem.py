"""Redeem codes: credit that the operator gives out as a text, and that works once.

A code is a secret like a key, and kept like one: the database has its digest, and it is shown when it is
made. It is drawn evenly from 32**20, so the digest can be plain and nobody finds one by trying. It has no
letters that look alike, and case, spaces and hyphens do not matter, since people type it.

Of two accounts that redeem one code at once the first to lock its row has it. The same account may say it
again, after an answer that got lost, and is told the same.
"""

import hashlib
import secrets
import time
from collections.abc import Callable
from typing import Final

import msgspec
from sqlalchemy import Connection, insert, select, update

from router.accounts.database import Database
from router.ledger.book import require_account
from router.ledger.entry import CODES, Draft, Entry
from router.ledger.errors import CodeExpired, CodeUnknown, CodeUsed
from router.ledger.money import MOST_NANODOLLARS
from router.ledger.posting import post_once
from router.ledger.schema import redeem_codes

_ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_LENGTH: Final = 20
_GROUP: Final = 5
_ID_LENGTH: Final = 11
LONGEST_CODE: Final = 100


class RedeemCode(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a code, but not the code. Times are unix seconds; `None`: never, or not yet."""

    id: str
    amount: int
    created_at: float
    expires_at: float | None
    redeemed_by: str | None
    redeemed_at: float | None


class RedeemCodes:
    """The codes of one database. All calls block; any may raise a StoreError."""

    def __init__(self, database: Database, *, wall_clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._wall_clock = wall_clock

    def create(
        self, nanodollars: int, *, expires_at: float | None = None
    ) -> tuple[RedeemCode, str]:
        """Make a code worth so much and return its record and its text, which nobody can read again.

        Raises `ValueError` for an amount that cannot be booked.
        """
        if not 0 < nanodollars <= MOST_NANODOLLARS:
            raise ValueError(f"not an amount for a code: {nanodollars}")
        text = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
        code = RedeemCode(
            id="code_" + secrets.token_urlsafe(16)[:_ID_LENGTH],
            amount=nanodollars,
            created_at=self._wall_clock(),
            expires_at=expires_at,
            redeemed_by=None,
            redeemed_at=None,
        )
        with self._database.writing() as connection:
            row = msgspec.structs.asdict(code) | {"digest": digest_of(text)}
            connection.execute(insert(redeem_codes).values(row))
        return code, "-".join(text[at : at + _GROUP] for at in range(0, _LENGTH, _GROUP))

    def redeem(self, text: str, account: str) -> Entry:
        """Turn a code into credit of `account`, and return the top-up.

        Raises `CodeUnknown`, `CodeExpired`, `CodeUsed` where another account had it, `UnknownAccount`.
        """
        if len(text) > LONGEST_CODE:
            raise CodeUnknown
        now_at = self._wall_clock()
        with self._database.writing() as connection:
            require_account(connection, account)
            code = _locked_code(connection, digest_of(text))
            if code.redeemed_by is None:
                if code.expires_at is not None and now_at >= code.expires_at:
                    raise CodeExpired
                connection.execute(
                    update(redeem_codes)
                    .where(redeem_codes.c.id == code.id)
                    .values(redeemed_by=account, redeemed_at=now_at)
                )
            elif code.redeemed_by != account:
                raise CodeUsed
            draft = Draft(
                key=f"redeem:{code.id}",
                account=account,
                counter_account=CODES,
                amount=code.amount,
                kind="top_up",
                reference=code.id,
            )
            return post_once(connection, draft, at=now_at)

    def list_codes(self) -> list[RedeemCode]:
        """Return all codes, oldest first."""
        query = _CODES.order_by(redeem_codes.c.created_at, redeem_codes.c.id)
        with self._database.reading() as connection:
            return [RedeemCode(**row._asdict()) for row in connection.execute(query)]


_CODES: Final = select(*(redeem_codes.c[field] for field in RedeemCode.__struct_fields__))


def digest_of(text: str) -> bytes:
    """Return the digest under which a code is kept, however it was typed."""
    plain = text.upper().replace("-", "").replace(" ", "")
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()


def _locked_code(connection: Connection, digest: bytes) -> RedeemCode:
    query = _CODES.where(redeem_codes.c.digest == digest).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise CodeUnknown
    return RedeemCode(**row._asdict())
