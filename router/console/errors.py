"""Refusals of the console, in the same envelope as every other error of the gateway."""

from router.accounts.errors import (
    AccountsError,
    AlreadyRevoked,
    InvalidName,
    InvalidTerms,
    StoreError,
    UnknownAccount,
    UnknownKey,
    UnknownTier,
)
from router.errors import ClientFault, GatewayError, GatewayFault, InvalidRequest
from router.ledger.errors import CodeRefused, LedgerError, Overdraw, PaymentRefused
from router.ledger.money import format_usd

RETRY_SECONDS = 5.0


class AdminKeyInvalid(ClientFault):
    """401: the admin key is missing or wrong."""

    status = 401
    code = "invalid_admin_key"

    def __init__(self) -> None:
        super().__init__(
            "The admin API needs the admin key of the configuration: 'Authorization: Bearer ...'."
        )


class NotThere(ClientFault):
    """404: no account, key, tier or payment provider of that name; names the nearest."""

    status = 404
    code = "not_found"


class Conflict(ClientFault):
    """409: it cannot be done as things stand: a name is taken, an account closed, a key used otherwise."""

    status = 409
    code = "conflict"


class CodeNotRedeemed(ClientFault):
    """409: the redeem code is unknown, has expired, or was redeemed by another account."""

    status = 409
    code = "code_refused"


class NoticeRefused(ClientFault):
    """400: a payment notice is not believed or not understood."""

    status = 400
    code = "payment_refused"


class StoreUnavailable(GatewayFault):
    """503: the database is away or busy."""

    status = 503
    code = "store_unavailable"

    def __init__(self) -> None:
        super().__init__("The database is not available at present.", retry_after=RETRY_SECONDS)


def translated(error: AccountsError | LedgerError) -> GatewayError:
    """Return what a client is told of a refusal by the stores or the books, or of their absence."""
    if isinstance(error, StoreError):
        return StoreUnavailable()
    message = _sentence(error)
    if isinstance(error, InvalidName | InvalidTerms):
        return InvalidRequest(message, code="invalid_value")
    if isinstance(error, CodeRefused):
        return CodeNotRedeemed(message)
    if isinstance(error, PaymentRefused):
        return NoticeRefused(message)
    unknown = isinstance(error, UnknownAccount | UnknownTier | UnknownKey)
    return (
        NotThere(message)
        if unknown and not isinstance(error, AlreadyRevoked)
        else Conflict(message)
    )


def sentence_of(error: AccountsError | LedgerError) -> str:
    """Return what the error says, amounts in US dollars."""
    if isinstance(error, Overdraw):
        has, asked = format_usd(error.balance), format_usd(error.asked)
        return f"{error.account} has ${has}, and ${asked} were to be taken"
    return str(error)


def _sentence(error: AccountsError | LedgerError) -> str:
    text = sentence_of(error)
    return f"{text[:1].upper()}{text[1:]}."
