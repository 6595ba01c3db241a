"""Cohere's messages, said as a whole or in named events.

What is thought before text is a block of content, what is thought before calls is the plan for them. Each
block and each call is started, filled by deltas and ended, under an index that counts blocks and calls apart.
The last event has the reason and the usage, and is there even where its provider counted nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from router.simulator.behaviour import Behaviour
from router.simulator.choices import Choice
from router.simulator.tool_calls import ToolCall
from router.simulator.usage import Usage
from router.simulator.voice import HOLE, Template

_encode: Final = msgspec.json.encode
_REASONS: Final = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL"}
Json = dict[str, Any]


class CohereVoice:
    """Says one answer; `usage` is all that it takes."""

    def __init__(self, *, name: str, usage: Usage, behaviour: Behaviour) -> None:
        self._id = f"sim-{name}"
        self._usage: Json = {} if behaviour.omit_usage else {"usage": usage}
        self._extra = behaviour.extra
        self._role: Json = {} if behaviour.no_role else {"role": "assistant"}

    def whole(self, choices: Sequence[Choice], usage: Usage) -> Json:
        """The answer that is not streamed."""
        (choice,) = choices
        message: Json = {**self._role}
        if choice.calls:
            message["tool_plan"] = "".join(choice.thoughts)
            message["tool_calls"] = [
                _call(call, arguments="".join(call.fragments)) for call in choice.calls
            ]
        else:
            message["content"] = list(_blocks(choice))
        return {"id": self._id, "message": message, **_reason(choice), "usage": usage}

    def openings(self, choices: Sequence[Choice]) -> Iterator[bytes]:  # noqa: ARG002 - the protocol's
        """The message without content."""
        empty: Json = {"content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        yield self._event("message-start", id=self._id, delta={"message": {**self._role, **empty}})

    def beats(self, choice: Choice) -> Iterator[Sequence[bytes]]:
        """Thoughts, then text or calls, a token at a time."""
        if choice.calls:
            yield from self._plan_beats(choice)
            for number, call in enumerate(choice.calls):
                yield from self._call_beats(number, call)
            return
        index = 0
        if choice.thoughts:
            yield from self._block_beats(index, "thinking", choice.thoughts)
            index += 1
        if choice.tokens:
            yield from self._block_beats(index, "text", choice.tokens)

    def finish(self, choice: Choice, usage: Usage | None) -> Sequence[bytes]:  # noqa: ARG002 - as above
        """The reason, and all that it took."""
        return (self._event("message-end", delta={**_reason(choice), **self._usage}),)

    def closing(self, usage: Usage) -> bytes:  # noqa: ARG002 - as above
        """Never asked for: usage has its place already."""
        return b""

    def _plan_beats(self, choice: Choice) -> Iterator[Sequence[bytes]]:
        """The thoughts that lead to calls."""
        template = self._template("tool-plan-delta", delta={"message": {"tool_plan": HOLE}})
        for token in choice.thoughts:
            yield (template.fill(token),)

    def _block_beats(
        self, index: int, kind: str, tokens: Sequence[str]
    ) -> Iterator[Sequence[bytes]]:
        empty = {"message": {"content": {"type": kind, kind: ""}}}
        template = self._template(
            "content-delta", index=index, delta={"message": {"content": {kind: HOLE}}}
        )
        start = self._event("content-start", index=index, delta=empty)
        end = self._event("content-end", index=index)
        yield from _framed(start, (template.fill(token) for token in tokens), end, len(tokens))

    def _call_beats(self, number: int, call: ToolCall) -> Iterator[Sequence[bytes]]:
        opened = {"message": {"tool_calls": _call(call, arguments="")}}
        fragment = {"message": {"tool_calls": {"function": {"arguments": HOLE}}}}
        template = self._template("tool-call-delta", index=number, delta=fragment)
        start = self._event("tool-call-start", index=number, delta=opened)
        end = self._event("tool-call-end", index=number)
        said = (template.fill(text) for text in call.fragments)
        yield from _framed(start, said, end, len(call.fragments))

    def _template(self, kind: str, **fields: object) -> Template:
        return Template.around(self._event(kind, **fields))

    def _event(self, kind: str, **fields: object) -> bytes:
        return _encode({"type": kind, **fields, **self._extra})


def _framed(
    start: bytes, beats: Iterable[bytes], end: bytes, count: int
) -> Iterator[Sequence[bytes]]:
    """Beats, the first of them behind its start and the last before its end."""
    for number, beat in enumerate(beats, 1):
        opening: Sequence[bytes] = (start,) if number == 1 else ()
        closing: Sequence[bytes] = (end,) if number == count else ()
        yield (*opening, beat, *closing)


def _blocks(choice: Choice) -> Iterator[Json]:
    if choice.thoughts:
        yield {"type": "thinking", "thinking": "".join(choice.thoughts)}
    if choice.tokens:
        yield {"type": "text", "text": choice.text}


def _reason(choice: Choice) -> Json:
    stopped = choice.stopped_by is not None
    return {"finish_reason": "STOP_SEQUENCE" if stopped else _REASONS[choice.finish_reason]}


def _call(call: ToolCall, *, arguments: str) -> Json:
    return {
        "id": f"{call.name}_{call.id[5:]}",
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }
