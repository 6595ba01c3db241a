"""The cheapest server that answers chat requests: `python -m router.loadtest.responder`.

Load is generated and upstreams are played on the machine that also runs what is measured, so the upstream
should cost next to nothing: canned bytes, one epoll loop, no parser (it trusts its clients to be the load
generator or a gateway). For a provider that behaves like one, faults included, there is the simulator.

A request orders its answer in its text, which survives every gateway: `[tokens=200 gap=5]` asks for so many
tokens, a gap of so many milliseconds apart. Each streamed token is `@` and the microseconds of the monotonic
clock at which it was written, so a reader on the same machine can tell its transit. A client that
does not take its events in time misses some: the pace is the server's.
"""

import re
import select
import signal
import socket
import ssl
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

_ORDER: Final = re.compile(rb"\[tokens=([0-9]{1,7}) gap=([0-9]{1,6})\]")
_STREAMED: Final = re.compile(rb'"stream" ?: ?true')
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_BACKLOG: Final = 4096
_READ_BYTES: Final = 65_536
_DEFAULT_TOKENS: Final = 20
_IDLE_SECONDS: Final = 0.1

_CHUNK: Final = (
    b'data: {"id":"chatcmpl-canned","object":"chat.completion.chunk","created":1700000000,'
    b'"model":"canned","choices":[{"index":0,"delta":%b,"finish_reason":%b}]}\n\n'
)


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _json(head: bytes, body: bytes) -> bytes:
    return b"%b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        head,
        len(body),
        body,
    )


_OPENING: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
    + _framed(_CHUNK % (b'{"role":"assistant","content":""}', b"null"))
)
# Every stamp has sixteen digits, so the frame of a token is always the same.
_DIGITS: Final = 16
_TOKEN: Final = _framed(_CHUNK % (b'{"content":"@' + b"0" * _DIGITS + b' "}', b"null")).replace(
    b"@" + b"0" * _DIGITS, b"@%016d"
)
_CLOSING: Final = _framed(_CHUNK % (b"{}", b'"stop"')) + _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"
_TEXT: Final = "The alder and the willow stand there, for they like to have wet feet. " * 3
_WHOLE: Final = _json(
    b"HTTP/1.1 200 OK",
    b'{"id":"chatcmpl-canned","object":"chat.completion","created":1700000000,"model":"canned",'
    b'"choices":[{"index":0,"message":{"role":"assistant","content":"%b"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":30,"completion_tokens":40,"total_tokens":70}}' % _TEXT.encode(),
)
# What gateways ask their upstreams before they use them.
_ABOUT: Final = _json(
    b"HTTP/1.1 200 OK",
    b'{"object":"list","data":[{"id":"canned","object":"model","owned_by":"canned"}],'
    b'"status":"ok","model_path":"canned","served_model_name":"canned","is_generation":true,'
    b'"tp_size":1,"dp_size":1}',
)


class _Client:
    """One connection: what it has sent, and what it has not taken yet."""

    __slots__ = ("due", "gap", "left", "received", "socket", "unsent")

    def __init__(self, accepted: socket.socket) -> None:
        self.socket = accepted
        self.received = b""
        self.unsent = b""
        self.left = 0
        self.gap = 0.0
        self.due = 0.0


class Responder:
    """Serves a listening socket until `stopping`; with a context, over TLS."""

    def __init__(self, listener: socket.socket, secret: ssl.SSLContext | None = None) -> None:
        self.stopping = False
        self._listener = listener
        self._secret = secret
        self._epoll = select.epoll()
        self._epoll.register(listener.fileno(), select.EPOLLIN)
        self._clients: dict[int, _Client] = {}
        # Streams of one gap are due in the order in which they were last served.
        self._lines: dict[float, deque[_Client]] = {}

    def run(self) -> None:
        """Answer until told to stop, then drop all clients."""
        try:
            while not self.stopping:
                for number, _ in self._epoll.poll(self._wait()):
                    if number == self._listener.fileno():
                        self._accept()
                    elif (client := self._clients.get(number)) is not None:
                        self._attend(client)
                self._serve_streams()
        finally:
            for client in list(self._clients.values()):
                self._leave(client)
            self._epoll.close()

    def _wait(self) -> float:
        """Return the seconds until the next event is due, at most a tenth, so that a signal is noticed."""
        firsts = [line[0].due for line in self._lines.values() if line]
        if not firsts:
            return _IDLE_SECONDS
        return min(_IDLE_SECONDS, max(0.0, min(firsts) - time.monotonic()))

    def _accept(self) -> None:
        accepted, _ = self._listener.accept()
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._secret is not None:
            try:
                accepted.settimeout(5.0)
                accepted = self._secret.wrap_socket(accepted, server_side=True)
            except OSError:
                accepted.close()
                return
        accepted.settimeout(0)
        client = _Client(accepted)
        self._clients[accepted.fileno()] = client
        self._epoll.register(accepted.fileno(), select.EPOLLIN)
        if self._secret is not None:
            self._attend(client)

    def _attend(self, client: _Client) -> None:
        try:
            while True:
                data = client.socket.recv(_READ_BYTES)
                if not data:
                    self._leave(client)
                    return
                client.received += data
                if len(data) < _READ_BYTES and self._secret is None:
                    break
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except OSError:
            self._leave(client)
            return
        self._answer(client)

    def _answer(self, client: _Client) -> None:
        """Answer what has been asked whole; a client that asks while it is served waits."""
        while not client.left and not client.unsent:
            end = client.received.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(client.received, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(client.received) < whole:
                return
            request, client.received = client.received[:whole], client.received[whole:]
            self._reply(client, request, request[end + 4 :])

    def _reply(self, client: _Client, request: bytes, body: bytes) -> None:
        if not request.startswith(b"POST"):
            self._send(client, _ABOUT)
        elif not _STREAMED.search(body):
            self._send(client, _WHOLE)
        else:
            order = _ORDER.search(body)
            tokens, gap = (int(order[1]), int(order[2])) if order else (_DEFAULT_TOKENS, 0)
            self._begin_stream(client, tokens, gap / 1000)

    def _begin_stream(self, client: _Client, tokens: int, gap: float) -> None:
        now = time.monotonic()
        self._send(client, _OPENING + (_TOKEN % int(now * 1e6)))
        client.left = max(1, tokens)
        client.gap = gap
        client.due = now + gap
        self._lines.setdefault(gap, deque()).append(client)

    def _serve_streams(self) -> None:
        now = time.monotonic()
        for gap, line in self._lines.items():
            # Each at most once a pass, so that streams without a gap leave room for reading.
            for _ in range(len(line)):
                if line[0].due > now:
                    break
                client = line.popleft()
                if client.socket.fileno() < 0:
                    continue
                client.left -= 1
                if client.left <= 0:
                    self._send(client, _CLOSING)
                    self._answer(client)
                    continue
                if client.unsent:
                    self._send(client, b"")
                else:
                    self._send(client, _TOKEN % (time.monotonic_ns() // 1000))
                client.due = max(client.due + gap, now - 1.0)
                line.append(client)

    def _send(self, client: _Client, data: bytes) -> None:
        data = client.unsent + data if client.unsent else data
        try:
            sent = client.socket.send(data) if data else 0
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            sent = 0
        except OSError:
            self._leave(client)
            return
        client.unsent = data[sent:] if sent < len(data) else b""

    def _leave(self, client: _Client) -> None:
        number = client.socket.fileno()
        if number >= 0:
            self._epoll.unregister(number)
            del self._clients[number]
            client.socket.close()
        client.left = 0


@click.command()
@click.option("--port", default=0, show_default=True, help="Port of 127.0.0.1; 0 takes a free one.")
@click.option(
    "--certificate",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Serve TLS with this PEM file of certificate and key.",
)
def main(port: int, certificate: Path | None) -> None:
    """Answer chat requests with canned bytes until SIGTERM or SIGINT."""
    secret = None
    if certificate is not None:
        secret = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secret.load_cert_chain(certificate)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(_BACKLOG)
        responder = Responder(listener, secret)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _stopper(responder))
        scheme = "http" if secret is None else "https"
        sys.stdout.write(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/v1\n")
        sys.stdout.flush()
        responder.run()


def _stopper(responder: Responder) -> Callable[..., None]:
    def stop(*_: object) -> None:
        responder.stopping = True

    return stop


if __name__ == "__main__":
    main()
