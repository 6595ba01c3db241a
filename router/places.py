"""Where a gateway's store and counts are, as the configuration says it, or leaves it to be found out.

Every command asks, so nothing is loaded for the answer.
"""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final

from router.accounts.errors import StoreError
from router.config import Config

_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the folder made in it is private


def store_location(config: Config) -> str:
    """Return where accounts and keys are kept: a path, or a URL that may hold a password.

    `load_config` always sets one of them. Raises `StoreError` if nobody did.
    """
    if config.store.url is not None:
        return config.store.url.reveal()
    if config.store.path is None:
        raise StoreError("no path and no URL is configured for the store")
    return config.store.path


def limits_folder(config: Config) -> Path:
    """Return where the workers of this machine keep their counts: in memory, where there is such a folder.

    Gateways with different stores have different keys, so each has a folder of its own.
    """
    if config.limits.folder is not None:
        return Path(config.limits.folder)
    store = store_location(config).encode()
    name = f"syze-{os.getuid()}-{hashlib.sha256(store).hexdigest()[:12]}"
    usable = os.access(_SHARED_MEMORY, os.W_OK)
    return (_SHARED_MEMORY if usable else Path(tempfile.gettempdir())) / name
