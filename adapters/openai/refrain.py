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


class Around:
    """The bytes around a string, its quotes among them. `was_met`: they have been met again."""

    __slots__ = ("_first", "_last", "_start", "_stop", "was_met")

    def __init__(self, start: bytes, stop: bytes) -> None:
        self._start = start
        self._stop = stop
        self._first = len(start) - 1
        self._last = 1 - len(stop)
        self.was_met = False

    def string_in(self, data: bytes) -> bytes | None:
        """Return the JSON of the string that stands there; `None` if it is empty, or this is another."""
        if not (data.startswith(self._start) and data.endswith(self._stop)):
            return None
        string = data[self._first : self._last]
        try:
            if not _decode_text(string):
                return None
        except UNREADABLE:
            return None
        self.was_met = True
        return string


class Refrain:
    """The refrain of one stream.

    While it is known, `in_event` finds the string in a whole event of the usual form, `in_data` in an
    event's data; `before` and `behind` are what the client gets around it. `chunk` is one that it got.
    """

    __slots__ = ("_vain", "before", "behind", "chunk", "in_data", "in_event")

    def __init__(self) -> None:
        self.in_event: Around | None = None
        self.in_data: Around | None = None
        self.before = b""
        self.behind = b""
        self.chunk = b""
        self._vain = 0

    @property
    def is_sought(self) -> bool:
        """Whether a chunk is worth the attempt to learn from it."""
        return self._vain < _VAIN_ATTEMPTS or self._was_met()

    def learn(self, data: bytes, string: bytes, frame: bytes) -> None:
        """Learn it from the data of an event, the string in it, and what the client gets for the event."""
        self._vain = 0 if self._was_met() else self._vain + 1
        self.forget()
        place, other = data.find(string), frame.find(string)
        if place != data.rfind(string) or other != frame.rfind(string) or b"\n" in data:
            return
        start, stop = data[: place + 1], data[place + len(string) - 1 :]
        self.in_event = Around(_START + start, stop + _STOP)
        self.in_data = Around(start, stop)
        self.chunk = frame.removeprefix(_START).removesuffix(_STOP)
        self.before, self.behind = frame[:other], frame[other + len(string) :]

    def forget(self) -> None:
        """Know none any more, until one is learned."""
        self.in_event = self.in_data = None

    def _was_met(self) -> bool:
        return any(form is not None and form.was_met for form in (self.in_event, self.in_data))
