"""A gateway that sells on credit, as an operator runs it, with its books open to the test.

Its providers are simulated, two of them for one model at one price. What its clients saw is kept by
request id, and from that it can be told what must be in the books.
"""

import contextlib
import os
import re
import secrets
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import trio
from sqlalchemy import select

from limiter.local import LocalLimiter
from limiter.table import Table
from router.accounts.account_store import AccountStore
from router.accounts.store import KeyStore
from router.ledger.book import Book
from router.ledger.schema import settlements
from tests.e2e.gateway import environ_of
from tests.e2e.process import GatewayProcess, wait_until

INPUT = 1_000  # nano-dollars a token
OUTPUT = 10_000
MODEL = "m"
ANSWER_SECONDS = 60.0
# The relay writes events whole, so a chunk is what stands between its length and the next.
_CHUNK = re.compile(rb"[0-9a-f]+\r\n(.+?)\r\n(?=[0-9a-f]+\r\n|\Z)", re.DOTALL)

Ending = Literal["whole", "cut", "left", "refused"]


class Seen(NamedTuple):
    """What a client saw of one request: how it ended, its status, what it was told, and what it had asked."""

    ending: Ending
    status: int
    code: str | None
    usage: tuple[int, int] | None
    fields: Mapping[str, Any]


class Booked(NamedTuple):
    """One settled request as it stands in the books; money in nano-dollars."""

    cost: int
    charged: int
    operator: int
    outcome: str
    input: int
    output: int


class Till:
    """A folder with a configuration, a store with one prepaid account, and the gateways run on them."""

    def __init__(
        self,
        folder: Path,
        ports: tuple[int, int],
        *,
        database_url: str | None = None,
        workers: int = 2,
        **race: Any,
    ) -> None:
        self.folder = folder
        self.seen: dict[str, Seen] = {}
        self.journal = folder / "journal"
        self._environ = environ_of(folder) | {"DATABASE_URL": database_url or ""}
        self.config = folder / "syze.toml"
        store = 'path = "keys.db"' if database_url is None else 'url = "env:DATABASE_URL"'
        self.config.write_text(_toml(store, ports, folder, workers=workers, race=race))
        self._keys = KeyStore.open(database_url or folder / "keys.db")
        self.book = Book(self._keys.database)
        account = AccountStore(self._keys.database).create("customer", prepaid=True)
        self.account = account.id
        self.key, self.secret = self._keys.create("test", account=self.account)

    def close(self) -> None:
        self._keys.close()

    def left_in_journals(self) -> list[str]:
        """The files in which settlements wait, or that nobody could read."""
        return [path.name for path in self.journal.rglob("*") if path.is_file()]

    def pay_in(self, nanodollars: int) -> None:
        self.book.top_up(self.account, nanodollars, key=secrets.token_hex(8))

    @contextlib.contextmanager
    def serving(self) -> Iterator[GatewayProcess]:
        """Run a gateway, which must end gracefully with the block."""
        with self.start() as process:
            yield process

    def start(self) -> GatewayProcess:
        arguments = ["serve", "--config", str(self.config)]
        return GatewayProcess(arguments, folder=self.folder, environ=self._environ)

    async def ask(
        self, process: GatewayProcess, *, leaves: float = ANSWER_SECONDS, **fields: Any
    ) -> Seen:
        """Send one request on a connection of its own; leave after so many seconds."""
        body: dict[str, Any] = {
            "model": MODEL,
            "messages": [{"role": "user", "content": secrets.token_hex(4)}],
        }
        body |= fields
        if body.get("stream"):
            body["stream_options"] = {"include_usage": True}
        received = bytearray()
        with trio.move_on_after(leaves) as scope, contextlib.suppress(OSError):
            await self._exchange(process, msgspec.json.encode(body), received)
        head, _, rest = bytes(received).partition(b"\r\n\r\n")
        seen = _seen(head, rest, body, left=scope.cancelled_caught)
        if named := re.search(rb"x-request-id: (\S+)", head):
            self.seen[named[1].decode()] = seen
        return seen

    async def _exchange(self, process: GatewayProcess, body: bytes, received: bytearray) -> None:
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
            f"authorization: Bearer {self.secret}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        try:
            async with await trio.open_tcp_stream("127.0.0.1", process.port) as stream:
                await stream.send_all(head.encode() + body)
                async for piece in stream:
                    received += piece
        except trio.BrokenResourceError as error:
            raise ConnectionResetError from error

    def booked(self) -> dict[str, Booked]:
        """What is in the books, by request."""
        columns = settlements.c
        query = select(
            columns.request_id,
            columns.cost_nanodollars,
            columns.charged_nanodollars,
            columns.operator_nanodollars,
            columns.outcome,
            columns.input_tokens,
            columns.output_tokens,
        )
        with self._keys.database.reading() as connection:
            return {row[0]: Booked(*row[1:]) for row in connection.execute(query)}

    def held(self) -> int:
        """What all workers hold of the account's credit now."""
        with Table.open(self.folder / "limits") as table:
            subject = f"account:{self.account}"
            return LocalLimiter(table).standing(subject, now=time.monotonic()).held_credit

    def check_books(self, paid_in: int) -> dict[str, Booked]:
        """Everything that a client saw completed is booked, once, at its price; and the books are sound."""
        booked = self.booked()
        proof = self.book.verify()
        assert proof.sound, proof
        charged = Counter(one.outcome for one in booked.values())
        for request_id, seen in self.seen.items():
            if seen.ending == "whole":
                assert request_id in booked, (request_id, seen, charged)
            one = booked.get(request_id)
            if one is not None:
                _check(one, seen)
        assert proof.charged == sum(one.charged for one in booked.values())
        assert self.book.balance(self.account) == paid_in - proof.charged >= 0
        return booked


def _check(one: Booked, seen: Seen) -> None:
    """A request that came whole cost what its client was told, and one that failed nothing."""
    if seen.ending == "whole" and seen.usage is not None:
        assert (one.input, one.output) == seen.usage
    assert one.cost == INPUT * one.input + OUTPUT * one.output
    if seen.ending == "refused":
        assert one.cost == 0
    if one.outcome == "upstream_failed":
        assert one.cost == 0


def _seen(head: bytes, rest: bytes, fields: Mapping[str, Any], *, left: bool) -> Seen:
    """Read what a client has received, however far it came."""
    status = int(head.split()[1]) if head else 0
    data = _content(head, rest)
    if data is not None and status == 200:
        last = data.split(b"\n\n")[-3].removeprefix(b"data: ") if fields.get("stream") else data
        told = msgspec.json.decode(last).get("usage")
        usage = (told["prompt_tokens"], told["completion_tokens"]) if told else None
        return Seen("whole", status, None, usage, fields)
    if data is not None and status:
        return Seen("refused", status, msgspec.json.decode(data)["error"]["code"], None, fields)
    return Seen("left" if left else "cut", status, None, None, fields)


def _content(head: bytes, rest: bytes) -> bytes | None:
    """Return the body if it is complete; a stream is with its `[DONE]`, however the connection ends."""
    if b"chunked" in head:
        data = b"".join(_CHUNK.findall(rest))
        return data if data.endswith(b"data: [DONE]\n\n") else None
    length = re.search(rb"content-length: (\d+)", head)
    return rest if length and int(length[1]) == len(rest) else None


def kill_everything(process: GatewayProcess) -> None:
    """Kill the supervisor and all workers at once, and wait until they are gone."""
    pids = [process._process.pid, *worker_pids(process)]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process._process.wait()
    wait_until("all are dead", lambda: not any(map(is_alive, pids)))


def worker_pids(process: GatewayProcess) -> list[int]:
    """The processes of the workers that live."""
    told = {line["worker"]: line["pid"] for line in process.log("worker listens")}
    return [pid for pid in told.values() if is_alive(pid)]


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that nobody has buried yet does not (Linux)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _toml(
    store: str, ports: tuple[int, int], folder: Path, *, workers: int, race: Mapping[str, Any]
) -> str:
    settings = "\n".join(f"{name} = {msgspec.json.encode(race[name]).decode()}" for name in race)
    providers = "".join(
        f"""
[providers.{name}]
base_url = "http://127.0.0.1:{port}/v1"
models = ["m"]
discover = false
timeouts = {{ first_byte = 5.0, idle = 1.0 }}
[money.prices."{name}/m"]
input = {INPUT / 1000}
output = {OUTPUT / 1000}
"""
        for name, port in zip("ab", ports, strict=True)
    )
    return f"""
[server]
bind = ["127.0.0.1:0"]
workers = {workers}
drain_seconds = 10.0
[store]
{store}
[money]
journal = "journal"
[limits]
folder = "{folder / "limits"}"
wait_seconds = 1.0
[log]
format = "json"
[race]
{settings}
[models.m]
targets = ["a/m"]
fallbacks = ["b/m"]
{providers}"""
