"""What usage has taught of a model, and of the answers that one key gets from it.

Whoever asks a model all day asks much the same, so once a key's last answers are known, the next one teaches
little: from then on one of four is taken in. A new habit is noticed within some fifty answers even so, and
the other three cost their requests nothing. Which one it is follows the golden ratio: requests often come in
a rhythm, a short one after three long ones, and no rhythm falls in with that.
"""

from math import ceil
from typing import Final

import msgspec

from limiter.history import WINDOW, LengthHistory, step_of
from limiter.mean import LearnedMean
from limiter.prompt import PromptSize

_LEAST_BYTES_PER_TOKEN: Final = 1.0
_MOST_BYTES_PER_TOKEN: Final = 8.0
_MOST_PAYLOAD_TOKENS: Final = 100_000.0
_PRIOR_TEXT_TOKENS: Final = 1_000.0
_PRIOR_PAYLOADS: Final = 4.0
_GOLDEN: Final = 0x9E3779B9  # of a whole turn of 2^32
_TURN: Final = (1 << 32) - 1
_QUARTER: Final = 1 << 30


class Asked(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request as far as it can be seen before it is served.

    `cap`: the most tokens that the client allows for one choice, `None` where it set none; below 0 as well.
    """

    prompt: PromptSize
    cap: int | None = None
    choices: int = 1


class ModelHabits:
    """What one model's usage taught. Raises ValueError for a prior out of range."""

    __slots__ = ("__weakref__", "bytes_per_token", "output", "payload_tokens")

    def __init__(self, bytes_per_token: float, payload_tokens: int) -> None:
        self.bytes_per_token = LearnedMean(
            bytes_per_token,
            prior_weight=_PRIOR_TEXT_TOKENS,
            least=_LEAST_BYTES_PER_TOKEN,
            most=_MOST_BYTES_PER_TOKEN,
        )
        self.payload_tokens = LearnedMean(
            payload_tokens, prior_weight=_PRIOR_PAYLOADS, least=0.0, most=_MOST_PAYLOAD_TOKENS
        )
        self.output = LengthHistory()


class Habits:
    """What is known of one key's requests for one `model`.

    `unknown_output`: the tokens of an answer where neither the key's nor the model's are known.
    """

    __slots__ = ("_answers", "_model", "_output", "_unknown_output")

    def __init__(self, model: ModelHabits, unknown_output: int) -> None:
        self._model = model
        self._output = LengthHistory()
        self._answers = 0
        self._unknown_output = unknown_output

    def input_tokens(self, prompt: PromptSize) -> int:
        """Return how many tokens the model will probably read."""
        model = self._model
        text = prompt.text_bytes / model.bytes_per_token.value
        if prompt.payloads:
            text += prompt.payloads * model.payload_tokens.value
        return ceil(text)

    def output_tokens(self, asked: Asked) -> int:
        """Return how many tokens to set aside for all choices of the answer."""
        each = asked.cap
        if each is None or each < 0:
            each = self._output.p95 or self._model.output.p95 or self._unknown_output
        return each * asked.choices

    def output_tokens_of(self, text_bytes: int) -> int:
        """Return how many tokens a text of an answer probably took, for a provider that tells no usage."""
        return ceil(text_bytes / self._model.bytes_per_token.value)

    def learn(self, asked: Asked, *, input_tokens: int, output_tokens: int) -> None:
        """Hear the usage of an answer that came whole, as its provider counted it.

        A count below 1 teaches nothing. An estimated one must not be given: it would confirm itself.
        """
        self._answers += 1
        if self._answers > WINDOW and self._answers * _GOLDEN & _TURN >= _QUARTER:
            return
        model, prompt = self._model, asked.prompt
        if input_tokens > 0:
            if prompt.payloads:
                # The tokens that the text does not explain are put down to the payloads.
                rest = input_tokens - prompt.text_bytes / model.bytes_per_token.value
                model.payload_tokens.learn(rest / prompt.payloads, prompt.payloads)
            else:
                model.bytes_per_token.learn(prompt.text_bytes / input_tokens, input_tokens)
        if output_tokens > 0:
            step = step_of(ceil(output_tokens / max(asked.choices, 1)))
            model.output.take(step)
            self._output.take(step)
