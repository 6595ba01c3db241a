"""Chat completions, said as a whole or in chunks."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from router.simulator.choices import Choice
from router.simulator.logprobs import chat_logprob
from router.simulator.tool_calls import ToolCall
from router.simulator.usage import Usage
from router.simulator.voice import HOLE, Identity

_CHUNK: Final = "chat.completion.chunk"


class ChatVoice:
    """Says chat answers.

    `top_logprobs` None leaves log probabilities out, `no_role` the role of the opening.
    """

    def __init__(self, identity: Identity, *, top_logprobs: int | None, no_role: bool) -> None:
        self._identity = identity
        self._top = top_logprobs
        self._no_role = no_role

    def whole(self, choices: Sequence[Choice], usage: Usage) -> dict[str, Any]:
        """The answer that is not streamed."""
        return self._identity.part("chat.completion", [self._said(one) for one in choices], usage)

    def openings(self, choices: Sequence[Choice]) -> Iterator[bytes]:
        """One chunk a choice with the role and no content yet."""
        for choice in choices:
            delta: dict[str, Any] = {} if self._no_role else {"role": "assistant"}
            delta["content"] = None if choice.calls else ""
            yield self._chunk(choice.index, {**delta, "refusal": None})

    def beats(self, choice: Choice) -> Iterator[Sequence[bytes]]:
        """Text token by token, or the calls fragment by fragment."""
        if choice.calls:
            return self._call_beats(choice)
        return self._text_beats(choice) if self._top is None else self._logprob_beats(choice)

    def finish(self, choice: Choice, usage: Usage | None) -> Sequence[bytes]:
        """An empty delta with the finish reason."""
        said = _choice(choice.index, {}, finish_reason=choice.finish_reason)
        return (self._identity.chunk(_CHUNK, [said], usage),)

    def closing(self, usage: Usage) -> bytes:
        """No choices, only usage."""
        return self._identity.chunk(_CHUNK, [], usage)

    def _chunk(self, index: int, delta: dict[str, Any]) -> bytes:
        return self._identity.chunk(_CHUNK, [_choice(index, delta)])

    def _text_beats(self, choice: Choice) -> Iterator[Sequence[bytes]]:
        template = self._identity.template(_CHUNK, _choice(choice.index, {"content": HOLE}))
        for token in choice.tokens:
            yield (template.fill(token),)

    def _logprob_beats(self, choice: Choice) -> Iterator[Sequence[bytes]]:
        for token in choice.tokens:
            said = _choice(choice.index, {"content": token}, logprobs=self._logprobs([token]))
            yield (self._identity.chunk(_CHUNK, [said]),)

    def _call_beats(self, choice: Choice) -> Iterator[Sequence[bytes]]:
        for number, call in enumerate(choice.calls):
            opening = {"index": number, **_call(call, "")}
            fragment = {"index": number, "function": {"arguments": HOLE}}
            template = self._identity.template(
                _CHUNK, _choice(choice.index, {"tool_calls": [fragment]})
            )
            first, *others = call.fragments
            yield self._chunk(choice.index, {"tool_calls": [opening]}), template.fill(first)
            for text in others:
                yield (template.fill(text),)

    def _logprobs(self, tokens: list[str]) -> dict[str, Any] | None:
        if self._top is None:
            return None
        return {"content": [chat_logprob(token, self._top) for token in tokens], "refusal": None}

    def _said(self, choice: Choice) -> dict[str, Any]:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if choice.calls else choice.text,
            "refusal": None,
        }
        if choice.calls:
            message["tool_calls"] = [_call(call, "".join(call.fragments)) for call in choice.calls]
        return {
            "index": choice.index,
            "message": message,
            "logprobs": None if choice.calls else self._logprobs(choice.tokens),
            "finish_reason": choice.finish_reason,
        }


def _choice(
    index: int,
    delta: dict[str, Any],
    *,
    logprobs: dict[str, Any] | None = None,
    finish_reason: str | None = None,
) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}


def _call(call: ToolCall, arguments: str) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }
