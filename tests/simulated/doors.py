"""An application whose paths behave in as many ways as applications do: well, slowly, wrongly, not at all."""

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from tests.simulated.served import Messages, Send, body, head, until_gone


class Doors:
    """An application with several doors, each of which behaves in its own way.

    `gone_at` is when the client of a waiting door left.
    """

    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.gone_at: list[float] = []
        self.running = 0

    async def __call__(self, scope: dict[str, Any], receive: Messages, send: Send) -> None:
        self.scopes.append(scope)
        doors: dict[str, Callable[[Messages, Send], Awaitable[None]]] = {
            "/echo": self.echo,
            "/half": self.half,
            "/wait": self.wait,
            "/silent": self.silent,
            "/deaf": self.deaf,
            "/slow": self.slow,
            "/fails": self.fails,
            "/wrong": self.wrong,
            "/empty": self.empty,
        }
        self.running += 1
        try:
            await doors.get(scope["path"], self.hello)(receive, send)
        finally:
            self.running -= 1

    async def hello(self, _receive: Messages, send: Send) -> None:
        await send(head())
        await send(body(b"hello"))

    async def echo(self, receive: Messages, send: Send) -> None:
        content = b""
        more = True
        while more:
            message = await receive()
            assert message["type"] == "http.request"
            content += message["body"]
            more = message["more_body"]
        self.bodies.append(content)
        await send(head())
        await send(body(content))

    async def half(self, _receive: Messages, send: Send) -> None:
        await send(head())
        await send(body(b"half", more=True))

    async def wait(self, receive: Messages, send: Send) -> None:
        """Say something, and go when the client does."""
        await send(head())
        await send(body(b"wait", more=True))
        await until_gone(receive, trio.CancelScope())
        self.gone_at.append(trio.current_time())

    async def silent(self, receive: Messages, _send: Send) -> None:
        await until_gone(receive, trio.CancelScope())
        self.gone_at.append(trio.current_time())

    async def deaf(self, _receive: Messages, send: Send) -> None:
        """Answer after a while, the body unread."""
        await trio.sleep(10)
        await send(head())
        await send(body(b"no matter"))

    async def slow(self, _receive: Messages, send: Send) -> None:
        await send(head())
        for piece in range(10):
            await trio.sleep(1)
            await send(body(b"%d" % piece, more=piece < 9))

    async def fails(self, _receive: Messages, send: Send) -> None:
        raise ValueError("a fault of the application")

    async def wrong(self, _receive: Messages, send: Send) -> None:
        await send({**head(), "headers": [(b"sound", b"1"), (b"x", b"a\r\nb")]})
        await send(body(b"never"))

    async def empty(self, _receive: Messages, send: Send) -> None:
        headers = [(b"content-length", b"3"), (b"connection", b"close"), (b"X-Big", b"1")]
        await send({**head(204), "headers": headers})
        await send(body(b"abc"))
