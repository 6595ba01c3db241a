"""The files of one request: what lies at its client's URLs, for providers that want bytes.

They are fetched when the first attempt needs them, and once for all attempts of the request. Should the
attempt that fetches be cancelled (it lost its race), the next one that waits takes over. What could not be
fetched is not tried again: the client hears which URL it was, and why.
"""

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import msgspec
import trio

from adapters.dialect import File
from adapters.middle.place import place_of
from router.errors import FileNotFetched
from router.upstream.fetching import CannotFetch, Fetched

_NOT_FETCHED: Final = "this model takes no files by URL, and nothing is fetched for it here"

FetchAll = Callable[[Sequence[str]], Awaitable[dict[str, Fetched]]]


class RequestFiles:
    """Fetches for one request. `fetch_all` as `Fetcher`'s, `None` where nothing is fetched.

    `fields` are the request's, to say where in it a URL stands.
    """

    __slots__ = ("_failure", "_fetch_all", "_fetching", "_fields", "_found")

    def __init__(self, fetch_all: FetchAll | None, fields: Mapping[str, msgspec.Raw]) -> None:
        self._fetch_all = fetch_all
        self._fields = fields
        self._found: dict[str, File] = {}
        self._failure: tuple[str, str] | None = None  # URL and reason
        self._fetching: trio.Event | None = None

    async def of(self, urls: Sequence[str]) -> Mapping[str, File]:
        """Return what lies at these URLs, and whatever else was fetched before.

        Raises `FileNotFetched`. When cancelled, no connection stays open.
        """
        while True:
            if self._failure is not None:
                url, why = self._failure
                raise FileNotFetched(why, param=place_of(url, self._fields))
            missing = [url for url in urls if url not in self._found]
            if not missing:
                return self._found
            if self._fetching is not None:
                await self._fetching.wait()
            else:
                await self._fetch(missing)

    async def _fetch(self, urls: Sequence[str]) -> None:
        if self._fetch_all is None:
            self._failure = urls[0], _NOT_FETCHED
            return
        over = self._fetching = trio.Event()
        try:
            fetched = await self._fetch_all(urls)
        except CannotFetch as error:
            self._failure = error.url, error.message
        else:
            self._found |= {url: _file(one) for url, one in fetched.items()}
        finally:
            self._fetching = None
            over.set()


def _file(fetched: Fetched) -> File:
    return File(fetched.media_type, base64.b64encode(fetched.data).decode("ascii"))
