"""Following one event stream: when its first token came, how far its events lie apart, and how it ended.

What is read is as little as possible. Until the first token every event is decoded, to tell text from the
empty deltas that some servers send ahead of it; after that events are only counted and looked at for an
error. Events that arrive in one read have no gap between them, and that is told as it is: whoever holds
tokens back and hands them out together shows as gaps of zero and long ones between.

A server on the same machine may write the moment of sending into each event's text, as `@` and microseconds
of the monotonic clock. Then the event's transit can be told too: from its sender's write to this read.
"""

import re
import time
from collections.abc import Callable
from typing import Final

import msgspec

from router.loadtest.exchange import WrongAnswer
from router.loadtest.histogram import Histogram

_STAMP: Final = re.compile(rb"@([0-9]{6,18})")
_SHOWN: Final = 200


class ErrorEvent(WrongAnswer):
    """The server told of an error in the middle of the stream."""


class IncompleteStream(WrongAnswer):
    """The body ended, by its framing in good order, without `[DONE]`."""


class Pace:
    """What the events of many streams came to, in seconds: the gaps between them, and their transit.

    Nothing is kept until `counting` is set; `events` counts all the same.
    """

    def __init__(self, *, stamped: bool = False) -> None:
        self.counting = False
        self.stamped = stamped
        self.events = 0
        self.gaps = Histogram()
        self.transit = Histogram()


class _Delta(msgspec.Struct):
    content: object = None
    reasoning_content: object = None
    reasoning: object = None
    refusal: object = None
    tool_calls: object = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    text: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None


class _Error(msgspec.Struct):
    error: object = None


_decode_chunk: Final = msgspec.json.Decoder(_Chunk).decode
_decode_error: Final = msgspec.json.Decoder(_Error).decode


class StreamReading:
    """Follows one stream; `now` is a clock in seconds, `first_token` its reading at the first token.

    `events` counts the events so far, `[DONE]` included.
    """

    __slots__ = ("_buffer", "_last", "_now", "_pace", "done", "events", "first_token")

    def __init__(self, pace: Pace, now: Callable[[], float]) -> None:
        self.events = 0
        self.done = False
        self.first_token: float | None = None
        self._pace = pace
        self._now = now
        self._last: float | None = None
        self._buffer = b""

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the body. Raises ErrorEvent, or WrongAnswer for what is no chunk."""
        if b"\r" in data:
            data = data.replace(b"\r", b"")
        *blocks, self._buffer = (self._buffer + data).split(b"\n\n")
        found = 0
        for block in blocks:
            at = block.find(b"data:")
            if at == 0 or (at > 0 and block[at - 1] == 10):
                found += 1
                self._read_event(block[at + 5 :])
        if found:
            self._count(found, blocks)

    def finish(self) -> None:
        """The body has ended. Raises IncompleteStream if its own end was not told."""
        if not self.done:
            raise IncompleteStream(f"the body ends without [DONE] after {self.events} events")

    def _read_event(self, data: bytes) -> None:
        if self.first_token is None and _has_output(data):
            self.first_token = self._now()
        elif data.strip() == b"[DONE]":
            self.done = True
        elif b'"error"' in data and _tells_error(data):
            raise ErrorEvent(f"an error event: {data[:_SHOWN]!r}")

    def _count(self, found: int, blocks: list[bytes]) -> None:
        pace = self._pace
        self.events += found
        pace.events += found
        if not pace.counting:
            self._last = None
            return
        now = self._now()
        if self._last is not None:
            pace.gaps.add(now - self._last)
        if found > 1:
            pace.gaps.add(0.0, found - 1)
        self._last = now
        if pace.stamped:
            self._tell_transit(blocks)

    def _tell_transit(self, blocks: list[bytes]) -> None:
        now = time.monotonic()
        for block in blocks:
            stamp = _STAMP.search(block)
            if stamp is not None:
                self._pace.transit.add(now - int(stamp[1]) / 1e6)


class WholeReading:
    """Follows an answer in one piece: any JSON with choices will do."""

    __slots__ = ("_pieces", "events", "first_token")

    def __init__(self) -> None:
        self.events = 0
        self.first_token: float | None = None
        self._pieces: list[bytes] = []

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        self._pieces.append(data)

    def finish(self) -> None:
        """The body has ended. Raises WrongAnswer if it is no completion."""
        body = b"".join(self._pieces)
        try:
            answer = _decode_chunk(body)
        except msgspec.DecodeError as error:
            raise WrongAnswer(f"not a completion ({error}): {body[:_SHOWN]!r}") from error
        if not answer.choices:
            raise WrongAnswer(f"a completion without choices: {body[:_SHOWN]!r}")


def _has_output(data: bytes) -> bool:
    """Tell whether an event carries text, reasoning or a tool call."""
    try:
        chunk = _decode_chunk(data)
    except msgspec.DecodeError:
        return False
    return any(
        choice.text or (choice.delta is not None and any(msgspec.structs.astuple(choice.delta)))
        for choice in chunk.choices or ()
    )


def _tells_error(data: bytes) -> bool:
    try:
        return bool(_decode_error(data).error)
    except msgspec.DecodeError:
        return False
