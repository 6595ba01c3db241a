"""Signatures: how the simulated provider knows again what it has said.

Real providers sign what their models thought, opaquely, and refuse it when it comes back changed.
Here a signature is the digest of what it stands for and a checksum over that digest. So it can be
seen without any memory whether a signature is one of ours at all, and whether it is the right one.
It keeps out mistakes, not forgers.
"""

import base64
import binascii
import hashlib
from typing import Final

import msgspec

_HALF: Final = 16
_PERSON: Final = b"simulator"


def sign(*content: str) -> str:
    """The signature of this content."""
    digest = _digest(msgspec.json.encode(content))
    return base64.b64encode(digest + _digest(digest)).decode()


def is_signature(text: str) -> bool:
    """Whether this was made by `sign`, whatever for."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(raw) == 2 * _HALF and _digest(raw[:_HALF]) == raw[_HALF:]


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_HALF, person=_PERSON).digest()
