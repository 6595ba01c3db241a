"""The echo of a prefill: some providers begin the rest of an answer with what they were given of it.

Text that repeats the beginning is held back for as long as it does. Once all of it was repeated, it is
dropped; as soon as it differs, it was no echo, and goes out. Of a provider that is not known for it, only a
long beginning is taken for an echo: a short one may well stand in an answer twice, a long one hardly does.
"""

from typing import Final

LEAST_SURPRISE: Final = 64  # characters: about a sentence, word for word


class Echo:
    """Takes the echo of `beginning` out of a text that comes in pieces. `expected`: of any length.

    `was_dropped`: there was one, and the client has not seen it.
    """

    def __init__(self, beginning: str, *, expected: bool) -> None:
        self._beginning = beginning
        self._repeated = 0
        self._over = not expected and len(beginning) < LEAST_SURPRISE
        self.was_dropped = False

    def without(self, piece: str) -> str:
        """Return what can go out now that this piece has come."""
        if self._over:
            return piece
        start = self._repeated
        head = piece[: len(self._beginning) - start]
        if not self._beginning.startswith(head, start):
            return self.release() + piece
        self._repeated += len(head)
        if self._repeated < len(self._beginning):
            return ""
        self._over = self.was_dropped = True
        return piece[len(head) :]

    def release(self) -> str:
        """Return what is held back: nothing more will come that could make it an echo."""
        if self._over:
            return ""
        self._over = True
        return self._beginning[: self._repeated]
