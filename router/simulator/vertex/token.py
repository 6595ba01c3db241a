"""Tokens: they hold for an hour, and say so themselves.

A token carries its account and its end, and a mark by which the simulator knows it for its own. So one
simulated provider takes what another has issued, as Google's services do, without any memory.
"""

import base64
import binascii
from typing import Final

import msgspec

from router.simulator.refusal import Refusal
from router.simulator.signature import sign

LIFETIME_SECONDS: Final = 3599
_PREFIX: Final = "ya29.sim."
_MARK: Final = "vertex token"


class _Content(msgspec.Struct, frozen=True, array_like=True):
    account: str
    expires_at: float


_decode: Final = msgspec.json.Decoder(_Content).decode


def issue(account: str, *, now_at: float) -> str:
    """A token for an account, good from now on (unix seconds) for its usual time."""
    content = msgspec.json.encode(_Content(account, now_at + LIFETIME_SECONDS))
    said = base64.urlsafe_b64encode(content).decode().rstrip("=")
    return f"{_PREFIX}{said}.{sign(_MARK, said)}"


def check_token(token: str, keys: frozenset[bytes], *, now_at: float) -> None:
    """Raise Refusal for a token that is none of ours, or is over, unless it is one of these keys.

    Without any keys every token passes that does not look like one of ours.
    """
    if not token.startswith(_PREFIX):
        if keys and token.encode("latin-1") not in keys:
            raise _unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED")
        return
    said, _, mark = token.removeprefix(_PREFIX).partition(".")
    if mark != sign(_MARK, said):
        raise _unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED")
    try:
        content = _decode(base64.urlsafe_b64decode(said + "=" * (-len(said) % 4)))
    except (binascii.Error, msgspec.DecodeError):
        raise _unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED") from None
    if content.expires_at <= now_at:
        raise _unauthenticated("ACCESS_TOKEN_EXPIRED")


def _unauthenticated(reason: str) -> Refusal:
    told = "Request had invalid authentication credentials. Expected OAuth 2 access token, login"
    return Refusal(401, f"{told} cookie or other valid authentication credential.", code=reason)
