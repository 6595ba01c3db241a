"""Payments from outside: the seam for payment providers, and one implementation to copy from.

A payment provider calls a webhook when somebody has paid. The notice may be forged, old, or sent twice; so
it has to be signed, recent, and carry an id of its own, which becomes the idempotency key of the top-up. A
provider is a `PaymentProvider`: it turns the notice's headers and body into a `TopUp`, or refuses it.

`SignedNotices` is the common scheme, an HMAC over the time and the body:

    syze-signature: t=1760000000,v1=<hex of HMAC-SHA256(secret, t + "." + body)>
    {"id": "pay_123", "account": "acc_…", "amount_usd": "12.50"}
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from router.ledger.errors import PaymentRefused
from router.ledger.money import MOST_NANODOLLARS, parse_usd

SIGNATURE_HEADER: Final = "syze-signature"
TOLERANCE_SECONDS: Final = 300.0
LONGEST_ID: Final = 200
_TIME: Final = re.compile(r"\d{1,12}", re.ASCII)


class TopUp(msgspec.Struct, frozen=True, kw_only=True):
    """A proved payment: whose, how many nano-dollars, and the key by which it counts once."""

    account: str
    amount: int
    key: str
    reference: str


class PaymentProvider(Protocol):
    """Who takes payments and tells us of them."""

    @property
    def name(self) -> str:
        """How its entries and its webhook's path call it."""

    def verify(self, headers: Mapping[str, str], body: bytes, *, now_at: float) -> TopUp | None:
        """Return the payment that a notice proves, `None` for a genuine notice of something else.

        Header names are lower case; `now_at` is unix time. Raises `PaymentRefused`.
        """


class SignedNotices:
    """Notices signed with a secret that both sides know. Several secrets are valid while one is replaced."""

    def __init__(
        self,
        name: str,
        secrets: Sequence[bytes],
        *,
        tolerance: float = TOLERANCE_SECONDS,
    ) -> None:
        """Make it for the provider called `name`. Raises `ValueError` for secrets under 16 bytes, or none."""
        if not secrets or min(len(secret) for secret in secrets) < 16:
            raise ValueError(f"payments by {name} need a secret of 16 bytes at least")
        self.name = name
        self._secrets = tuple(secrets)
        self._tolerance = tolerance

    def verify(self, headers: Mapping[str, str], body: bytes, *, now_at: float) -> TopUp:
        """Return the payment. Raises `PaymentRefused` with the reason."""
        time, signatures = _parts(headers.get(SIGNATURE_HEADER, ""))
        # All are compared, and in constant time, so that the time it takes tells nothing.
        matches = [
            hmac.compare_digest(sign(secret, time, body).encode(), given)
            for secret in self._secrets
            for given in signatures
        ]
        if not any(matches):
            raise PaymentRefused("the signature does not fit")
        if not _TIME.fullmatch(time) or abs(now_at - int(time)) > self._tolerance:
            raise PaymentRefused("the notice is too old, or from the future")
        return self._top_up(body)

    def _top_up(self, body: bytes) -> TopUp:
        try:
            notice = msgspec.json.decode(body, type=_Notice)
            amount = parse_usd(notice.amount_usd)
        except (ValueError, msgspec.MsgspecError) as error:
            raise PaymentRefused("the notice cannot be understood") from error
        if not 0 < amount <= MOST_NANODOLLARS:
            raise PaymentRefused("the amount cannot be booked")
        if not 0 < len(notice.id) <= LONGEST_ID or not notice.id.isprintable():
            raise PaymentRefused("the payment has no usable id")
        return TopUp(
            account=notice.account,
            amount=amount,
            key=f"payment:{self.name}:{notice.id}",
            reference=notice.id,
        )


class _Notice(msgspec.Struct):
    id: str
    account: str
    amount_usd: str


def sign(secret: bytes, time: str, body: bytes) -> str:
    """Return the signature of a body at a unix time, as hexadecimal digits."""
    return hmac.new(
        secret, time.encode("utf-8", "replace") + b"." + body, hashlib.sha256
    ).hexdigest()


def _parts(header: str) -> tuple[str, list[bytes]]:
    pairs = [part.strip().partition("=") for part in header.split(",")[:10]]
    times = [value for name, _, value in pairs if name == "t"]
    signatures = [value.encode("utf-8", "replace") for name, _, value in pairs if name == "v1"]
    return (times[0] if len(times) == 1 else ""), signatures
