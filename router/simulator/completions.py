"""Legacy completions, said as a whole or in chunks: text without roles, and no tools."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from router.simulator.choices import Choice
from router.simulator.logprobs import completion_logprobs
from router.simulator.usage import Usage
from router.simulator.voice import HOLE, Identity

_OBJECT: Final = "text_completion"


class CompletionVoice:
    """Says legacy answers; `top_logprobs` None leaves log probabilities out."""

    def __init__(self, identity: Identity, *, top_logprobs: int | None) -> None:
        self._identity = identity
        self._top = top_logprobs

    def whole(self, choices: Sequence[Choice], usage: Usage) -> dict[str, Any]:
        """The answer that is not streamed."""
        said = [
            _choice(
                one.index,
                one.text,
                logprobs=self._logprobs(one.tokens, offset=0),
                finish_reason=one.finish_reason,
            )
            for one in choices
        ]
        return self._identity.part(_OBJECT, said, usage)

    def openings(self, choices: Sequence[Choice]) -> Iterator[bytes]:  # noqa: ARG002 - the protocol's
        """Nothing: a text needs no opening."""
        return iter(())

    def beats(self, choice: Choice) -> Iterator[Sequence[bytes]]:
        """Text token by token."""
        return self._text_beats(choice) if self._top is None else self._logprob_beats(choice)

    def finish(self, choice: Choice, usage: Usage | None) -> Sequence[bytes]:
        """An empty text with the finish reason."""
        said = _choice(choice.index, "", finish_reason=choice.finish_reason)
        return (self._identity.chunk(_OBJECT, [said], usage),)

    def closing(self, usage: Usage) -> bytes:
        """No choices, only usage."""
        return self._identity.chunk(_OBJECT, [], usage)

    def _text_beats(self, choice: Choice) -> Iterator[Sequence[bytes]]:
        template = self._identity.template(_OBJECT, _choice(choice.index, HOLE))
        for token in choice.tokens:
            yield (template.fill(token),)

    def _logprob_beats(self, choice: Choice) -> Iterator[Sequence[bytes]]:
        offset = 0
        for token in choice.tokens:
            logprobs = self._logprobs([token], offset=offset)
            said = _choice(choice.index, token, logprobs=logprobs)
            yield (self._identity.chunk(_OBJECT, [said]),)
            offset += len(token)

    def _logprobs(self, tokens: list[str], *, offset: int) -> dict[str, Any] | None:
        if self._top is None:
            return None
        return completion_logprobs(tokens, top=self._top, offset=offset)


def _choice(
    index: int,
    text: object,
    *,
    logprobs: dict[str, Any] | None = None,
    finish_reason: str | None = None,
) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": logprobs, "finish_reason": finish_reason}
