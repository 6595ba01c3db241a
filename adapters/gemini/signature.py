"""Thought signatures: Gemini signs what it thought, mostly on a function call, and wants that back.

From its third generation on it refuses a history whose calls lack their signature. For calls that another
model made, Google names a word to send instead, by which it checks nothing. How a signature gets through the
clients, and that only its owner sees it again, is the matter of `adapters.middle.signature`.
"""

from typing import Final

from adapters.middle import signature as middle

UNCHECKED: Final = "skip_thought_signature_validator"

_OWNER: Final = "gemini"


def owned(signature: str) -> str:
    """Return a signature as the middle carries it."""
    return middle.owned(_OWNER, signature)


def own(signature: str | None) -> str | None:
    """Return Gemini's own signature, `None` if there is none or it is another provider's."""
    return middle.own(_OWNER, signature)
