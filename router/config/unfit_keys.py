"""Keys with which nothing could be asked: the last check, for it needs the secrets themselves.

Some dialects read more than one kind of key: an access key, a service account's key file. Whether it can be
used is found out here rather than by the first client.
"""

from collections.abc import Iterator

from adapters.credential import check_key
from router.config.decode import KeyPath, Problem, show
from router.config.schema import Config, ProviderConfig
from router.config.secret import Secret


def find_unfit_keys(config: Config) -> Iterator[Problem]:
    """Yield what is wrong with configured keys; no message holds a part of one."""
    for name, provider in config.providers.items():
        for at, key in _keys(provider):
            try:
                check_key(provider.dialect, key.reveal(), base_url=provider.base_url or "")
            except ValueError as error:
                yield Problem(show(("providers", name, *at)), str(error))


def _keys(provider: ProviderConfig) -> Iterator[tuple[KeyPath, Secret]]:
    if provider.key is not None:
        yield ("key",), provider.key
    for place, key in enumerate(provider.keys):
        yield ("keys", place), key
