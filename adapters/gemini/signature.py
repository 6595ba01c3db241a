"""Thought signatures: Gemini's own must come back to it, and nobody else's may.

Gemini signs what it thought, mostly on a function call, and from its third generation on refuses a history
whose calls lack it. A client may change models in the middle of a conversation, so a signature that is
handed out says whose it is; one that says nothing or something else is another provider's and is not sent.
For calls that another model made, Google names a word to send instead, by which it checks nothing.
"""

from typing import Final

UNCHECKED: Final = "skip_thought_signature_validator"

_MARK: Final = "gemini:"


def marked(signature: str) -> str:
    """Return a signature as clients get it."""
    return _MARK + signature


def own(signature: str | None) -> str | None:
    """Return Gemini's own signature, `None` if there is none or it is another provider's."""
    if signature is None or not signature.startswith(_MARK):
        return None
    return signature.removeprefix(_MARK) or None
