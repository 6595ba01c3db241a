"""Candidates, said as a whole or in chunks; a chunk has the form of a whole answer.

A call comes whole, in one part, as soon as its last argument is there. Usage stands in every chunk
and counts what was said so far. A stream ends with an empty part and the reason. From the third
generation on calls are signed and have ids; where there are none, the last part is signed instead.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from router.simulator.behaviour import Behaviour
from router.simulator.choices import Choice
from router.simulator.gemini.contents import THOUGHT
from router.simulator.gemini.model import generation_of
from router.simulator.signature import sign
from router.simulator.tool_calls import ToolCall
from router.simulator.usage import Usage

_encode: Final = msgspec.json.encode
_REASONS: Final = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS"}
Json = dict[str, Any]


class CandidateVoice:
    """Says one answer of this model; `prompt` is the usage of its input."""

    def __init__(
        self, *, model: str, name: str, prompt: Usage, thoughts: bool, behaviour: Behaviour
    ) -> None:
        self._identity: Json = {"modelVersion": model, "responseId": f"resp-{name}"}
        self._prompt = prompt
        self._signs = generation_of(model) >= 3
        self._thoughts = thoughts
        self._behaviour = behaviour
        self._thought_count = 0
        self._said_count = 0

    def whole(self, choices: Sequence[Choice], usage: Usage) -> Json:  # noqa: ARG002 - the protocol's
        """The answer that is not streamed."""
        self._thought_count = sum(len(choice.thoughts) for choice in choices)
        self._said_count = sum(choice.produced for choice in choices) - self._thought_count
        said = [
            self._candidate(choice.index, self._parts(choice), _REASONS[choice.finish_reason])
            for choice in choices
        ]
        return {"candidates": said, "usageMetadata": self._usage(), **self._identity}

    def openings(self, choices: Sequence[Choice]) -> Iterator[bytes]:  # noqa: ARG002 - as above
        """Nothing: the first token opens the answer."""
        return iter(())

    def beats(self, choice: Choice) -> Iterator[Sequence[bytes]]:
        """Thoughts and text token by token, a call at its last token."""
        for token in choice.thoughts:
            self._thought_count += 1
            part = {"text": token, "thought": True}
            yield (self._chunk(choice.index, [part]),) if self._thoughts else ()
        for token in choice.tokens:
            self._said_count += 1
            yield (self._chunk(choice.index, [{"text": token}]),)
        for number, call in enumerate(choice.calls):
            for _ in call.fragments[:-1]:
                self._said_count += 1
                yield ()
            self._said_count += 1
            yield tuple(self._chunk(choice.index, [part]) for part in self._call(call, number))

    def finish(self, choice: Choice, usage: Usage | None) -> Sequence[bytes]:  # noqa: ARG002 - as above
        """An empty part with the reason."""
        signed = {} if choice.calls else self._signature("")
        reason = _REASONS[choice.finish_reason]
        return (self._chunk(choice.index, [{"text": "", **signed}], reason),)

    def closing(self, usage: Usage) -> bytes:  # noqa: ARG002 - as above
        """Never asked for: usage has its place already."""
        return b""

    def _parts(self, choice: Choice) -> list[Json]:
        parts: list[Json] = []
        if choice.thoughts and self._thoughts:
            parts.append({"text": "".join(choice.thoughts), "thought": True})
        if choice.tokens:
            signed = {} if choice.calls else self._signature("")
            parts.append({"text": choice.text, **signed})
        for number, call in enumerate(choice.calls):
            parts.extend(self._call(call, number))
        return parts

    def _call(self, call: ToolCall, number: int) -> Iterator[Json]:
        """The part of a call, none for one that was broken off; only the first is signed."""
        try:
            arguments = msgspec.json.decode("".join(call.fragments))
        except msgspec.DecodeError:
            return
        said = {"name": call.name, "args": arguments, **({"id": call.id} if self._signs else {})}
        yield {"functionCall": said, **(self._signature(call.name) if number == 0 else {})}

    def _signature(self, name: str) -> Json:
        return {"thoughtSignature": sign(THOUGHT, name)} if self._signs else {}

    def _candidate(self, index: int, parts: list[Json], reason: str | None) -> Json:
        role = {} if self._behaviour.no_role else {"role": "model"}
        content = {**({"parts": parts} if parts else {}), **role}
        ended = {} if reason is None else {"finishReason": reason}
        return {"content": content, **ended, "index": index}

    def _chunk(self, index: int, parts: list[Json], reason: str | None = None) -> bytes:
        told = reason is not None or not self._behaviour.usage_on_last_chunk
        shown = told and not self._behaviour.omit_usage
        chunk = {
            "candidates": [self._candidate(index, parts, reason)],
            **({"usageMetadata": self._usage()} if shown else {}),
            **self._identity,
            **self._behaviour.extra,
        }
        return _encode(chunk)

    def _usage(self) -> Json:
        """What was used so far; counts of nothing are left out."""
        counts = {
            "candidatesTokenCount": self._said_count,
            "thoughtsTokenCount": self._thought_count,
        }
        total = self._prompt["promptTokenCount"] + self._said_count + self._thought_count
        told = {name: count for name, count in counts.items() if count}
        return {**self._prompt, **told, "totalTokenCount": total}
