"""How many tokens a request will take, guessed before it is served.

A reservation needs a figure before anybody knows it. Input is guessed from bytes by a ratio that each model's
own usage teaches, so no tokenizer has to be downloaded and new models need no release. Output is what
the client allows at most, for that is a promise; without it, what 95 % of the like answers took. The guess is
corrected when the request settles, so it need not be exact: it must be cheap, and hard to lead astray.
"""

from math import ceil
from typing import Final

import msgspec

from limiter.history import LengthHistory, step_of
from limiter.mean import LearnedMean
from limiter.prompt import PromptSize
from limiter.recent import Recent

# English has more than four bytes a token, code and Chinese about three; a smaller ratio reserves more.
BYTES_PER_TOKEN: Final = 3.0
PAYLOAD_TOKENS: Final = 1_000
OUTPUT_TOKENS: Final = 1_000

_LEAST_BYTES_PER_TOKEN: Final = 1.0
_MOST_BYTES_PER_TOKEN: Final = 8.0
_MOST_PAYLOAD_TOKENS: Final = 100_000.0
_PRIOR_TEXT_TOKENS: Final = 1_000.0
_PRIOR_PAYLOADS: Final = 4.0
_ANSWERS_NEEDED: Final = 20  # below that, one absurd answer would be the 95th percentile


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request as far as it can be seen before it is served.

    `cap`: the most tokens that the client allows for one choice, `None` where it set none; below 0 as well.
    """

    key: str
    model: str
    prompt: PromptSize
    cap: int | None = None
    choices: int = 1


class _Model:
    """What one model's usage taught."""

    __slots__ = ("bytes_per_token", "output", "payload_tokens")

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


class Estimator:
    """Guesses tokens, and learns from those that were counted. Its memory is bounded.

    `bytes_per_token` (1 to 8), `payload_tokens` (0 to 100,000) and `output_tokens` stand in for a model of
    which nothing is known. Raises ValueError if they are out of range.
    """

    def __init__(
        self,
        *,
        bytes_per_token: float = BYTES_PER_TOKEN,
        payload_tokens: int = PAYLOAD_TOKENS,
        output_tokens: int = OUTPUT_TOKENS,
        most_models: int = 2_000,
        most_histories: int = 20_000,
    ) -> None:
        if output_tokens < 0:
            raise ValueError("an answer cannot have less than 0 tokens")
        self._unknown = _Model(bytes_per_token, payload_tokens)
        self._output_tokens = output_tokens
        self._models: Recent[str, _Model] = Recent(
            most_models, lambda: _Model(bytes_per_token, payload_tokens)
        )
        self._histories: Recent[tuple[str, str], LengthHistory] = Recent(
            most_histories, LengthHistory
        )

    def input_tokens(self, asked: Asked) -> int:
        """Return how many tokens the model will probably read."""
        model = self._models.find(asked.model) or self._unknown
        prompt = asked.prompt
        text = prompt.text_bytes / model.bytes_per_token.value
        if not prompt.payloads:
            return ceil(text)
        return ceil(text + prompt.payloads * model.payload_tokens.value)

    def output_tokens(self, asked: Asked) -> int:
        """Return how many tokens to set aside for all choices of the answer."""
        cap = asked.cap
        each = self._usual_output(asked) if cap is None or cap < 0 else cap
        return each * asked.choices

    def output_tokens_of(self, model: str, text_bytes: int) -> int:
        """Return how many tokens a text of an answer probably took, for a provider that tells no usage."""
        known = self._models.find(model) or self._unknown
        return ceil(text_bytes / known.bytes_per_token.value)

    def learn(self, asked: Asked, *, input_tokens: int, output_tokens: int) -> None:
        """Take in the usage of an answer that came whole, as its provider counted it.

        A count below 1 teaches nothing. An estimated one must not be given: it would confirm itself.
        """
        model = self._models.obtain(asked.model)
        if input_tokens > 0:
            prompt = asked.prompt
            if prompt.payloads:
                _learn_payloads(model, prompt, input_tokens)
            else:
                model.bytes_per_token.learn(prompt.text_bytes / input_tokens, input_tokens)
        if output_tokens > 0:
            step = step_of(ceil(output_tokens / max(asked.choices, 1)))
            model.output.take(step)
            self._histories.obtain((asked.key, asked.model)).take(step)

    def _usual_output(self, asked: Asked) -> int:
        own = self._histories.find((asked.key, asked.model))
        if own is not None and len(own) >= _ANSWERS_NEEDED:
            return own.p95()
        model = self._models.find(asked.model)
        if model is not None and len(model.output) >= _ANSWERS_NEEDED:
            return model.output.p95()
        return self._output_tokens


def _learn_payloads(model: _Model, prompt: PromptSize, tokens: int) -> None:
    """Put the tokens that the text does not explain down to the payloads."""
    rest = tokens - prompt.text_bytes / model.bytes_per_token.value
    model.payload_tokens.learn(rest / prompt.payloads, prompt.payloads)
