"""The reply over ASGI, the watcher of the client, and aborting a connection."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import trio
import trio.testing
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable

from router.front.asgi import AsgiReply, Headers, watch_client
from router.front.http1.message import Likeness

COMMON = [(b"x-request-id", b"req_1")]


class Sent:
    """What went to the server."""

    def __init__(self) -> None:
        self.messages: list[Mapping[str, Any]] = []
        self.reply = AsgiReply(cast("ASGISendCallable", self.send), COMMON)

    async def send(self, message: Mapping[str, Any]) -> None:
        await trio.lowlevel.checkpoint()
        self.messages.append(message)


class FakeOffer:
    """A connection that sends at once, but for the second piece."""

    sends_now = True

    def __init__(self) -> None:
        self.likeness = Likeness()
        self.now: list[bytes] = []
        self.flushed = 0
        self.answers: list[tuple[int, list[tuple[bytes, bytes]], bytes]] = []

    def cancel_on_leave(self) -> None:
        raise NotImplementedError

    def body_at_hand(self) -> bytes | None:
        raise NotImplementedError

    async def send_whole(self, status: int, headers: Headers, body: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.answers.append((status, list(headers), body))

    def send_now(self, data: bytes) -> bool:
        self.now.append(data)
        return len(self.now) < 2

    async def flush(self) -> None:
        await trio.lowlevel.checkpoint()
        self.flushed += 1


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


async def test_pieces_go_out_without_waiting_only_where_the_server_offers_it_and_after_the_first() -> (
    None
):
    plain = Sent()
    await plain.reply.start(200, [])
    await plain.reply.send(b"one")
    assert not plain.reply.can_send_now

    sent, offer = Sent(), FakeOffer()
    send = cast("ASGISendCallable", sent.send)
    reply = AsgiReply(send, COMMON, offer=offer)
    could = [reply.can_send_now]
    await reply.send(b"first")
    could.append(reply.can_send_now)
    assert could == [False, True]
    assert (reply.send_now(b"second"), reply.send_now(b"third")) == (True, False)
    await reply.flush()
    assert (offer.now, offer.flushed, reply.sent_bytes) == ([b"second", b"third"], 1, 16)
    assert not reply.finished

    offer.sends_now = False
    assert not reply.can_send_now


async def test_a_whole_answer_goes_out_in_one_call_where_the_server_offers_it() -> None:
    sent, offer = Sent(), FakeOffer()
    reply = AsgiReply(cast("ASGISendCallable", sent.send), COMMON, offer=offer)
    reply.limit_headers = [(b"x-limit", b"1")]
    await reply.answer(200, [(b"x-a", b"b")], b"{}")
    headers = [(b"x-a", b"b"), (b"content-length", b"2"), (b"x-limit", b"1"), *COMMON]
    assert offer.answers == [(200, headers, b"{}")]
    assert sent.messages == []
    assert (reply.started, reply.finished, reply.sent_bytes) == (True, True, 2)


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
