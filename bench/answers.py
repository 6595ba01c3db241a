"""Whether an answer is the right one: complete, by the book, and the expected text to the byte.

A stream is checked event by event while it arrives, so that a fault is reported where it
happened. The book, as clients rely on it: the first delta carries the role, the text follows, one finish
reason, usage in one chunk without choices if and only if it was asked for, `[DONE]`, and then
nothing. The wire format is kept narrow too: `data: ` lines, blank lines and comments, nothing
else.
"""

from typing import Final

import msgspec

from bench.work import Work
from router.loadtest.exchange import WrongAnswer

_SHOWN: Final = 60


class _Delta(msgspec.Struct):
    role: str | None = None
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    completion_tokens: int


class _Chunk(msgspec.Struct):
    id: str
    choices: list[_Choice]
    usage: _Usage | None = None


class _Message(msgspec.Struct):
    content: str


class _WholeChoice(msgspec.Struct):
    message: _Message


class _Whole(msgspec.Struct):
    choices: list[_WholeChoice]
    usage: _Usage


_decode_chunk: Final = msgspec.json.Decoder(_Chunk).decode
_decode_whole: Final = msgspec.json.Decoder(_Whole).decode


def check_whole(body: bytes, work: Work) -> None:
    """Check an answer given in one piece; raises WrongAnswer."""
    try:
        answer = _decode_whole(body)
    except msgspec.DecodeError as error:
        raise WrongAnswer(f"not a chat completion ({error}): {body[:_SHOWN]!r}") from error
    said = [choice.message.content for choice in answer.choices]
    if said != [work.text]:
        raise WrongAnswer(f"it says {said!r:.200}, expected {work.text!r:.200}")
    _check_usage(answer.usage, work)


class StreamCheck:
    """Follows one event stream.

    `events` counts the events so far, `[DONE]` included.
    """

    __slots__ = ("_at", "_buffer", "_done", "_finished", "_id", "_usage", "_work", "events")

    def __init__(self, work: Work) -> None:
        self.events = 0
        self._work = work
        self._buffer = b""
        self._at = 0
        self._id = ""
        self._finished = False
        self._usage = False
        self._done = False

    @property
    def has_text(self) -> bool:
        """Whether the first token has come; the role alone is none."""
        return self._at > 0

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the body. Raises WrongAnswer at the first wrong one."""
        *blocks, self._buffer = (self._buffer + data).split(b"\n\n")
        for block in blocks:
            if block.startswith(b"data: "):
                self.events += 1
                self._read_event(block[6:])
            elif not block.startswith(b":") or b"\n" in block:
                raise self._wrong(f"neither an event nor a comment: {block[:_SHOWN]!r}")

    def finish(self) -> None:
        """The body has ended. Raises WrongAnswer if anything is missing."""
        if self._buffer:
            raise self._wrong(f"the body ends within an event: {self._buffer[:_SHOWN]!r}")
        if not self._done:
            raise self._wrong("the body ends without [DONE]")
        if self._at != len(self._work.text):
            raise self._wrong(f"{len(self._work.text) - self._at} characters are missing")
        if not self._finished:
            raise self._wrong("no finish reason")
        if self._usage != self._work.wants_usage:
            raise self._wrong("usage was asked for and did not come")

    def _read_event(self, data: bytes) -> None:
        if self._done:
            raise self._wrong(f"an event after [DONE]: {data[:_SHOWN]!r}")
        if data == b"[DONE]":
            self._done = True
            return
        try:
            chunk = _decode_chunk(data)
        except msgspec.DecodeError as error:
            raise self._wrong(f"not a chunk ({error}): {data[:_SHOWN]!r}") from error
        if not self._id:
            self._check_first(chunk)
        elif chunk.id != self._id:
            raise self._wrong(f"a chunk of another answer, {chunk.id!r}")
        if chunk.usage is not None:
            self._read_usage(chunk, chunk.usage)
        elif len(chunk.choices) != 1:
            raise self._wrong(f"{len(chunk.choices)} choices where one was asked for")
        else:
            self._read_choice(chunk.choices[0])

    def _check_first(self, chunk: _Chunk) -> None:
        self._id = chunk.id
        if not chunk.id or not chunk.choices or chunk.choices[0].delta.role != "assistant":
            raise self._wrong("the first chunk has no id or no role")

    def _read_choice(self, choice: _Choice) -> None:
        content = choice.delta.content or ""
        if self._usage or (self._finished and (content or choice.finish_reason)):
            raise self._wrong("output after the end of the answer")
        if not self._work.text.startswith(content, self._at):
            expected = self._work.text[self._at : self._at + len(content)]
            raise self._wrong(f"{content!r:.100} where {expected!r:.100} belongs")
        self._at += len(content)
        if choice.finish_reason is not None:
            self._finished = True

    def _read_usage(self, chunk: _Chunk, usage: _Usage) -> None:
        if not self._work.wants_usage:
            raise self._wrong("usage that nobody asked for")
        if chunk.choices or self._usage:
            raise self._wrong("usage that is not in one chunk of its own")
        _check_usage(usage, self._work)
        self._usage = True

    def _wrong(self, what: str) -> WrongAnswer:
        return WrongAnswer(f"event {self.events}: {what}")


def _check_usage(usage: _Usage, work: Work) -> None:
    if usage.completion_tokens != work.tokens:
        raise WrongAnswer(f"usage of {usage.completion_tokens} tokens, expected {work.tokens}")
