"""Messages, said as a whole or in named events.

A message is a list of blocks: a thought, text, calls. In a stream each block is opened, filled by
deltas and closed, under an index that counts all of them. A call without arguments gets one empty
fragment, as it does from the real service.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from router.simulator.anthropic.block_rules import THOUGHT
from router.simulator.anthropic.content import Reply
from router.simulator.anthropic.usage import output_usage
from router.simulator.behaviour import Behaviour
from router.simulator.choices import Choice
from router.simulator.signature import sign
from router.simulator.tool_calls import ToolCall
from router.simulator.usage import Usage
from router.simulator.voice import HOLE, Template

_PING: Final = b'{"type":"ping"}'
_encode: Final = msgspec.json.encode
Json = dict[str, Any]


class MessageVoice:
    """Says one reply to a request for this model; `usage` is that of its input."""

    def __init__(
        self, reply: Reply, *, model: str, name: str, usage: Usage, behaviour: Behaviour
    ) -> None:
        self._reply = reply
        self._usage = usage
        self._extra = behaviour.extra
        self._omit_usage = behaviour.omit_usage
        self._identity: Json = {
            "id": f"msg_{name}",
            "type": "message",
            **({} if behaviour.no_role else {"role": "assistant"}),
            "model": model,
        }

    def whole(self, choices: Sequence[Choice], usage: Usage) -> Json:
        """The answer that is not streamed."""
        (choice,) = choices
        return {
            **self._identity,
            "content": list(self._blocks(choice)),
            **self._stop(),
            "usage": {**self._usage, **usage, "service_tier": "standard"},
        }

    def openings(self, choices: Sequence[Choice]) -> Iterator[bytes]:  # noqa: ARG002 - the protocol's
        """The message without content, with the usage of its input; and a ping."""
        nothing: Json = {"content": [], "stop_reason": None, "stop_sequence": None}
        usage = self._told({"output_tokens": 1, "service_tier": "standard"})
        yield self._event("message_start", message={**self._identity, **nothing, **usage})
        yield _PING

    def beats(self, choice: Choice) -> Iterator[Sequence[bytes]]:
        """Block after block, a token of it at a time."""
        index = 0
        if choice.thoughts:
            yield from self._thought_beats(choice)
            index += 1
        if choice.tokens:
            deltas = self._deltas(index, choice.tokens, kind="text_delta", field="text")
            empty = {"type": "text", "text": ""}
            yield from self._framed(index, empty, deltas, count=len(choice.tokens))
            index += 1
        for call in choice.calls:
            yield from self._call_beats(index, call)
            index += 1

    def finish(self, choice: Choice, usage: Usage | None) -> Sequence[bytes]:  # noqa: ARG002 - as above
        """Why the answer ends, and all that it took."""
        usage = self._told(output_usage(self._reply))
        return (self._event("message_delta", delta=self._stop(), **usage),)

    def closing(self, usage: Usage) -> bytes:  # noqa: ARG002 - the protocol's
        """Never asked for: usage has its place already."""
        return b""

    def _told(self, more: Usage) -> Json:
        return {} if self._omit_usage else {"usage": {**self._usage, **more}}

    def _stop(self) -> Json:
        stopped_by = self._reply.choice.stopped_by
        return {"stop_reason": self._reply.stop_reason, "stop_sequence": stopped_by}

    def _blocks(self, choice: Choice) -> Iterator[Json]:
        if choice.thoughts:
            yield self._thought("".join(choice.thoughts))
        if choice.tokens:
            yield {"type": "text", "text": choice.text}
        for call in choice.calls:
            yield {**_opened(call), "input": _arguments(call)}

    def _thought(self, text: str) -> Json:
        if self._reply.thoughts == "redacted":
            return {"type": "redacted_thinking", "data": sign(THOUGHT, text)}
        shown = text if self._reply.thoughts == "shown" else ""
        return {"type": "thinking", "thinking": shown, "signature": sign(THOUGHT, shown)}

    def _thought_beats(self, choice: Choice) -> Iterator[Sequence[bytes]]:
        """A thought and its signature; one that is not shown takes its time all the same."""
        thought = self._thought("".join(choice.thoughts))
        count = len(choice.thoughts)
        if self._reply.thoughts == "redacted":
            yield from self._framed(0, thought, ((),) * count, count=count)
            return
        signed = {"type": "signature_delta", "signature": thought["signature"]}
        signature = self._event("content_block_delta", index=0, delta=signed)
        deltas: Iterable[Sequence[bytes]] = ((),) * count
        if self._reply.thoughts == "shown":
            deltas = self._deltas(0, choice.thoughts, kind="thinking_delta", field="thinking")
        last = ((*delta, signature) if n == count else delta for n, delta in enumerate(deltas, 1))
        empty = {"type": "thinking", "thinking": "", "signature": ""}
        yield from self._framed(0, empty, last, count=count)

    def _call_beats(self, index: int, call: ToolCall) -> Iterator[Sequence[bytes]]:
        """The fragments of the arguments; the one fragment of no arguments is empty."""
        fragments = [""] if call.fragments == ["{}"] else call.fragments
        deltas = self._deltas(index, fragments, kind="input_json_delta", field="partial_json")
        opened = {**_opened(call), "input": {}}
        yield from self._framed(index, opened, deltas, count=len(fragments))

    def _deltas(
        self, index: int, tokens: Sequence[str], *, kind: str, field: str
    ) -> Iterator[Sequence[bytes]]:
        delta = {"type": kind, field: HOLE}
        template = Template.around(self._event("content_block_delta", index=index, delta=delta))
        return ((template.fill(token),) for token in tokens)

    def _framed(
        self, index: int, block: Json, beats: Iterable[Sequence[bytes]], *, count: int
    ) -> Iterator[Sequence[bytes]]:
        """The beats of a block, opened with the first and closed with the last of them."""
        for number, beat in enumerate(beats, 1):
            opening: Sequence[bytes] = ()
            closing: Sequence[bytes] = ()
            if number == 1:
                opening = (self._event("content_block_start", index=index, content_block=block),)
            if number == count:
                closing = (self._event("content_block_stop", index=index),)
            yield (*opening, *beat, *closing)

    def _event(self, kind: str, **fields: object) -> bytes:
        return _encode({"type": kind, **fields, **self._extra})


def _opened(call: ToolCall) -> Json:
    return {"type": "tool_use", "id": f"toolu_{call.id[5:]}", "name": call.name}


def _arguments(call: ToolCall) -> object:
    """The input of a call; one that was broken off has none that could be read."""
    try:
        return msgspec.json.decode("".join(call.fragments))
    except msgspec.DecodeError:
        return {}
