"""The columns of the table: one provider for each dialect, made ready the way the gateway does it.

They are read from a configuration file and turned into endpoints by the gateway's own code, so that what is
known of a provider by its name is in them. `form` says in whose words a provider is asked and answers: some
columns share them.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from router.catalog.candidate import Candidate, wires_of
from router.config import ModelEntry, load_config
from router.exchange.endpoint import Endpoint, make_endpoint
from tests.dialect_wire import SERVED

Form = Literal["openai", "anthropic", "gemini", "bedrock", "cohere"]

_PROVIDERS: Final = Path(__file__).with_name("providers.toml")
_FORMS: Final[Mapping[str, Form]] = {
    "openai": "openai",
    "mistral": "openai",
    "deepseek": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "vertex": "gemini",
    "bedrock": "bedrock",
    "cohere": "cohere",
}


class Column(NamedTuple):
    """A provider of the table, the model that stands for its kind, and how it is asked."""

    name: str
    form: Form
    model: str
    endpoint: Endpoint


@cache
def columns() -> tuple[Column, ...]:
    """Return the columns in the order of the file."""
    config = load_config(_PROVIDERS, {"HOME": "/home/someone", "KEY": "id:a-secret-of-nobody"})
    found = []
    for name, provider in config.providers.items():
        [model] = provider.models or []
        assert not isinstance(model, ModelEntry)
        [wire] = wires_of(name, config)
        candidate = Candidate(
            **msgspec.structs.asdict(wire), upstream_model=model, served_model=SERVED
        )
        endpoint = make_endpoint(candidate, "syzeai/1")
        found.append(Column(name, _FORMS[provider.dialect], model, endpoint))
    return tuple(found)
