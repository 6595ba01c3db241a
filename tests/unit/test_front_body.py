"""Reading a request's body within its limits, on a scripted client: exact sizes and moments."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
import trio
from hypercorn.typing import ASGIReceiveCallable
from trio.testing import MockClock

from router.errors import BodyTooLarge, BodyTooSlow
from router.front.asgi import AsgiBody
from router.front.body import (
    DRAIN_BODIES,
    DRAIN_SECONDS,
    BodyLimits,
    ClientGone,
    drain_body,
    read_body,
)

GONE = {"type": "http.disconnect"}


def part(data: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


class Sender:
    """A client that sends these messages, each after `pause` seconds, and then nothing more."""

    def __init__(self, *messages: dict[str, Any], pause: float = 0.0) -> None:
        self._messages = list(messages)
        self._pause = pause
        self.taken = 0

    async def receive(self) -> dict[str, Any]:
        if self.taken == len(self._messages):
            await trio.sleep_forever()
        await trio.sleep(self._pause)
        self.taken += 1
        return self._messages[self.taken - 1]


class Reading:
    """The body of a sender, within limits, and how often it was found whole."""

    def __init__(self, sender: Sender, *, max_bytes: int = 100, seconds: float = 60.0) -> None:
        self.whole = 0
        self._body = AsgiBody(cast("ASGIReceiveCallable", sender.receive), on_whole=self._count)
        self._limits = BodyLimits(max_bytes, seconds)

    async def read(self) -> bytes:
        return await read_body(self._body, self._limits)

    async def drain(self) -> None:
        await drain_body(self._body, self._limits)

    def _count(self) -> None:
        self.whole += 1


async def seconds_of(action: Callable[[], Awaitable[object]]) -> float:
    start = trio.current_time()
    await action()
    return trio.current_time() - start


@pytest.mark.parametrize(
    ("messages", "body"),
    [
        ([part(b"", more=False)], b""),
        ([part(b"all", more=False)], b"all"),
        ([part(b"a", more=True), part(b"b", more=True), part(b"c", more=False)], b"abc"),
        ([part(b"", more=True), part(b"x" * 100, more=False)], b"x" * 100),
        ([{"type": "http.request"}], b""),
    ],
)
async def test_a_body_is_put_together_of_its_parts(
    messages: list[dict[str, Any]], body: bytes
) -> None:
    reading = Reading(Sender(*messages))
    assert await reading.read() == body
    assert reading.whole == 1


async def test_a_body_may_take_until_its_limit_and_no_longer(autojump_clock: MockClock) -> None:
    parts = [part(b"x", more=True)] * 5 + [part(b"x", more=False)]
    in_time = Reading(Sender(*parts, pause=9.0), seconds=55.0)
    assert await in_time.read() == b"x" * 6
    late = Reading(Sender(*parts, pause=9.0), seconds=53.0)
    start = trio.current_time()
    with pytest.raises(BodyTooSlow, match="53 seconds"):
        await late.read()
    assert trio.current_time() - start == 53.0
    assert late.whole == 0


async def test_a_body_over_the_limit_is_refused_with_the_limit_in_the_message() -> None:
    reading = Reading(Sender(part(b"x" * 60, more=True), part(b"x" * 41, more=False)))
    with pytest.raises(BodyTooLarge, match="100 bytes"):
        await reading.read()


async def test_what_is_left_of_a_body_is_read_and_thrown_away() -> None:
    sender = Sender(*[part(b"x" * 90, more=True)] * 3, part(b"x", more=False))
    reading = Reading(sender)
    with pytest.raises(BodyTooLarge):
        await reading.read()
    await reading.drain()
    assert sender.taken == 4
    assert reading.whole == 1
    await reading.drain()
    assert sender.taken == 4


async def test_draining_ends_after_some_bodies_of_the_largest_size() -> None:
    sender = Sender(*[part(b"x" * 100, more=True)] * 50)
    await Reading(sender).drain()
    assert sender.taken == DRAIN_BODIES


async def test_draining_ends_after_its_time(autojump_clock: MockClock) -> None:
    sender = Sender(part(b"x", more=True))
    reader = Reading(sender)
    assert await seconds_of(reader.drain) == DRAIN_SECONDS
    hasty = Reading(Sender(part(b"x", more=True)), seconds=2.0)
    assert await seconds_of(hasty.drain) == 2.0


@pytest.mark.parametrize("before", [[], [part(b"x", more=True)], [part(b"x" * 101, more=True)]])
async def test_a_client_that_leaves_before_its_body_is_whole_is_gone(
    before: list[dict[str, Any]],
) -> None:
    reading = Reading(Sender(*before, GONE))
    with pytest.raises(ClientGone):
        await read_and_drain(reading)
    assert reading.whole == 0


async def read_and_drain(reader: Reading) -> None:
    try:
        await reader.read()
    except BodyTooLarge:
        await reader.drain()


async def test_a_message_of_another_kind_is_a_fault_of_the_server() -> None:
    with pytest.raises(RuntimeError, match=r"websocket\.receive"):
        await Reading(Sender({"type": "websocket.receive"})).read()
