"""Hosts in memory that files are fetched from: names with their addresses, and what each of them answers."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import pytest
import trio
import trio.testing

from router.upstream.errors import ConnectFailed
from router.upstream.fetching import CannotFetch, Fetched, Fetcher, FetchLimits
from router.upstream.origin import Origin
from router.upstream.public_address import Address
from tests.simulated.scripted_upstream import Peer, Script, answering

PNG = b"\x89PNG\r\n\x1a\n" + b"." * 24
JPEG = b"\xff\xd8\xff\xe0" + b"." * 24
PUBLIC, OTHER = "93.184.216.34", "2606:4700::6810:85e5"


def answer(
    body: bytes = PNG, content_type: str = "image/png", status: int = 200, **headers: str
) -> bytes:
    named = {"content-type": content_type, "content-length": str(len(body)), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in named.items() if value]
    head = "\r\n".join([f"HTTP/1.1 {status} X", *lines, "", ""])
    return head.encode() + body


def moved(location: str, status: int = 302) -> bytes:
    return answer(b"", "", status, location=location)


def after(seconds: float, said: bytes) -> Script:
    async def script(peer: Peer) -> None:
        await peer.receive_request()
        await trio.sleep(seconds)
        await peer.send(said)

    return script


class FileHosts:
    """Names with their addresses (the next list at each lookup, the last for ever), and a script for each.

    `dialled` has the address and the origin of every connection, `lookups` every name that was asked for.
    """

    def __init__(self, nursery: trio.Nursery, **limits: Any) -> None:
        self._nursery = nursery
        self._names: dict[str, list[list[str]]] = {}
        self._scripts: dict[str, Script] = {}
        self.dialled: list[tuple[str, Origin]] = []
        self.lookups: list[str] = []
        self.requests: list[bytes] = []
        self.open_connections = 0
        self.most_at_a_time = 0
        self.unreachable: set[str] = set()
        self.fetcher = Fetcher(
            connect=self._connect, resolve=self._resolve, limits=FetchLimits(**limits)
        )

    def host(self, name: str, *answers: bytes | Script, at: Sequence[Sequence[str]] = ()) -> None:
        """Give a name its addresses and what its host answers, one connection after another."""
        self._names[name] = [list(addresses) for addresses in at] or [[PUBLIC]]
        scripts = [answering(one) if isinstance(one, bytes) else one for one in answers]

        async def next_script(peer: Peer) -> None:
            script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
            await script(peer)

        self._scripts[name] = next_script

    async def fetch(self, url: str) -> Fetched:
        return await self.fetcher.fetch(url)

    async def refused(self, url: str) -> str:
        with pytest.raises(CannotFetch) as refusal:
            await self.fetcher.fetch(url)
        assert refusal.value.url == url
        assert self.open_connections == 0
        return refusal.value.message

    async def _resolve(self, host: str, _: int) -> list[Address]:
        await trio.lowlevel.checkpoint()
        self.lookups.append(host)
        if host not in self._names:
            raise OSError("no such name")
        answers = self._names[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [ip_address(address) for address in addresses]

    async def _connect(self, origin: Origin, address: Address) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        self.dialled.append((str(address), origin))
        if str(address) in self.unreachable:
            raise ConnectFailed(origin, kind="refused")
        ours, theirs = trio.testing.memory_stream_pair()
        self.open_connections += 1
        self.most_at_a_time = max(self.most_at_a_time, self.open_connections)
        ours.receive_stream.close_hook = self._count_close
        self._nursery.start_soon(self._run, self._scripts[origin.host], Peer(theirs))
        return ours

    def _count_close(self) -> None:
        self.open_connections -= 1

    async def _run(self, script: Script, peer: Peer) -> None:
        try:
            await script(peer)
        except trio.BrokenResourceError:
            return  # the fetcher has seen enough
        finally:
            self.requests += peer.requests
            await peer.stream.aclose()
