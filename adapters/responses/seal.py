"""What a provider gives along with its reasoning, put into `encrypted_content` and taken out again.

Clients keep that field word for word and send it back, which is all that a provider's signature needs. The
mark in front tells our own from what a client got elsewhere: that cannot be read by anyone here.
"""

import base64
import binascii
from typing import Final

import msgspec

from adapters.middle.conversation import Reasoning

_MARK: Final = "thought1_"


class _Sealed(msgspec.Struct, omit_defaults=True):
    signature: str | None = None
    redacted: str | None = None


_decode: Final = msgspec.json.Decoder(_Sealed).decode
_encode: Final = msgspec.json.encode


def seal(reasoning: Reasoning) -> str | None:
    """Return the `encrypted_content` of reasoning, `None` where its provider gave nothing to keep."""
    if not reasoning.signature and reasoning.redacted is None:
        return None
    sealed = _Sealed(reasoning.signature or None, reasoning.redacted)
    return _MARK + base64.urlsafe_b64encode(_encode(sealed)).decode()


def is_sealed_here(sealed: str) -> bool:
    """Tell whether an `encrypted_content` was made here."""
    return sealed.startswith(_MARK)


def unseal(text: str, item: str | None, sealed: str | None) -> Reasoning | None:
    """Return the reasoning of an item with this text; `None` where nothing is left that can be read."""
    found = _opened(sealed or "")
    if found.redacted is not None:
        return Reasoning(redacted=found.redacted, signature=found.signature, id=item)
    if not text and found.signature is None:
        return None
    return Reasoning(text=text, signature=found.signature, id=item)


def _opened(sealed: str) -> _Sealed:
    if not is_sealed_here(sealed):
        return _Sealed()
    try:
        data = base64.b64decode(sealed[len(_MARK) :], altchars=b"-_", validate=True)
        return _decode(data)
    except (binascii.Error, ValueError):  # of msgspec too
        return _Sealed()
