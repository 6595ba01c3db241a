"""What is known about each model: the seed that ships with the gateway.

`models.jsonl` holds one model of one provider a line, gathered from public price and capability
lists. It is a starting point and may be wrong or old; what a provider itself lists, and what an
operator writes, comes before it.
"""

from importlib import resources
from typing import Final

import msgspec

SERVED_MODES: Final = frozenset({"chat", "completion", "embedding"})


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


def load_seed() -> tuple[Model, ...]:
    """Read the shipped list, about ten milliseconds of work; for start-up only."""
    data = resources.files("router.catalog").joinpath("models.jsonl").read_bytes()
    return tuple(msgspec.json.Decoder(Model).decode_lines(data))
