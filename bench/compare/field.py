"""The field: all contestants, and which parts of the course each of them goes through."""

from typing import Final

import msgspec

from bench.compare.contestant import Contestant
from bench.compare.gateways import LiteLLM, Portkey, TensorZero
from bench.compare.ours import Ours
from bench.compare.record import Settings
from bench.compare.relays import Envoy, Nginx
from bench.compare.routers import SglangRouter, VllmRouter

PART_STREAMS: Final = 100
PART_CONNECTIONS: Final = 64
MANY_STREAMS: Final = 5000
LITELLM_STREAMS: Final = 100
"""More of them end before it has begun the last."""


class Entry(msgspec.Struct, frozen=True):
    """A contestant under a name of its own for what is special about it.

    `tls` puts the upstream behind TLS, `spread` lets it run on all cores, `part` keeps it to one number of
    streams and one of connections, `streams` come last, beyond the settings, and more than `most` are not
    asked for.
    """

    name: str
    contestant: Contestant
    tls: bool = False
    spread: bool = False
    part: bool = False
    streams: tuple[int, ...] = ()
    most: int | None = None

    def settings(self, settings: Settings) -> Settings:
        """Return what it goes through."""
        if self.part:
            return msgspec.structs.replace(
                settings, connections=(PART_CONNECTIONS,), streams=(PART_STREAMS,), probed=()
            )
        if self.most is None:
            return settings
        few = tuple(count for count in settings.streams if count <= self.most)
        return msgspec.structs.replace(settings, streams=few)


def entries() -> list[Entry]:
    """Return the field, the gateway itself first."""
    ours = Ours()
    peers: list[Contestant] = [
        Nginx(),
        Envoy(),
        SglangRouter(),
        VllmRouter(),
        TensorZero(),
        Portkey(),
    ]
    return [
        Entry(ours.name, ours, streams=(MANY_STREAMS,)),
        *(Entry(peer.name, peer) for peer in peers),
        Entry("litellm", LiteLLM(), most=LITELLM_STREAMS),
        Entry("syze-tls", ours, tls=True, part=True),
        Entry("nginx-tls", Nginx(), tls=True, part=True),
        Entry("syze-2-workers", Ours(workers=2), spread=True, part=True),
    ]
