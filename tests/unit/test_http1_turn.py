"""One request's callables over a fake wire: what goes out in which write, and what is kept."""

from collections.abc import Callable
from typing import Any

import pytest
import trio

from router.front.http1.asgi_calls import AsgiCalls
from router.front.http1.llhttp import LlhttpParser
from router.front.http1.turn import Turn
from router.front.http1.usual import UsualHeads

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
START: Any = {"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"1")]}
HEAD = b"HTTP/1.1 200 OK\r\nx-a: 1\r\ndate: now\r\ntransfer-encoding: chunked\r\n\r\n"


class FakeWire:
    """Takes `room` bytes at once; the rest waits for `flush`, which may find the client gone."""

    is_plain = True

    def __init__(self, room: int = 10**6) -> None:
        self.room = room
        self.writes: list[bytes] = []
        self.kept = b""
        self.broken = False
        self.flushes = 0

    def write_now(self, data: bytes) -> bool:
        if self.kept or self.broken:
            self.kept += data
            return False
        taken, self.kept = data[: self.room], data[self.room :]
        self.room -= len(taken)
        self.writes.append(taken)
        return not self.kept

    write_soon = write_now

    async def flush(self) -> None:
        self.flushes += 1
        await trio.lowlevel.checkpoint()
        if self.broken:
            raise trio.BrokenResourceError
        self.writes.append(self.kept)
        self.kept = b""

    async def read(self) -> bytes:
        raise NotImplementedError

    receive = read

    def abort(self) -> None:
        self.broken = True

    async def close(self, *, linger: bool) -> None:
        raise NotImplementedError


def turn_on(
    wire: FakeWire, sent: bytes = GET, *, cancel: Callable[[], None] = lambda: None
) -> Turn:
    parser = LlhttpParser()
    parser.receive_data(sent)
    request = parser.next_head()
    assert request is not None
    return Turn(parser, wire, request, UsualHeads(lambda: (b"date", b"now")), cancel)


def piece(data: bytes, *, more: bool = True) -> Any:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def test_a_whole_answer_is_one_write() -> None:
    wire = FakeWire()
    turn = turn_on(wire)
    await AsgiCalls(turn).send(START)
    assert wire.writes == []
    await AsgiCalls(turn).send(piece(b"hello", more=False))
    assert wire.writes == [HEAD + b"5\r\nhello\r\n0\r\n\r\n"]
    assert turn.answered


async def test_the_head_goes_out_with_the_first_piece_and_each_piece_by_itself() -> None:
    wire = FakeWire()
    turn = turn_on(wire)
    await AsgiCalls(turn).send(START)
    await AsgiCalls(turn).send(piece(b"one"))
    await AsgiCalls(turn).send(piece(b"two"))
    await AsgiCalls(turn).send(piece(b"", more=False))
    assert wire.writes == [HEAD + b"3\r\none\r\n", b"3\r\ntwo\r\n", b"0\r\n\r\n"]


async def test_a_whole_answer_has_its_length_and_all_headers_in_order() -> None:
    wire = FakeWire()
    turn = turn_on(wire)
    turn.common_headers = [(b"vary", b"origin")]
    turn.limit_headers = [(b"x-limit", b"2")]
    turn.own_headers = [(b"x-request-id", b"req_1")]
    await turn.answer(404, [(b"x-a", b"1")], b"hello")
    assert b"".join(wire.writes) == (
        b"HTTP/1.1 404 Not Found\r\nx-a: 1\r\nvary: origin\r\ndate: now\r\nx-limit: 2\r\n"
        b"x-request-id: req_1\r\ncontent-length: 5\r\n\r\nhello"
    )
    assert len(wire.writes) == 1
    assert (turn.started, turn.begun, turn.answered, turn.sent_bytes) == (True, True, True, 5)


async def test_a_whole_answer_that_is_not_taken_at_once_is_waited_for() -> None:
    wire = FakeWire(room=20)
    turn = turn_on(wire)
    await turn.answer(200, [], b"hello")
    assert wire.flushes == 1
    assert b"".join(wire.writes).endswith(b"\r\n\r\nhello")


async def test_a_cancelled_request_gets_no_whole_answer() -> None:
    wire = FakeWire()
    turn = turn_on(wire)
    with trio.CancelScope() as scope:
        scope.cancel()
        await turn.answer(200, [], b"hello")
    assert scope.cancelled_caught
    assert (wire.writes, turn.begun) == ([], False)


async def test_a_request_that_was_not_read_to_its_end_closes_after_its_whole_answer() -> None:
    wire = FakeWire()
    turn = turn_on(wire, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
    await turn.answer(200, [], b"hello")
    assert b"\r\nconnection: close\r\n" in wire.writes[0]


async def test_a_streamed_answer_may_skip_the_wait_from_its_first_piece_on() -> None:
    wire = FakeWire()
    turn = turn_on(wire)
    turn.common_headers = [(b"vary", b"origin")]
    turn.limit_headers = [(b"x-limit", b"2")]
    turn.own_headers = [(b"x-request-id", b"req_1")]
    await turn.start(200, [(b"x-a", b"1")])
    could = [turn.can_send_now]
    await turn.send(b"one")
    could.append(turn.can_send_now)
    assert turn.send_now(b"two")
    await turn.finish()
    assert could == [False, True]
    assert wire.writes[0].startswith(
        b"HTTP/1.1 200 OK\r\nx-a: 1\r\nvary: origin\r\nx-limit: 2\r\nx-request-id: req_1\r\ndate: now\r\n"
    )
    assert wire.writes[1:] == [b"3\r\ntwo\r\n", b"0\r\n\r\n"]
    assert (turn.started, turn.answered, turn.sent_bytes) == (True, True, 6)


async def test_where_writing_may_have_to_wait_no_piece_skips_the_wait() -> None:
    wire = FakeWire()
    wire.is_plain = False
    turn = turn_on(wire)
    await turn.start(200, [])
    await turn.send(b"one")
    assert not turn.can_send_now


async def test_what_is_sent_at_once_needs_no_waiting() -> None:
    wire = FakeWire()
    turn = turn_on(wire)
    await AsgiCalls(turn).send(START)
    assert turn.send_now(b"one")
    assert turn.send_now(b"two")
    assert wire.writes == [HEAD + b"3\r\none\r\n", b"3\r\ntwo\r\n"]
    await AsgiCalls(turn).send(piece(b"", more=False))
    assert b"".join(wire.writes).endswith(b"two\r\n0\r\n\r\n")


async def test_what_did_not_go_out_at_once_is_kept_in_order_until_flushed() -> None:
    wire = FakeWire(room=len(HEAD) + 2)
    turn = turn_on(wire)
    await AsgiCalls(turn).send(START)
    assert not turn.send_now(b"one")
    assert not turn.send_now(b"two")
    await turn.flush()
    assert b"".join(wire.writes) == HEAD + b"3\r\none\r\n3\r\ntwo\r\n"
    wire.room = 100
    assert turn.send_now(b"three")


async def test_sending_at_once_to_an_old_client_frames_nothing() -> None:
    wire = FakeWire()
    turn = turn_on(wire, b"GET / HTTP/1.0\r\n\r\n")
    await AsgiCalls(turn).send(START)
    turn.send_now(b"one")
    turn.send_now(b"two")
    assert wire.writes[0].endswith(b"\r\n\r\none")
    assert wire.writes[1:] == [b"two"]


async def test_nothing_is_kept_for_a_client_that_is_gone() -> None:
    wire = FakeWire()
    scope = trio.CancelScope()
    turn = turn_on(wire, cancel=scope.cancel)
    await AsgiCalls(turn).send(START)
    turn.send_now(b"one")
    wire.abort()
    assert not turn.send_now(b"two")
    with scope:
        turn.cancel_on_leave()
        await turn.flush()
    assert scope.cancelled_caught
    held = wire.kept
    assert not turn.send_now(b"x" * 1000)
    assert wire.kept == held


async def test_a_leave_cancels_before_or_after_that_is_asked_for() -> None:
    for leave_first in (True, False):
        scope = trio.CancelScope()
        turn = turn_on(FakeWire(), cancel=scope.cancel)
        if leave_first:
            turn.leave()
        turn.cancel_on_leave()
        assert scope.cancel_called is leave_first
        turn.leave()
        assert scope.cancel_called


async def test_a_leave_after_the_last_piece_cancels_nothing_even_if_it_is_not_written_yet() -> None:
    wire = FakeWire(room=10)
    scope = trio.CancelScope()
    turn = turn_on(wire, cancel=scope.cancel)
    turn.cancel_on_leave()
    await AsgiCalls(turn).send(START)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(AsgiCalls(turn).send, piece(b"hello", more=False))
        await trio.testing.wait_all_tasks_blocked()
        turn.leave()
    assert not scope.cancel_called


async def test_many_sends_let_others_run_now_and_then() -> None:
    ran = 0

    async def other() -> None:
        nonlocal ran
        while True:
            ran += 1
            await trio.lowlevel.checkpoint()

    turn = turn_on(FakeWire())
    await AsgiCalls(turn).send(START)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        for _ in range(100):
            await AsgiCalls(turn).send(piece(b"x"))
        nursery.cancel_scope.cancel()
    assert ran > 3


async def test_a_cancelled_application_sends_nothing_more() -> None:
    wire = FakeWire()
    turn = turn_on(wire)
    await AsgiCalls(turn).send(START)
    with trio.CancelScope() as scope:
        scope.cancel()
        await AsgiCalls(turn).send(piece(b"x"))
    assert scope.cancelled_caught
    assert wire.writes == []


@pytest.mark.parametrize(
    "message", [piece(b"no head yet"), {"type": "http.response.trailers"}], ids=["body", "trailers"]
)
async def test_what_may_not_be_sent_is_the_applications_mistake(message: Any) -> None:
    turn = turn_on(FakeWire())
    with pytest.raises(RuntimeError):
        await AsgiCalls(turn).send(message)


@pytest.mark.parametrize(
    "header", [(b"x", b"a\r\nb: c"), (b"x", b"\0"), (b"x: y", b"z"), (b"", b"z"), (b"x\n", b"z")]
)
async def test_a_header_cannot_carry_another(header: tuple[bytes, bytes]) -> None:
    turn = turn_on(FakeWire())
    await AsgiCalls(turn).send({"type": "http.response.start", "status": 200, "headers": [header]})
    with pytest.raises(ValueError, match="not valid HTTP"):
        await AsgiCalls(turn).send(piece(b"x"))
