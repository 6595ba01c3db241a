"""An origin: the scheme, host and port that connections are pooled by.

A provider is configured with a base URL such as `https://api.example.test/v1`. It is taken apart
once, here: the origin says where to connect, the rest is a prefix put before every path. Parts that
could not mean what their author hoped (a password, a query, a fragment) are refused rather than
dropped, and never repeated in the message, since they may hold a secret.
"""

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_VISIBLE_ASCII: Final = re.compile(r"[!-~]+")
_HOST_NAME: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")


class Origin(msgspec.Struct, frozen=True, cache_hash=True):
    """Where connections lead. `scheme` is "http" or "https"; IPv6 hosts stand without brackets."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The value of the Host header: the port is left out where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS.get(self.scheme) else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def parse_base_url(url: str) -> tuple[Origin, str]:
    """Split a base URL into its origin and a path prefix without a trailing slash.

    Raises ValueError, in words for whoever wrote the URL.
    """
    if not _VISIBLE_ASCII.fullmatch(url):
        raise ValueError(
            "a base URL must be visible ASCII characters without spaces"
            " (write international host names in their xn-- form)"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("the host or port of the base URL is malformed") from None
    _refuse_what_has_no_meaning(url, parts)
    if not (_HOST_NAME.fullmatch(host) or ":" in host):
        raise ValueError("a base URL needs a host name or address after the scheme")
    if port is None:
        port = _DEFAULT_PORTS[parts.scheme]
    if port == 0:
        raise ValueError("port 0 of the base URL cannot be connected to")
    return Origin(parts.scheme, host, port), parts.path.rstrip("/")


def _refuse_what_has_no_meaning(url: str, parts: SplitResult) -> None:
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("a base URL must begin with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("a base URL must not hold a user name or password")
    if "?" in url:
        raise ValueError("a base URL must not hold a query")
    if "#" in url:
        raise ValueError("a base URL must not hold a fragment")
