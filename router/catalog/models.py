"""What is known about each model: the seed that ships with the gateway.

`models.jsonl` holds one model of one provider a line, gathered from public price and capability
lists. It is a starting point and may be wrong or old; what a provider itself lists, and what an
operator writes, comes before it.
"""

from functools import cache
from importlib import resources
from typing import Any, Final

import msgspec

SERVED_MODES: Final = frozenset({"chat", "completion", "embedding", "rerank"})
# Their answers are numbers, which nobody charges for.
WORDLESS_MODES: Final = frozenset({"embedding", "rerank"})


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One model as one provider offers it.

    `model` is the provider's own name for it. `usd_per_mtok` has US dollars per million tokens
    under `input`, `output`, `cache_read`, `cache_write` and `reasoning`; an absent key is an
    unknown price, never a free one. `dimensions` is the length of an embedding. `None`: not stated.
    """

    provider: str
    model: str
    mode: str
    context_tokens: int | None
    max_output_tokens: int | None
    usd_per_mtok: dict[str, float]
    supports: frozenset[str]
    dimensions: int | None = None
    deprecation_date: str | None = None

    @property
    def is_served(self) -> bool:
        """Whether the gateway has an endpoint for this kind of model."""
        return self.mode in SERVED_MODES

    @property
    def has_output(self) -> bool:
        """Whether it writes anything that could be charged for."""
        return self.mode not in WORDLESS_MODES

    @property
    def price(self) -> float | None:
        """US dollars per million tokens of input and output together, `None` where one is unknown."""
        read = self.usd_per_mtok.get("input")
        written = self.usd_per_mtok.get("output", None if self.has_output else 0.0)
        if read is None or written is None or min(read, written) < 0:
            return None
        return read + written

    @property
    def takes_prefill(self) -> bool:
        """Whether it continues an assistant's message that stands last in a request."""
        return "assistant_prefill" in self.supports

    @property
    def has_cheaper_cached_reads(self) -> bool:
        """Whether the part of a prompt that it has read before costs less than the rest."""
        read, cached = self.usd_per_mtok.get("input"), self.usd_per_mtok.get("cache_read")
        return read is not None and cached is not None and cached < read


@cache
def load_seed() -> tuple[Model, ...]:
    """Read the shipped list, some twenty milliseconds of work; whoever asks again gets the same.

    Two thousand models have a few hundred different prices and sets of capabilities between them, and it is
    these that would fill the memory: equal ones are one object.
    """
    data = resources.files("router.catalog").joinpath("models.jsonl").read_bytes()
    decode = msgspec.json.Decoder(Model).decode
    known: dict[object, Any] = {}
    # Line by line, so that what is let go of makes room for the next.
    return tuple(_sharing(decode(line), known) for line in data.splitlines())


def _sharing(model: Model, known: dict[object, Any]) -> Model:
    """Return the model with the parts that it has in common with those whose parts are `known`."""
    prices = tuple(model.usd_per_mtok.items())
    return msgspec.structs.replace(
        model,
        provider=known.setdefault(model.provider, model.provider),
        mode=known.setdefault(model.mode, model.mode),
        usd_per_mtok=known.setdefault(prices, model.usd_per_mtok),
        supports=known.setdefault(model.supports, model.supports),
    )
