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
_VAIN_ATTEMPTS: Final = (
    4  # a stream turns from thoughts to text, and it may begin with strange words
)

_decode_text: Final = msgspec.json.Decoder(str).decode


class Refrain:
    """The refrain of one stream.

    While one is known, `text_in` finds the string in an event; `before` and `behind` are what the client gets
    around it. `chunk` is one that it got.
    """

    __slots__ = (
        "_first",
        "_last",
        "_start",
        "_stop",
        "_vain",
        "_was_met",
        "before",
        "behind",
        "chunk",
        "is_known",
    )

    def __init__(self) -> None:
        self.is_known = False
        self.before = b""
        self.behind = b""
        self.chunk = b""
        self._start = b""  # what an event has before the string, its first quote included
        self._stop = b""
        self._first = 0  # where the string is, between them and with its quotes
        self._last = 0
        self._was_met = False
        self._vain = 0

    @property
    def is_sought(self) -> bool:
        """Whether a chunk is worth the attempt to learn from it."""
        return self._vain < _VAIN_ATTEMPTS or self._was_met

    def text_in(self, event: bytes) -> bytes | None:
        """Return the JSON of the string in a whole event; `None` if it is empty, or the event is another."""
        if not (self.is_known and event.startswith(self._start) and event.endswith(self._stop)):
            return None
        text = event[self._first : self._last]
        try:
            if not _decode_text(text):
                return None
        except UNREADABLE:
            return None
        self._was_met = True
        return text

    def learn(self, data: bytes, string: bytes, frame: bytes) -> None:
        """Learn it from the data of an event, the string in it, and what the client gets for the event."""
        self._vain = 0 if self._was_met else self._vain + 1
        self.forget()
        place, other = data.find(string), frame.find(string)
        if place != data.rfind(string) or other != frame.rfind(string) or b"\n" in data:
            return
        self.is_known = True
        self._start = _START + data[: place + 1]
        self._stop = data[place + len(string) - 1 :] + _STOP
        self._first = len(self._start) - 1
        self._last = 1 - len(self._stop)
        self.chunk = frame.removeprefix(_START).removesuffix(_STOP)
        self.before, self.behind = frame[:other], frame[other + len(string) :]

    def forget(self) -> None:
        """Know none any more, until one is learned."""
        self.is_known = self._was_met = False
