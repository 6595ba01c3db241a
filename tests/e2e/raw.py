"""HTTP with the hands on it: a socket of our own, for what no library lets a client do.

`Wire` also speaks plain HTTP/1.1 over that socket by the standard library's parser, so that a test
can look at one connection: whether it is kept, and what exactly came over it.
"""

import contextlib
import http.client
import io
import select
import socket
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import msgspec

from tests.e2e.gateway import Gateway

SECONDS = 30.0


class RawAnswer(NamedTuple):
    """One whole answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The inside of the error object."""
        found: dict[str, Any] = self.json()["error"]
        return found


class Wire:
    """One TCP connection to a gateway. `receive_bytes` bounds what the system buffers for us."""

    def __init__(self, gateway: Gateway, *, receive_bytes: int | None = None) -> None:
        self.key = gateway.key
        self.socket = socket.socket()
        self.socket.settimeout(SECONDS)
        if receive_bytes is not None:
            # Before connecting, because the window is agreed upon then.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.connect(("127.0.0.1", gateway.process.port))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_request(
        self,
        path: str,
        body: bytes | None = None,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send one request with the key; `headers` go before the usual ones and may replace them."""
        self.send(self.head(path, body, method=method, headers=headers) + (body or b""))

    def head(
        self,
        path: str,
        body: bytes | None = None,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """The bytes before the body."""
        fields = {"host": "gateway", "authorization": f"Bearer {self.key}"}
        if body is not None:
            fields |= {"content-type": "application/json", "content-length": str(len(body))}
        fields |= {name.lower(): value for name, value in (headers or {}).items()}
        lines = [f"{method} {path} HTTP/1.1", *(f"{n}: {v}" for n, v in fields.items() if v)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def answer(self, method: str = "POST") -> RawAnswer:
        """Read one answer. Raises `http.client.IncompleteRead` for one that is cut."""
        response = http.client.HTTPResponse(self.socket, method=method)
        # The file would read ahead, and lose the start of the next answer with it.
        response.fp = io.BufferedReader(_Unbuffered(self.socket), buffer_size=1)
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        with contextlib.closing(response):
            return RawAnswer(response.status, headers, response.read())

    def post(
        self, path: str, body: bytes, *, headers: Mapping[str, str] | None = None
    ) -> RawAnswer:
        """Send a POST and read its answer."""
        self.send_request(path, body, headers=headers)
        return self.answer()

    def get(
        self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> RawAnswer:
        """Send a request without a body and read its answer."""
        self.send_request(path, method=method, headers=headers)
        return self.answer(method)

    def receive_until(self, wanted: bytes) -> bytes:
        """Read until `wanted` has come; return all that was read. Fails at the end of the stream."""
        data = b""
        while wanted not in data:
            piece = self.socket.recv(65536)
            assert piece, f"the connection ended before {wanted!r}: {data!r}"
            data += piece
        return data

    def receive_all(self) -> bytes:
        """Read until the other side closes; a reset counts as that."""
        data = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := self.socket.recv(65536):
                data += piece
        return data

    def is_closed(self) -> bool:
        """Whether the other side closes the connection now; waits for it, within the time limit."""
        return self.receive_all() == b""

    def has_broken(self) -> bool:
        """Whether the other side has reset the connection; nothing is read to find out."""
        poller = select.poll()
        poller.register(self.socket, 0)  # errors are reported unasked
        return bool(poller.poll(0))

    def reset(self) -> None:
        """Close with a reset, as a client does that crashes."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class _Unbuffered(io.RawIOBase):
    """A socket as a raw file, which does not own it."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._socket.recv_into(buffer)
