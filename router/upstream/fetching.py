"""Fetching an image or a document from a client's URL, for providers that want its bytes.

The URL is a stranger's, and we stand where strangers do not: beside metadata services and databases. So it
is read strictly (`checked_url`); its name is looked up once, all its addresses must be public, and the
connection goes to one of those (`pinned`); every redirect begins anew; and size, time and number are bounded.
An answer counts for what its bytes are (`media_type`), and only if they are what was asked for.

A fetch has a deadline of its own, since one that trickles is part of what is guarded against.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

import msgspec
import trio

from router.upstream.checked_url import PORTS, CheckedUrl, UnsafeUrl, check_redirect, check_url
from router.upstream.connection import HttpConnection
from router.upstream.errors import ConnectFailed, UpstreamTransportError
from router.upstream.media_type import sniff
from router.upstream.message import OutgoingRequest, ResponseHead
from router.upstream.pinned import Connect, Resolve, resolve_by_system
from router.upstream.public_address import Address, address_is_public

_MAX_ADDRESSES: Final = 4
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_UNSAID: Final = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_HEADERS: Final = (
    (b"accept", b"image/png, image/jpeg, image/gif, image/webp, application/pdf"),
    (b"user-agent", b"syzeai"),
)


class FetchLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much is fetched. `seconds`: for one URL, redirects included; `at_a_time`: over all requests.

    `max_total_bytes` and `max_urls` are those of one request. `private`: hosts that need not be public ones,
    as `host` or, for another port, `host:port`.
    """

    ports: Collection[int] = PORTS
    private: Collection[str] = ()
    max_bytes: int = 20 * 1024 * 1024
    max_total_bytes: int = 40 * 1024 * 1024
    max_urls: int = 20
    seconds: float = 10.0
    redirects: int = 3
    at_a_time: int = 32


class Fetched(msgspec.Struct, frozen=True):
    """A file and what it is."""

    media_type: str
    data: bytes


class CannotFetch(Exception):
    """There is no file for this URL. `message` is for the client, and holds neither path nor query."""

    def __init__(self, url: str, message: str) -> None:
        super().__init__(message)
        self.url = url
        self.message = message


class Fetcher:
    """Fetches files for all requests of a worker. `is_allowed` says which addresses may be connected to."""

    def __init__(
        self,
        *,
        connect: Connect,
        resolve: Resolve = resolve_by_system,
        limits: FetchLimits = FetchLimits(),  # noqa: B008 - frozen
        is_allowed: Callable[[Address], bool] = address_is_public,
    ) -> None:
        self._connect = connect
        self._resolve = resolve
        self.limits = limits
        self._is_allowed = is_allowed
        self._places = trio.Semaphore(limits.at_a_time)

    async def fetch(self, url: str) -> Fetched:
        """Fetch one file. Raises `CannotFetch`; when cancelled, nothing stays open."""
        async with self._places:
            with _told(url), trio.fail_after(self.limits.seconds):
                ports, private = self.limits.ports, self.limits.private
                return await self._follow(check_url(url, ports=ports, private=private))

    async def fetch_all(self, urls: Sequence[str]) -> dict[str, Fetched]:
        """Fetch several files side by side, each once; by their URLs.

        Raises the first `CannotFetch`, and then fetches no more.
        """
        wanted = list(dict.fromkeys(urls))
        if len(wanted) > self.limits.max_urls:
            most = self.limits.max_urls
            raise CannotFetch(wanted[most], f"no more than {most} URLs are fetched for a request")
        found: dict[str, Fetched] = {}
        failures: list[CannotFetch] = []

        async def fetch_one(url: str) -> None:
            try:
                found[url] = await self.fetch(url)
                self._check_total(url, found)
            except CannotFetch as failure:
                failures.append(failure)
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            for url in wanted:
                nursery.start_soon(fetch_one, url)
        if failures:
            raise failures[0]
        return {url: found[url] for url in wanted}

    def _check_total(self, url: str, found: dict[str, Fetched]) -> None:
        most = self.limits.max_total_bytes
        if sum(len(one.data) for one in found.values()) > most:
            raise CannotFetch(url, f"the files of a request are longer than {most} bytes together")

    async def _follow(self, checked: CheckedUrl) -> Fetched:
        for _ in range(self.limits.redirects + 1):
            found = await self._ask(checked)
            if isinstance(found, Fetched):
                return found
            ports, private = self.limits.ports, self.limits.private
            checked = check_redirect(checked, found, ports=ports, private=private)
        raise UnsafeUrl(f"the URL leads on more than {self.limits.redirects} times")

    async def _ask(self, checked: CheckedUrl) -> Fetched | str:
        """Return the file, or where the answer points to."""
        stream = await self._open(checked)
        connection = HttpConnection(stream, checked.origin)
        try:
            head = await connection.send(OutgoingRequest(b"GET", checked.target, _HEADERS))
            location = _header(head, b"location")
            if head.status in _REDIRECTS and location:
                return location
            _check_head(head, self.limits.max_bytes)
            return _as_file(await self._read(connection))
        finally:
            connection.close()

    async def _open(self, checked: CheckedUrl) -> trio.abc.Stream:
        """Connect to the first of the host's addresses that lets us; all of them must be allowed."""
        origin, addresses = checked.origin, await self._addresses(checked)
        if not addresses or not (checked.is_private or all(map(self._is_allowed, addresses))):
            raise UnsafeUrl("the host of the URL is not at a public address")
        *others, last = addresses[:_MAX_ADDRESSES]
        for address in others:
            with suppress(ConnectFailed):
                return await self._connect(origin, address)
        return await self._connect(origin, last)

    async def _addresses(self, checked: CheckedUrl) -> Sequence[Address]:
        if checked.address is not None:
            return (checked.address,)
        return await self._resolve(checked.origin.host, checked.origin.port)

    async def _read(self, connection: HttpConnection) -> bytes:
        data = bytearray()
        while piece := await connection.receive_body():
            data += piece
            if len(data) > self.limits.max_bytes:
                raise _too_long(self.limits.max_bytes)
        return bytes(data)


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Turn whatever keeps a file from being fetched into `CannotFetch`."""
    try:
        yield
    except UnsafeUrl as error:
        raise CannotFetch(url, str(error)) from None
    except trio.TooSlowError:
        raise CannotFetch(url, "the file did not come in time") from None
    except UpstreamTransportError as error:
        raise CannotFetch(url, "the host of the URL gave no readable answer") from error
    except (OSError, UnicodeError) as error:
        raise CannotFetch(url, "the host of the URL was not found") from error


def _check_head(head: ResponseHead, max_bytes: int) -> None:
    """Raise `UnsafeUrl` for an answer that cannot be a file that is wanted."""
    if head.status != 200:
        raise UnsafeUrl(f"the host of the URL answered with status {head.status}")
    if _header(head, b"content-encoding").lower() not in {"", "identity"}:
        raise UnsafeUrl("the file came compressed, which was not asked for")
    length = _header(head, b"content-length")
    if length.isdecimal() and int(length) > max_bytes:
        raise _too_long(max_bytes)
    media_type = _header(head, b"content-type").partition(";")[0].strip().lower()
    is_named = media_type.startswith("image/") or media_type == "application/pdf"
    if not is_named and media_type not in _UNSAID:
        raise UnsafeUrl("the URL is that of something else than an image or a PDF file")


def _as_file(data: bytes) -> Fetched:
    media_type = sniff(data)
    if media_type is None:
        raise UnsafeUrl("the file is none of PNG, JPEG, GIF, WebP and PDF")
    return Fetched(media_type, data)


def _header(head: ResponseHead, name: bytes) -> str:
    """Return the value of a header, empty where there is none."""
    return next((value.decode("latin-1") for found, value in head.headers if found == name), "")


def _too_long(max_bytes: int) -> UnsafeUrl:
    return UnsafeUrl(f"the file is longer than {max_bytes} bytes")
