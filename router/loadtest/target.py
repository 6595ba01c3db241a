"""Whom to ask: a server that speaks OpenAI's API, and how a request to it is written."""

from typing import Any, Final, Self
from urllib.parse import urlsplit

import msgspec

_PORTS: Final = {"http": 80, "https": 443}


class Target(msgspec.Struct, frozen=True):
    """A server that speaks the API: its address, its path prefix, a key, and its name for the model.

    `headers` are sent with each request besides the usual ones.
    """

    host: str
    port: int
    prefix: str
    key: str
    model: str
    tls: bool = False
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of_url(cls, base_url: str, *, key: str, model: str) -> Self:
        """Read a base URL such as `https://host/v1`. Raises ValueError for what is none."""
        parts = urlsplit(base_url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("a base URL begins with http:// or https:// and a host")
        if parts.query or parts.fragment or parts.username is not None:
            raise ValueError("a base URL has no query, no fragment and no user")
        port = parts.port or _PORTS[parts.scheme]
        tls = parts.scheme == "https"
        return cls(parts.hostname, port, parts.path.rstrip("/"), key, model, tls)

    def request(self, fields: dict[str, Any]) -> bytes:
        """Write a whole chat request, head and body."""
        body = msgspec.json.encode({**fields, "model": self.model})
        lines = [
            f"POST {self.prefix}/chat/completions HTTP/1.1",
            f"host: {self._authority()}",
            f"authorization: Bearer {self.key}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body

    def _authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (
            host if self.port == _PORTS["https" if self.tls else "http"] else f"{host}:{self.port}"
        )
