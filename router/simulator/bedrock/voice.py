"""Converse's answers, said as a whole or as the members of a stream's union.

A message is a list of blocks: a thought, text, calls. In a stream only a call's block is opened; every block
is filled by deltas and closed. The reason comes next, and usage last of all, in an event of its own.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from router.simulator.anthropic.block_rules import THOUGHT
from router.simulator.behaviour import Behaviour
from router.simulator.choices import Choice
from router.simulator.signature import sign
from router.simulator.tool_calls import ToolCall
from router.simulator.usage import Usage
from router.simulator.voice import HOLE, Template

_encode: Final = msgspec.json.encode
_REASONS: Final = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_METRICS: Final = {"metrics": {"latencyMs": 1}}
_PADDING: Final = {"p": "abcdefgh"}
"""What real events carry so that their length tells less."""
Json = dict[str, Any]


class ConverseVoice:
    """Says one answer. `signs`: the model signs what it thinks. `tells_stop`: which text stopped it."""

    def __init__(self, *, signs: bool, tells_stop: bool, behaviour: Behaviour) -> None:
        self._signs = signs
        self._tells_stop = tells_stop
        self._extra = behaviour.extra
        self._role: Json = {} if behaviour.no_role else {"role": "assistant"}

    def whole(self, choices: Sequence[Choice], usage: Usage) -> Json:
        """The answer that is not streamed."""
        (choice,) = choices
        message = {**self._role, "content": list(self._blocks(choice))}
        return {"output": {"message": message}, **self._stop(choice), "usage": usage, **_METRICS}

    def openings(self, choices: Sequence[Choice]) -> Iterator[bytes]:  # noqa: ARG002 - the protocol's
        """Who speaks."""
        yield self._event("messageStart", **self._role)

    def beats(self, choice: Choice) -> Iterator[Sequence[bytes]]:
        """Block after block, a token of it at a time."""
        index = 0
        if choice.thoughts:
            yield from self._thought_beats(choice.thoughts)
            index += 1
        if choice.tokens:
            deltas = self._deltas(index, choice.tokens, {"text": HOLE})
            yield from self._closed(index, deltas, count=len(choice.tokens))
            index += 1
        for call in choice.calls:
            yield from self._call_beats(index, call)
            index += 1

    def finish(self, choice: Choice, usage: Usage | None) -> Sequence[bytes]:
        """Why the answer ends."""
        ended = self._event("messageStop", **self._stop(choice))
        return (ended,) if usage is None else (ended, self.closing(usage))

    def closing(self, usage: Usage) -> bytes:
        """All that it took."""
        return self._event("metadata", usage=usage, **_METRICS)

    def _stop(self, choice: Choice) -> Json:
        stopped = choice.stopped_by is not None
        reason = "stop_sequence" if stopped else _REASONS[choice.finish_reason]
        if not self._tells_stop:
            return {"stopReason": reason}
        told = {"stop_sequence": choice.stopped_by}
        return {"stopReason": reason, "additionalModelResponseFields": told}

    def _blocks(self, choice: Choice) -> Iterator[Json]:
        if choice.thoughts:
            text = "".join(choice.thoughts)
            signed = {"signature": sign(THOUGHT, text)} if self._signs else {}
            yield {"reasoningContent": {"reasoningText": {"text": text, **signed}}}
        if choice.tokens:
            yield {"text": choice.text}
        for call in choice.calls:
            yield {"toolUse": {**_opened(call), "input": _arguments(call)}}

    def _thought_beats(self, thoughts: Sequence[str]) -> Iterator[Sequence[bytes]]:
        """A thought, and behind its last piece the signature."""
        deltas = self._deltas(0, thoughts, {"reasoningContent": {"text": HOLE}})
        signature: Sequence[bytes] = ()
        if self._signs:
            signed = {"reasoningContent": {"signature": sign(THOUGHT, "".join(thoughts))}}
            signature = (self._event("contentBlockDelta", contentBlockIndex=0, delta=signed),)
        count = len(thoughts)
        last = ((*delta, *signature) if n == count else delta for n, delta in enumerate(deltas, 1))
        yield from self._closed(0, last, count=count)

    def _call_beats(self, index: int, call: ToolCall) -> Iterator[Sequence[bytes]]:
        """The fragments of the arguments, opened with the first; no arguments are one empty fragment."""
        fragments = [""] if call.fragments == ["{}"] else call.fragments
        start = {"toolUse": _opened(call)}
        opened = self._event("contentBlockStart", contentBlockIndex=index, start=start)
        deltas = self._deltas(index, fragments, {"toolUse": {"input": HOLE}})
        first = ((opened, *delta) if n == 0 else delta for n, delta in enumerate(deltas))
        yield from self._closed(index, first, count=len(fragments))

    def _deltas(self, index: int, tokens: Sequence[str], delta: Json) -> Iterator[Sequence[bytes]]:
        event = self._event("contentBlockDelta", contentBlockIndex=index, delta=delta)
        template = Template.around(event)
        return ((template.fill(token),) for token in tokens)

    def _closed(
        self, index: int, beats: Iterable[Sequence[bytes]], *, count: int
    ) -> Iterator[Sequence[bytes]]:
        """The beats of a block, closed with the last of them."""
        for number, beat in enumerate(beats, 1):
            closing: Sequence[bytes] = ()
            if number == count:
                closing = (self._event("contentBlockStop", contentBlockIndex=index),)
            yield (*beat, *closing)

    def _event(self, name: str, **members: object) -> bytes:
        return _encode({name: {**members, **_PADDING, **self._extra}})


def _opened(call: ToolCall) -> Json:
    return {"toolUseId": f"tooluse_{call.id[5:]}", "name": call.name}


def _arguments(call: ToolCall) -> object:
    """The input of a call; one that was broken off has none that could be read."""
    try:
        return msgspec.json.decode("".join(call.fragments))
    except msgspec.DecodeError:
        return {}
