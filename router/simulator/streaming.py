"""Answers given as a stream of events, by the book unless a behaviour says otherwise.

The book, in OpenAI's words: for each choice a first delta with the role and no content, then one
event a token, then the finish reason; usage in a chunk of its own without choices, if asked for;
`[DONE]`; and the body ends right there. A voice and an idiom say the same in another dialect.

The openings are due with the first token, each further token a gap later, and the finish reason
where one more token would have been, since a model learns that it is done by producing an end
token.
"""

import itertools
from collections.abc import Iterator, Sequence

import msgspec

from router.simulator.behaviour import Behaviour
from router.simulator.choices import Choice
from router.simulator.idiom import Complaint, Idiom
from router.simulator.performance import Ending, Head, Headers, Performance, Step
from router.simulator.shaping import coalesced, shaped
from router.simulator.timing import Timing
from router.simulator.usage import Usage
from router.simulator.voice import Voice


def streamed_answer(
    script: Iterator[Step],
    *,
    at: float,
    idiom: Idiom,
    behaviour: Behaviour,
    headers: Headers = (),
) -> Performance:
    """A 200 with the script's payloads as events, the first of them due after `at` seconds."""
    if behaviour.gzip:
        headers = (*headers, (b"content-encoding", b"gzip"))
    head_at = at if behaviour.delay_head is None else behaviour.delay_head
    steps = idiom.odd_lines(script) if behaviour.crlf else idiom.lines(script)
    if behaviour.coalesce > 1:
        steps = coalesced(steps, behaviour.coalesce)
    return Performance(head_at, Head(200, (*idiom.media, *headers)), shaped(steps, behaviour))


class Script:
    """The payloads of one stream with their moments, faults included."""

    def __init__(
        self,
        voice: Voice,
        choices: Sequence[Choice],
        *,
        idiom: Idiom,
        behaviour: Behaviour,
        timing: Timing,
    ) -> None:
        self._voice = voice
        self._choices = choices
        self._idiom = idiom
        self._behaviour = behaviour
        self._timing = timing

    def steps(self, usage: Usage, *, asked: bool) -> Iterator[Step]:
        """Write the stream down; `asked` says whether the client wants a chunk with usage."""
        at = self._timing.first
        yield from ((at, payload, None) for payload in self._openings())
        rounds = zip(self._timing.tokens(), self._rounds(usage), strict=False)
        for number, (moment, payloads) in enumerate(rounds):
            at = moment
            if broken := self._break(number, at):
                yield broken
                return
            if number == self._behaviour.malformed_at:
                yield at, self._idiom.malformed, None
            for payload in payloads:
                yield at, payload, None
        if asked and not self._behaviour.omit_usage and not self._behaviour.usage_on_last_chunk:
            yield at, self._voice.closing(usage), None
        yield from self._end(at)

    def _openings(self) -> Iterator[bytes]:
        if self._behaviour.unknown_event:
            yield self._idiom.unknown
        yield from self._voice.openings(self._choices)

    def _rounds(self, usage: Usage) -> Iterator[Sequence[bytes]]:
        """For each moment the payloads due then: a token of every choice, or the finish of one."""
        parts = [
            itertools.chain(self._voice.beats(one), self._finish(one, usage))
            for one in self._choices
        ]
        if len(parts) == 1:
            return parts[0]
        together = itertools.zip_longest(*parts, fillvalue=())
        return (tuple(itertools.chain.from_iterable(beats)) for beats in together)

    def _finish(self, choice: Choice, usage: Usage) -> Iterator[Sequence[bytes]]:
        carries_usage = self._behaviour.usage_on_last_chunk and choice is self._choices[-1]
        yield self._voice.finish(choice, usage if carries_usage else None)

    def _break(self, number: int, at: float) -> Step | None:
        """The last step, if the stream breaks where token `number` is due."""
        behaviour = self._behaviour
        if number == behaviour.cut_after:
            return at, b"", Ending.CUT
        if number == behaviour.stall_after:
            return at, b"", Ending.STALL
        if number == behaviour.error_event_after:
            complaint = Complaint.ordered(behaviour.error_event_status, behaviour)
            error = msgspec.json.encode(self._idiom.in_stream(complaint))
            return at, error, Ending.COMPLETE
        return None

    def _end(self, at: float) -> Iterator[Step]:
        ending = Ending.HANG_UP if self._behaviour.hang_up else Ending.COMPLETE
        done = b"" if self._behaviour.omit_done else self._idiom.done
        if self._behaviour.keep_open_after_done:
            yield at, done, None
            done, at = b"", at + self._behaviour.keep_open_after_done
        yield at, done, ending
