"""The refrain: what the chunks of a stream repeat around the one string that changes.

A model's words come in chunks that differ in one JSON string and in nothing else: ids, names and braces are
the same hundreds of times. What a chunk means, and what the client gets for it, is found out once by reading
it. If the next one has the same bytes before and behind a string, it says the same of another text: JSON is
read from left to right, and nothing in a string changes what comes behind it. So it need not be read
again, and what the client gets has the same bytes around that string as before.

Where the string stands is certain when its bytes, with their quotes, occur only once. A stream that has no
refrain costs a few vain attempts to find one, and no more.
"""

from typing import Final

import msgspec

from adapters.openai.foreign import UNREADABLE

_START: Final = b"data: "
_STOP: Final = b"\n\n"
_VAIN_ATTEMPTS: Final = 4  # one each time that a stream turns from one kind of words to another, and more

_decode_text: Final = msgspec.json.Decoder(str).decode


class Refrain:
    """The refrain of one stream, as far as it is known.

    `before` and `behind` are what the client gets around each string; the string brings its quotes.
    """

    __slots__ = ("_begin", "_end", "_start", "_stop", "_vain", "before", "behind", "is_known")

    def __init__(self) -> None:
        self.is_known = False
        self.before = b""
        self.behind = b""
        self._begin = b""
        self._end = b""
        self._start = b""
        self._stop = b""
        self._vain = 0

    def learn(self, data: bytes, word: bytes, frame: bytes) -> None:
        """Learn it from the data of an event, its only string that will change, and what the client gets."""
        self.forget()
        self._vain += 1
        place, other = data.find(word), frame.find(word)
        if place != data.rfind(word) or other != frame.rfind(word) or b"\n" in data:
            return
        self._begin = data[: place + 1]
        self._end = data[place + len(word) - 1 :]
        self._start = _START + self._begin
        self._stop = self._end + _STOP
        self.before = frame[:other]
        self.behind = frame[other + len(word) :]
        self.is_known = True

    @property
    def is_sought(self) -> bool:
        """Whether a chunk is worth the attempt to learn from it."""
        return self._vain < _VAIN_ATTEMPTS

    def forget(self) -> None:
        """Know none any more, until one is learned."""
        self.is_known = False

    def word_of_event(self, event: bytes) -> bytes | None:
        """Return the string of a whole event in its usual form, `None` if it is another or no text."""
        return self._between(event, self._start, self._stop) if self.is_known else None

    def word_of_data(self, data: bytes) -> bytes | None:
        """Return the string of an event's data, `None` if it is another or no text."""
        return self._between(data, self._begin, self._end) if self.is_known else None

    def _between(self, data: bytes, start: bytes, stop: bytes) -> bytes | None:
        """Return what stands there with the two quotes, if it is a string and not empty."""
        if not (data.startswith(start) and data.endswith(stop)):
            return None
        word = data[len(start) - 1 : 1 - len(stop)]
        try:
            if not _decode_text(word):
                return None
        except UNREADABLE:
            return None
        self._vain = 0
        return word
