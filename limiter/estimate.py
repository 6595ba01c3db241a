"""How many tokens a request will take, guessed before it is served.

A reservation needs a figure before anybody knows it. Input is guessed from bytes by a ratio that each model's
own usage teaches, so no tokenizer has to be downloaded and new models need no release. Output is what
the client allows at most, for that is a promise; without it, what 95 % of the like answers took. The guess is
corrected when the request settles, so it need not be exact: it must be cheap, and hard to lead astray.
"""

from typing import Final
from weakref import WeakValueDictionary

from limiter.habits import Habits, ModelHabits
from limiter.recent import Recent

# English has more than four bytes a token, code and Chinese about three; a smaller ratio reserves more.
BYTES_PER_TOKEN: Final = 3.0
PAYLOAD_TOKENS: Final = 1_000
OUTPUT_TOKENS: Final = 1_000


class Estimator:
    """The habits of everybody who asks: at most `most_habits`, of which those of the longest silence go.

    What a model has taught is known as long as the habits of any of its keys are. `bytes_per_token` (1 to 8),
    `payload_tokens` (0 to 100,000) and `output_tokens` stand in for a model of which nothing is known. Raises
    ValueError if they are out of range.
    """

    def __init__(
        self,
        *,
        bytes_per_token: float = BYTES_PER_TOKEN,
        payload_tokens: int = PAYLOAD_TOKENS,
        output_tokens: int = OUTPUT_TOKENS,
        most_habits: int = 20_000,
    ) -> None:
        if output_tokens < 0:
            raise ValueError("an answer cannot have less than 0 tokens")
        ModelHabits(bytes_per_token, payload_tokens)  # or the first request would find out
        self._bytes_per_token = bytes_per_token
        self._payload_tokens = payload_tokens
        self._output_tokens = output_tokens
        self._models: WeakValueDictionary[str, ModelHabits] = WeakValueDictionary()
        self._habits: Recent[tuple[str, str], Habits] = Recent(most_habits, self._meet)

    def habits_of(self, key: str, model: str) -> Habits:
        """Return what is known of a key's requests for a model; what they learn stays known."""
        return self._habits.obtain((key, model))

    def _meet(self, who: tuple[str, str]) -> Habits:
        model = who[1]
        of_model = self._models.get(model)
        if of_model is None:
            of_model = ModelHabits(self._bytes_per_token, self._payload_tokens)
            self._models[model] = of_model
        return Habits(of_model, self._output_tokens)
