"""The reply over ASGI, the watcher of the client, and aborting a connection."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest
import trio
import trio.testing
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable

from router.front.asgi import AsgiReply, watch_client

COMMON = [(b"x-request-id", b"req_1")]


class Sent:
    """What went to the server."""

    def __init__(self) -> None:
        self.messages: list[Mapping[str, Any]] = []
        self.reply = AsgiReply(cast("ASGISendCallable", self.send), COMMON)

    async def send(self, message: Mapping[str, Any]) -> None:
        await trio.lowlevel.checkpoint()
        self.messages.append(message)


async def test_a_whole_answer_has_its_length_and_the_common_headers() -> None:
    sent = Sent()
    await sent.reply.answer(404, [(b"content-type", b"application/json")], b"{}")
    head, body = sent.messages
    assert head["status"] == 404
    assert head["headers"] == [
        (b"content-type", b"application/json"),
        (b"content-length", b"2"),
        *COMMON,
    ]
    assert body == {"type": "http.response.body", "body": b"{}", "more_body": False}
    assert (sent.reply.started, sent.reply.finished, sent.reply.sent_bytes) == (True, True, 2)


async def test_a_streamed_answer_is_finished_only_by_finish() -> None:
    sent = Sent()
    await sent.reply.start(200, [])
    await sent.reply.send(b"one")
    await sent.reply.send(b"three")
    assert (sent.reply.started, sent.reply.finished) == (True, False)
    await sent.reply.finish()
    assert sent.reply.finished
    assert sent.reply.sent_bytes == 8
    assert [message.get("more_body") for message in sent.messages] == [None, True, True, False]


async def test_no_piece_goes_out_without_waiting() -> None:
    sent = Sent()
    await sent.reply.start(200, [])
    await sent.reply.send(b"one")
    assert not sent.reply.can_send_now
    with pytest.raises(RuntimeError):
        sent.reply.send_now(b"two")
    assert len(sent.messages) == 2


async def test_the_limits_are_told_between_the_answers_own_headers_and_the_common_ones() -> None:
    sent = Sent()
    sent.reply.limit_headers = [(b"x-limit", b"1")]
    await sent.reply.answer(200, [(b"x-a", b"b")], b"{}")
    assert sent.messages[0]["headers"] == [
        (b"x-a", b"b"),
        (b"content-length", b"2"),
        (b"x-limit", b"1"),
        *COMMON,
    ]


class Receiver:
    """Gives messages as a test releases them."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[dict[str, Any]](10)

    def give(self, kind: str) -> None:
        self._send.send_nowait({"type": kind})

    async def receive(self) -> dict[str, Any]:
        return await self._receive.receive()


async def watch(before: Callable[[AsgiReply], None]) -> bool:
    """Let a client leave after `before`; whether that cancelled the request."""
    receiver, sent = Receiver(), Sent()
    with trio.CancelScope() as request:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                watch_client, cast("ASGIReceiveCallable", receiver.receive), sent.reply, request
            )
            receiver.give("http.request")
            await trio.testing.wait_all_tasks_blocked()
            assert not request.cancel_called
            before(sent.reply)
            receiver.give("http.disconnect")
    return request.cancel_called


async def test_a_client_that_leaves_cancels_its_request() -> None:
    assert await watch(lambda _reply: None)


async def test_the_disconnect_that_follows_every_whole_answer_cancels_nothing() -> None:
    def finish(reply: AsgiReply) -> None:
        reply.finished = True

    assert not await watch(finish)
