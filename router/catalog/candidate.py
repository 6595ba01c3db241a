"""Who could answer: a model at a provider, with everything needed to ask.

These structs hold no connection and no state. They are hashable, and two loads of the same
configuration give equal ones, so that whatever keeps a figure per candidate finds it again after a
reload.
"""

import msgspec

from adapters.providers import KNOWN_PROVIDERS
from router.config import Config, HeaderValue, PathConfig, Secret, TimeoutConfig


class ProviderWire(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """How to reach one provider.

    `base_url` has no trailing slash; `paths` follow it. `key` goes out in `key_header`, as a bearer
    token where that is `authorization`. `inventory` says that the provider's own list is complete.
    `timeouts` are seconds.
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


class Candidate(ProviderWire, frozen=True, kw_only=True, cache_hash=True):
    """One model at one provider: the provider's wire, and its own name for the model."""

    upstream_model: str


def wire_of(name: str, config: Config) -> ProviderWire:
    """Return how to reach the configured provider `name`.

    Raises `ValueError` for a provider without a base URL, which `load_config` never returns.
    """
    provider = config.providers[name]
    if provider.base_url is None:
        raise ValueError(f"the provider {name} has no base URL")
    base_url = provider.base_url.rstrip("/")
    known = KNOWN_PROVIDERS.get(name)
    return ProviderWire(
        provider=name,
        dialect=provider.dialect,
        base_url=base_url,
        key=provider.key,
        key_header=provider.key_header.lower(),
        headers=tuple((header.lower(), value) for header, value in provider.headers.items()),
        query=tuple(provider.query.items()),
        paths=provider.paths,
        stream_usage=provider.stream_usage,
        # The seed knows the provider of that name; at another address it can only guess.
        inventory=known is None or known.inventory or base_url != known.base_url,
        timeouts=provider.timeouts or config.timeouts,
        max_connections=provider.max_connections,
    )


def candidate_of(wire: ProviderWire, upstream_model: str) -> Candidate:
    """Return the candidate that is `upstream_model` at this provider."""
    return Candidate(**msgspec.structs.asdict(wire), upstream_model=upstream_model)
