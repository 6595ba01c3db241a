"""The connection to the server: script calls in, answers out, many in one round trip.

This is the only place that knows the client library. Two of its habits shape what is built here. A pool of
coredis never gets back the place of a connection that broke under a pipeline, so after enough trouble nobody
would get a connection any more: therefore a client that met trouble is thrown away with its pool, and a new
one made. And an opening that is cancelled ends in a connection error: therefore whoever uses a link bounds
the wait from outside, and takes no error here for a proof that it was not cancelled.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import coredis
from coredis.connection import TCPLocation
from coredis.exceptions import NoScriptError, RedisError
from coredis.retry import NoRetryPolicy

from limiter.valkey.wire import Call, Script

SCHEMES: Final = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss"}
Client = coredis.Redis[bytes] | coredis.RedisCluster[bytes]


class Broken(Exception):
    """A call failed, so the link must not be used again. Whether the server carried it out is unknown."""


class Store(NamedTuple):
    """How to reach the store: `make` a new client; `cluster`: whether keys are spread over servers by tag."""

    make: Callable[[], Client]
    cluster: bool


def store_at(url: str, timeout: float) -> Store:
    """Read a `redis://` or `valkey://` URL, or `rediss://` and `valkeys://` for TLS.

    `redis+cluster://` and so on reach a whole cluster through the node that is named. `timeout`, in seconds,
    bounds each step of opening a connection. Raises `ValueError` where the URL is none of these.
    """
    scheme, _, rest = url.partition("://")
    base, plus, kind = scheme.partition("+")
    if base not in SCHEMES or (plus and kind != "cluster"):
        raise ValueError(
            f"the store's URL begins with {scheme!r}; expected one of {', '.join(SCHEMES)}, "
            "with +cluster behind it for a cluster"
        )
    where = f"{SCHEMES[base]}://{rest}"
    first = urlsplit(where)

    def whole_cluster() -> Client:
        # Its own retries could send a correction twice, so it gets none.
        return coredis.RedisCluster.from_url(
            where,
            startup_nodes=[TCPLocation(first.hostname or "localhost", first.port or 6379)],
            retry_policy=NoRetryPolicy(),
            decode_components=True,
            connect_timeout=timeout,
            stream_timeout=timeout,
        )

    def one_server() -> Client:
        # One connection is enough, as rounds follow one another.
        return coredis.Redis.from_url(
            where,
            decode_components=True,
            connect_timeout=timeout,
            stream_timeout=timeout,
            max_connections=1,
            verify_version=False,
        )

    return Store(whole_cluster if kind else one_server, cluster=bool(kind))


class Link:
    """An open connection. Not for two tasks at once."""

    def __init__(self, client: Client, scripts: Sequence[Script]) -> None:
        self._client = client
        self._scripts = scripts

    async def load(self) -> None:
        """Teach the server the scripts. Raises `Broken`."""
        try:
            for script in self._scripts:
                await self._client.script_load(script.source)
        except (RedisError, OSError) as error:
            raise Broken(describe(error)) from error

    async def send(self, calls: Sequence[Call]) -> list[object]:
        """Send all calls in one go and return their answers in the same order. Raises `Broken`.

        A server that has forgotten a script is taught again. Cancelled, it leaves the link unusable.
        """
        answers = await self._pipeline(calls)
        forgotten = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if forgotten:
            await self.load()
            again = await self._pipeline([calls[i] for i in forgotten])
            for i, answer in zip(forgotten, again, strict=True):
                answers[i] = answer
        for answer in answers:
            if isinstance(answer, BaseException):
                raise Broken(describe(answer)) from answer
        return answers

    async def _pipeline(self, calls: Sequence[Call]) -> list[object]:
        try:
            async with self._client.pipeline(transaction=False, raise_on_error=False) as pipe:
                for call in calls:
                    pipe.evalsha(call.script.digest, keys=call.keys, args=call.arguments)
        except (RedisError, OSError) as error:
            raise Broken(describe(error)) from error
        return list(pipe.results or ())


async def with_link(
    store: Store, scripts: Sequence[Script], use: Callable[[Link], Awaitable[None]]
) -> None:
    """Open a client, let `use` work with it, and throw it away with all its connections. Raises `Broken`.

    The library's task group surrounds `use`, so its own errors may arrive in a group.
    """
    broken: Broken | None = None
    try:
        async with store.make() as client:
            try:
                await use(Link(client, scripts))
            except Broken as error:
                broken = error
    except* (RedisError, OSError) as group:
        broken = broken or Broken(", ".join(describe(error) for error in group.exceptions))
    if broken:
        raise broken


def describe(error: BaseException) -> str:
    """The kind of an error and its text: what an operator needs to find the cause."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
