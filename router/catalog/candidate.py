"""Who could answer: a model at a provider behind one key, with everything needed to ask.

These structs hold no connection and no state. They are hashable, and two loads of the same
configuration give equal ones, so that whatever keeps a figure per candidate finds it again after a
reload.
"""

import msgspec

from adapters.providers import KNOWN_PROVIDERS
from adapters.registry import CONTINUING
from router.catalog.models import Model
from router.config import Config, HeaderValue, ModelEntry, PathConfig, Secret, TimeoutConfig


class ProviderWire(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """How to reach one provider with one of its keys.

    `base_url` has no trailing slash; `paths` follow it. `key` goes out in `key_header`, as a bearer
    token where that is `authorization`. `inventory` says that the provider's own list is complete.
    `timeouts` are seconds. `weight`, above 0, is relative to those of the other candidates. `betas`: the
    only flags of clients' `anthropic-beta` that go on to it, `None` for all.
    """

    provider: str
    dialect: str
    base_url: str
    key: Secret | None
    key_header: str
    headers: tuple[tuple[str, HeaderValue], ...]
    query: tuple[tuple[str, str], ...]
    paths: PathConfig
    stream_usage: bool
    inventory: bool
    timeouts: TimeoutConfig
    max_connections: int
    weight: float = 1.0
    betas: tuple[str, ...] | None = None


class Candidate(ProviderWire, frozen=True, kw_only=True, cache_hash=True):
    """One model at one provider behind one key, and what choosing it depends on.

    `upstream_model` is the provider's own name for the model, `served_model` the id under which
    the gateway lists it, whatever the client called it. `price` is that of input and output
    together, in US dollars per million tokens. `prefill`: it continues an assistant's message that
    has begun. `cached_reads`: it charges less for the part of a prompt that it has read before.
    `None` is unknown, and so are capabilities that are not stated.
    """

    upstream_model: str
    served_model: str
    price: float | None = None
    prefill: bool = False
    cached_reads: bool = False
    context_tokens: int | None = None

    @property
    def identity(self) -> tuple[str, str, Secret | None, str]:
        """What makes it another one: provider, address, key and model, not how it is asked."""
        return self.provider, self.base_url, self.key, self.upstream_model


def wires_of(name: str, config: Config) -> tuple[ProviderWire, ...]:
    """Return how to reach the configured provider `name`: one wire for each of its keys.

    Raises `ValueError` for a provider without a base URL, which `load_config` never returns.
    """
    keys = config.providers[name].key_pool or (None,)
    return tuple(_wire_of(name, config, key) for key in keys)


def candidate_of(
    wire: ProviderWire, entry: ModelEntry, *, served_model: str, model: Model | None
) -> Candidate:
    """Return the candidate that is a model at this provider; `model`: what is known of it."""
    known = model is not None and model.takes_prefill
    candidate = Candidate(
        **msgspec.structs.asdict(wire),
        upstream_model=entry.upstream,
        served_model=served_model,
        prefill=(known if entry.prefill is None else entry.prefill) and wire.dialect in CONTINUING,
    )
    if model is None:
        return candidate
    return msgspec.structs.replace(
        candidate,
        price=model.price,
        cached_reads=model.has_cheaper_cached_reads,
        context_tokens=model.context_tokens,
    )


def _wire_of(name: str, config: Config, key: Secret | None) -> ProviderWire:
    provider = config.providers[name]
    if provider.base_url is None:
        raise ValueError(f"the provider {name} has no base URL")
    base_url = provider.base_url.rstrip("/")
    known = KNOWN_PROVIDERS.get(name)
    return ProviderWire(
        provider=name,
        dialect=provider.dialect,
        base_url=base_url,
        key=key,
        key_header=provider.key_header.lower(),
        headers=tuple((header.lower(), value) for header, value in provider.headers.items()),
        query=tuple(provider.query.items()),
        paths=provider.paths,
        stream_usage=provider.stream_usage,
        # The seed knows the provider of that name; at another address it can only guess.
        inventory=known is None or known.inventory or base_url != known.base_url,
        timeouts=provider.timeouts or config.timeouts,
        max_connections=provider.max_connections,
        weight=provider.weight,
        betas=None if provider.betas is None else tuple(provider.betas),
    )
