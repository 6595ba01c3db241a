"""What the environment alone says: folders, and providers whose variables are already set.

Most people who try a gateway have exported a provider's key long ago. Each such variable becomes
the same table that a file would hold, so that it passes the same checks afterwards.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from adapters.providers import KNOWN_PROVIDERS, KnownProvider

_OLLAMA_PORT: Final = 11434
_PORTS: Final = {"http": 80, "https": 443}
_EVERY_INTERFACE: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, never bound


def home(environ: Mapping[str, str]) -> Path:
    """Return the home folder: `HOME`, else what the system says."""
    return Path(environ["HOME"]) if environ.get("HOME") else Path.home()


def expand_home(path: str, environ: Mapping[str, str]) -> Path:
    """Return `path` with a leading `~` replaced by the home folder of that environment."""
    if path == "~" or path.startswith("~/"):
        return home(environ) / path[2:]
    return Path(path)


def providers_of(environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return a provider table for each known provider that the environment gives access to."""
    found = {name: _table(known, environ) for name, known in KNOWN_PROVIDERS.items()}
    return {name: table for name, table in found.items() if table is not None}


def key_reference(known: KnownProvider, environ: Mapping[str, str]) -> str | None:
    """Return `env:NAME` for the first of the provider's variables that is set, else `None`."""
    for variable in known.key_variables:
        if environ.get(variable):
            return f"env:{variable}"
    return None


def url_of_address(address: str) -> str:
    """Return the base URL that a value of `OLLAMA_HOST` means to Ollama's own client.

    `host`, `host:port`, `:port` and whole URLs are understood. The port is 11434, but for a URL it
    is that of its scheme. The addresses that mean every interface to a server mean loopback to a
    client. What cannot be read comes back as it is, for the check of URLs to refuse.
    """
    address = address.strip()
    scheme, separator, rest = address.partition("://")
    if not separator:
        scheme, rest = "http", address
    if rest.count(":") > 1 and not rest.startswith("["):
        rest = f"[{rest}]"
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        port = parts.port or (_PORTS.get(scheme, _OLLAMA_PORT) if separator else _OLLAMA_PORT)
    except ValueError:
        return address
    host = "127.0.0.1" if (parts.hostname or "") in _EVERY_INTERFACE else str(parts.hostname)
    bracketed = f"[{host}]" if ":" in host else host
    path = parts.path.rstrip("/")
    return f"{scheme}://{bracketed}:{port}{path}{'' if path.endswith('/v1') else '/v1'}"


def _table(known: KnownProvider, environ: Mapping[str, str]) -> dict[str, Any] | None:
    address = environ.get(known.address_variable or "")
    key = key_reference(known, environ)
    enough = key if known.key_variables else address
    if not enough or not (known.base_url or address):
        return None
    table: dict[str, Any] = {"key": key} if key else {}
    if address:
        table["base_url"] = url_of_address(address) if known.bare_address else address.strip()
    return table
