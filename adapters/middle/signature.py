"""Signatures of thought: what a provider gives along with an answer and wants back in the next turn.

Two troubles come with them. Clients drop fields that they do not know, but every client keeps the id of a
tool call and repeats it with the call and with its result; so a call's signature travels inside its id. And
a conversation may go on at another provider, which refuses a signature that is not its own; so a signature
carries the name of its owner, and only its owner gets it back. Anthropic's own go without a name, as they
are in the hands of clients that have spoken with it directly.
"""

import base64
import binascii
from typing import Final

ANTHROPIC: Final = "anthropic"

_MARK: Final = "__thought__"
MARK: Final = _MARK.encode()
"""What a request in which a signature travels has somewhere among its bytes."""

_OWNER_END: Final = ":"  # no base64 has one


def with_signature(call_id: str, signature: str | None) -> str:
    """Return the id under which a client gets a call: with the signature in it, if there is one.

    Besides the id's own characters it holds letters, digits, `-` and `_` only.
    """
    if signature is None and _MARK not in call_id:
        return call_id
    hidden = base64.urlsafe_b64encode((signature or "").encode()).decode().rstrip("=")
    return f"{call_id}{_MARK}{hidden}"


def split_signature(client_id: str) -> tuple[str, str | None]:
    """Return the provider's id of a call and its signature, from the id that the client knows."""
    call_id, mark, hidden = client_id.rpartition(_MARK)
    if not mark:
        return client_id, None
    try:
        padding = "=" * (-len(hidden) % 4)
        signature = base64.b64decode(hidden + padding, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return client_id, None
    return call_id, signature or None


def owned(owner: str, signature: str) -> str:
    """Return a provider's signature with its owner's name; for the middle, and back by `own`."""
    return signature if owner == ANTHROPIC else f"{owner}{_OWNER_END}{signature}"


def own(owner: str, signature: str | None) -> str | None:
    """Return the provider's own signature, `None` where there is none or it is another's."""
    name, named, rest = (signature or "").partition(_OWNER_END)
    if not named:
        return (signature or None) if owner == ANTHROPIC else None
    return rest if name == owner else None
