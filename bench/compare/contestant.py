"""What a contestant is: something that is installed, started before an upstream, and asked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from bench.compare.cache import Cache
from router.loadtest.target import Target

MODEL = "canned"


class Place(msgspec.Struct, frozen=True):
    """Where one is started: a folder of its own, a free port for it, and the upstream to ask.

    `certificate` is the file by which an upstream over TLS can be trusted.
    """

    folder: Path
    port: int
    upstream: Target
    certificate: Path | None = None

    @property
    def upstream_origin(self) -> str:
        """The upstream without its path."""
        scheme = "https" if self.upstream.tls else "http"
        return f"{scheme}://{self.upstream.host}:{self.upstream.port}"

    @property
    def upstream_url(self) -> str:
        """The upstream as a base URL."""
        return self.upstream_origin + self.upstream.prefix


class Start(msgspec.Struct, frozen=True):
    """How to start one: its command, variables for it, and how it is asked then.

    One that picks its own port writes its base URL into the file `listing`.
    """

    command: list[str]
    target: Target
    environment: Mapping[str, str] = {}
    listing: Path | None = None


class Contestant(Protocol):
    """One of those compared."""

    @property
    def name(self) -> str:
        """Its name in tables and files."""

    @property
    def kind(self) -> str:
        """`gateway`, `router` (picks an upstream, knows no customers), or `relay` (knows no models)."""

    def install(self, cache: Cache) -> str:
        """Make sure that it is there, and return its version. Raises NotInstalled."""

    def start(self, cache: Cache, place: Place) -> Start:
        """Write its files and say how it is started. Raises NotInstalled."""
