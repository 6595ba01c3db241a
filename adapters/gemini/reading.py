"""One answer of Gemini as the story that the middle tells.

A whole answer and a stream are read by the same steps (a whole one is a stream of one chunk), so that they
cannot come to differ. Each candidate is a choice. Neighbouring text is one part, thoughts are another, each
call is one of its own and arrives whole.

Gemini marks the end of a candidate in a chunk which another may still follow, and older models mark every
chunk so. Only the end of the body is the end; until then nothing is said to have stopped.
"""

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Literal

import msgspec

from adapters.dialect import Failure, FailureKind
from adapters.gemini.finish import is_told, spoiled, stop_reason
from adapters.gemini.signature import owned
from adapters.gemini.usage import UsageReading
from adapters.gemini.wire import Candidate, FunctionCall, Part, PromptFeedback, Response
from adapters.middle.conversation import Conversation
from adapters.middle.event import (
    Alive,
    Begun,
    Ended,
    Failed,
    Grown,
    MiddleEvent,
    PartBegun,
    PartEnded,
    PartKind,
    Stopped,
    UsageTold,
)
from adapters.middle.format_tool import format_tool_name
from adapters.openai.foreign import NULL

NewId = Callable[[], str]


class AnswerReading:
    """Reads one answer, chunk by chunk. `new_id` gives a text that no other answer has."""

    def __init__(self, conversation: Conversation, new_id: NewId) -> None:
        self._format_tool = format_tool_name(conversation)
        self._new_id = new_id
        self._answer_id: str | None = None
        self._choices: dict[int, _Choice] = {}
        self._usage = UsageReading()
        self._failed = False

    def take(self, chunk: Response) -> list[MiddleEvent]:
        """Return what a chunk tells."""
        events: list[MiddleEvent] = []
        if self._answer_id is None:
            self._answer_id = chunk.response_id or self._new_id()
            events.append(Begun(id=chunk.response_id, created=_unix(chunk.create_time)))
        for place, candidate in enumerate(chunk.candidates or ()):
            events += self._take(place, candidate)
        usage = self._usage.take(chunk.usage_metadata)
        if usage is not None:
            events.append(UsageTold(usage))
        blocked = _blocked(chunk.prompt_feedback)
        if blocked is not None and not self._choices:
            events.append(self.fail(blocked))
        return events or [Alive()]

    def fail(self, failure: Failure) -> Failed:
        """Return that the answer has failed; it comes to no end from now on."""
        self._failed = True
        return Failed(failure)

    def finish(self, *, whole: bool = False) -> list[MiddleEvent]:
        """Return what the end of the body tells: nothing where a candidate has not come to its end.

        `whole`: the body is known to be whole, so a candidate that does not say why it ended has ended.
        """
        ended = all(whole or choice.ended for choice in self._choices.values())
        if self._failed or not self._choices or not ended:
            return []
        events: list[MiddleEvent] = []
        for _, choice in sorted(self._choices.items()):
            events += choice.finish()
        return [*events, Ended()]

    def _take(self, place: int, candidate: Candidate) -> list[MiddleEvent]:
        index = place if candidate.index is None else candidate.index
        choice = self._choices.setdefault(index, _Choice(index))
        events: list[MiddleEvent] = []
        parts = candidate.content.parts if candidate.content is not None else None
        for part in parts or ():
            events += self._take_part(choice, part)
        choice.note_end(candidate.finish_reason)
        failure = spoiled(candidate.finish_reason, candidate.finish_message)
        return events if failure is None else [*events, self.fail(failure)]

    def _take_part(self, choice: "_Choice", part: Part) -> list[MiddleEvent]:
        call = part.function_call
        if call is None:
            return choice.say(part.text or "", part.thought or False, part.thought_signature)
        if call.name == self._format_tool:
            return choice.say(_arguments(call), thought=False, signature=None)
        return choice.call(call.name, self._call_id(choice, call), _arguments(call), part)

    def _call_id(self, choice: "_Choice", call: FunctionCall) -> str:
        """Return the id that Gemini gave, or one of ours that no other call has in any answer."""
        if call.id:
            return call.id
        origin = f"{self._answer_id}/{choice.index}/{choice.parts_begun}"
        return f"call_{sha256(origin.encode()).hexdigest()[:24]}"


class _Choice:
    """One candidate: its parts are numbered as they begin, and at most one of them is open."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.parts_begun = 0
        self.ended = False
        self._open: Literal["text", "reasoning"] | None = None
        self._called = False
        self._reason: str | None = None

    def say(self, text: str, thought: bool, signature: str | None) -> list[MiddleEvent]:  # noqa: FBT001 - a field of the wire
        """Take text or a thought. A signature ends its thought; that of a text is a thought of its own."""
        kind: Literal["text", "reasoning"] = "reasoning" if thought else "text"
        events = self._grow(kind, text=text) if text else []
        if signature:
            events += self._grow("reasoning", signature=owned(signature))
            events += self._close()
        return events

    def call(self, name: str, call_id: str, arguments: str, part: Part) -> list[MiddleEvent]:
        """Take a call, which is always whole."""
        self._called = True
        events = [*self._close(), self._begin("call", call_id=call_id, name=name)]
        signature = owned(part.thought_signature) if part.thought_signature else None
        return [*events, self._grown(text=arguments, signature=signature), self._part_ended()]

    def note_end(self, reason: str | None) -> None:
        """Note why the candidate ended, if it says so; a later word replaces an earlier one."""
        if is_told(reason):
            self.ended = True
            self._reason = reason

    def finish(self) -> list[MiddleEvent]:
        """Return the end of the choice."""
        stop = stop_reason(self._reason, called=self._called)
        return [*self._close(), Stopped(choice=self.index, stop=stop)]

    def _grow(
        self, kind: Literal["text", "reasoning"], *, text: str = "", signature: str | None = None
    ) -> list[MiddleEvent]:
        events: list[MiddleEvent] = []
        if self._open != kind:
            events += [*self._close(), self._begin(kind)]
            self._open = kind
        return [*events, self._grown(text=text, signature=signature)]

    def _begin(
        self, kind: PartKind, *, call_id: str | None = None, name: str | None = None
    ) -> MiddleEvent:
        self.parts_begun += 1
        part = self.parts_begun - 1
        return PartBegun(choice=self.index, part=part, kind=kind, id=call_id, name=name)

    def _grown(self, *, text: str = "", signature: str | None = None) -> MiddleEvent:
        part = self.parts_begun - 1
        return Grown(choice=self.index, part=part, text=text, signature=signature)

    def _part_ended(self) -> MiddleEvent:
        return PartEnded(choice=self.index, part=self.parts_begun - 1)

    def _close(self) -> list[MiddleEvent]:
        if self._open is None:
            return []
        self._open = None
        return [self._part_ended()]


def _arguments(call: FunctionCall) -> str:
    return "{}" if call.args == NULL else msgspec.json.format(bytes(call.args), indent=-1).decode()


def _blocked(feedback: PromptFeedback | None) -> Failure | None:
    """Return the failure of a prompt that the provider would not read."""
    if feedback is None or not feedback.block_reason:
        return None
    reason = feedback.block_reason
    return Failure(
        kind=FailureKind.CONTENT_POLICY,
        status=400,
        message=feedback.block_reason_message or f"The provider blocked the prompt ({reason}).",
        type="invalid_request_error",
        code="content_filter",
    )


def _unix(time: str | None) -> int | None:
    """Read a time as Google writes it (RFC 3339); what cannot be read was not told."""
    try:
        return None if time is None else int(datetime.fromisoformat(time).timestamp())
    except (ValueError, OverflowError):
        return None
