"""The client against scripted origins in memory: reuse, retry, refusal, cut, queue, cancellation."""

import gzip
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trio
import trio.testing

from router.upstream.client import (
    OutgoingRequest,
    PoolLimits,
    PoolSnapshot,
    UpstreamClient,
)
from router.upstream.errors import (
    AnswerTooLarge,
    ConnectFailed,
    UpstreamCut,
    UpstreamProtocolError,
)
from router.upstream.origin import Origin
from tests.simulated.scripted_upstream import (
    OK,
    ORIGIN,
    Peer,
    Script,
    ScriptedUpstream,
    answering,
    serve_ok,
)

SMALL = OutgoingRequest(b"POST", b"/v1/chat", [(b"x-a", b"1")], b"{}")
LARGE = OutgoingRequest(b"POST", b"/v1/chat", [], b"a" * 300_000 + b"b" * 300_000)
ROOMY = PoolLimits()
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Scene:
    """A client, the origin it dials into, and the leak check at the end."""

    def __init__(
        self, nursery: trio.Nursery, *scripts: Script, limits: PoolLimits, dial_seconds: float
    ) -> None:
        self.nursery = nursery
        self.upstream = ScriptedUpstream(nursery, *scripts, dial_seconds=dial_seconds)
        self.client = UpstreamClient(dial=self.upstream.dial, limits=limits)

    async def exchange(self, request: OutgoingRequest = SMALL) -> bytes:
        response = await self.client.send(ORIGIN, request)
        try:
            return await response.read(1_000_000)
        finally:
            response.discard()

    async def end(self) -> None:
        await self.client.aclose()
        assert self.client.snapshot() == PoolSnapshot()
        assert self.upstream.open_connections == 0


SetScene = Callable[..., Scene]


@pytest.fixture
async def set_scene(nursery: trio.Nursery) -> AsyncIterator[SetScene]:
    scenes: list[Scene] = []

    def make(*scripts: Script, limits: PoolLimits = ROOMY, dial_seconds: float = 0) -> Scene:
        scenes.append(Scene(nursery, *scripts, limits=limits, dial_seconds=dial_seconds))
        return scenes[-1]

    yield make
    for scene in scenes:
        await scene.end()


# Keep-alive and the one safe retry


async def test_a_connection_read_to_its_end_serves_the_next_request(set_scene: SetScene) -> None:
    scene = set_scene()
    reused = []
    for _ in range(3):
        response = await scene.client.send(ORIGIN, SMALL)
        assert await response.read(2) == b"ok"
        reused.append(response.reused)
        response.discard()
        response.discard()
    assert reused == [False, True, True]
    assert len(scene.upstream.peers) == 1
    assert scene.client.snapshot() == PoolSnapshot(idle=1)


async def test_a_response_discarded_half_way_closes_its_connection(set_scene: SetScene) -> None:
    scene = set_scene(answering(OK[:-1]), serve_ok)
    response = await scene.client.send(ORIGIN, SMALL)
    assert await response.receive_body() == b"o"
    response.discard()
    assert scene.client.snapshot() == PoolSnapshot()
    with pytest.raises(trio.ClosedResourceError):
        await response.receive_body()


async def test_a_response_whose_end_arrived_is_kept_though_its_end_was_not_asked_for(
    set_scene: SetScene,
) -> None:
    scene = set_scene()
    response = await scene.client.send(ORIGIN, SMALL)
    assert await response.receive_body() == b"ok"
    response.discard()
    assert scene.client.snapshot() == PoolSnapshot(idle=1)


async def close_after_idling(peer: Peer) -> None:
    await peer.receive_request()
    await peer.send(OK)


async def close_on_second_request(peer: Peer) -> None:
    await close_after_idling(peer)
    await peer.receive_request()


@pytest.mark.parametrize("first", [close_after_idling, close_on_second_request])
@pytest.mark.parametrize("request_", [SMALL, LARGE], ids=["small", "large"])
async def test_a_reused_connection_found_closed_is_retried_on_a_fresh_one(
    set_scene: SetScene, first: Script, request_: OutgoingRequest
) -> None:
    scene = set_scene(first, serve_ok)
    await scene.exchange()
    await trio.testing.wait_all_tasks_blocked()
    response = await scene.client.send(ORIGIN, request_)
    assert await response.read(2) == b"ok"
    assert not response.reused
    response.discard()
    assert [len(peer.requests) for peer in scene.upstream.peers][1:] == [1]


async def test_the_retry_happens_once_and_not_on_another_idle_connection(
    set_scene: SetScene,
) -> None:
    async def say_nothing(peer: Peer) -> None:
        await peer.receive_request()

    scene = set_scene(close_on_second_request, close_on_second_request, say_nothing)
    first = await scene.client.send(ORIGIN, SMALL)
    await scene.exchange()
    await first.read(2)
    first.discard()
    assert scene.client.snapshot() == PoolSnapshot(idle=2)
    with pytest.raises(UpstreamCut) as cut:
        await scene.client.send(ORIGIN, SMALL)
    assert not cut.value.response_started
    assert len(scene.upstream.requests) == 4  # two that were answered, then one and its retry
    assert len(scene.upstream.peers) == 3
    assert scene.client.snapshot() == PoolSnapshot(idle=1)


async def test_a_fresh_connection_is_never_retried(set_scene: SetScene) -> None:
    async def say_nothing(peer: Peer) -> None:
        await peer.receive_request()

    scene = set_scene(say_nothing)
    with pytest.raises(UpstreamCut) as cut:
        await scene.client.send(ORIGIN, SMALL)
    assert not cut.value.response_started
    assert len(scene.upstream.peers) == 1


@pytest.mark.parametrize("start", [b"H", OK[:20], b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_nothing_is_retried_once_a_byte_of_the_answer_came(
    set_scene: SetScene, start: bytes
) -> None:
    scene = set_scene(answering(OK, start), serve_ok)
    await scene.exchange()
    with pytest.raises(UpstreamCut) as cut:
        await scene.client.send(ORIGIN, SMALL)
    assert cut.value.response_started
    assert len(scene.upstream.peers) == 1


async def test_the_retrys_own_connect_failure_is_reported(nursery: trio.Nursery) -> None:
    upstream = ScriptedUpstream(nursery, close_on_second_request)

    async def dial(origin: Origin) -> trio.abc.Stream:
        if upstream.peers:
            raise ConnectFailed(origin, kind="refused")
        return await upstream.dial(origin)

    client = UpstreamClient(dial=dial)
    response = await client.send(ORIGIN, SMALL)
    await response.read(2)
    response.discard()
    with pytest.raises(ConnectFailed, match=r"^http://a\.test: no connection \(refused\)$"):
        await client.send(ORIGIN, SMALL)
    assert client.snapshot() == PoolSnapshot()
    assert upstream.open_connections == 0


async def test_unread_rubbish_behind_an_answer_closes_the_connection(set_scene: SetScene) -> None:
    scene = set_scene(answering(OK + b"HTTP/1.1 408 Request Timeout\r\n\r\n"), serve_ok)
    assert await scene.exchange() == b"ok"
    assert scene.client.snapshot() == PoolSnapshot()
    assert await scene.exchange() == b"ok"


# Answers


async def test_a_large_body_arrives_whole_and_in_order(set_scene: SetScene) -> None:
    scene = set_scene()
    assert await scene.exchange(LARGE) == b"ok"
    [received] = scene.upstream.requests
    assert received.endswith(b"\r\ncontent-length: 600000\r\n\r\n" + LARGE.body)
    assert scene.client.snapshot() == PoolSnapshot(idle=1)


async def test_informational_responses_are_passed_over(set_scene: SetScene) -> None:
    scene = set_scene(
        answering(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\na: b\r\n\r\n" + OK, OK)
    )
    for _ in range(2):
        assert await scene.exchange() == b"ok"
    assert len(scene.upstream.peers) == 1


REFUSAL = b"HTTP/1.1 413 Too Large\r\ncontent-length: 5\r\n\r\nlarge"


async def refuse_and_close(peer: Peer) -> None:
    await peer.stream.receive_some(1000)
    await peer.send(REFUSAL)


async def refuse_and_stop_reading(peer: Peer) -> None:
    await peer.stream.receive_some(1000)
    await peer.send(REFUSAL[:-3])
    await trio.sleep(1)
    await peer.send(REFUSAL[-3:])
    await trio.sleep_forever()


@pytest.mark.parametrize("script", [refuse_and_close, refuse_and_stop_reading])
async def test_a_refusal_is_read_though_the_upload_was_not_finished(
    script: Script, autojump_clock: trio.testing.MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        upstream = ScriptedUpstream(nursery, script)

        async def dial(origin: Origin) -> trio.abc.Stream:
            stream = await upstream.dial(origin)
            assert isinstance(stream, trio.StapledStream)
            return trio.StapledStream(SlowSend(stream.send_stream), stream.receive_stream)

        client = UpstreamClient(dial=dial)
        response = await client.send(ORIGIN, LARGE)
        assert response.status == 413
        assert await response.read(5) == b"large"
        response.discard()
        assert client.snapshot() == PoolSnapshot()
        assert upstream.open_connections == 0
        nursery.cancel_scope.cancel()


class SlowSend(trio.abc.SendStream):
    """Takes one write, then one a minute: the way of a peer that has stopped reading."""

    def __init__(self, inner: trio.testing.MemorySendStream) -> None:
        self._inner = inner
        self._writes = 0

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._writes += 1
        await trio.sleep(60 if self._writes > 1 else 0)
        await self._inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._inner.wait_send_all_might_not_block()

    def close(self) -> None:
        self._inner.close()

    async def aclose(self) -> None:
        await self._inner.aclose()


async def test_a_success_for_a_request_that_could_not_be_sent_is_not_believed(
    set_scene: SetScene,
) -> None:
    async def answer_unheard(peer: Peer) -> None:
        await peer.send(OK)

    scene = set_scene(answer_unheard)
    with pytest.raises(UpstreamCut) as cut:
        await scene.client.send(ORIGIN, LARGE)
    assert cut.value.response_started


@pytest.mark.parametrize(
    "answer",
    [
        OK[:-1],
        CHUNKED + b"5\r\nab",
        CHUNKED + b"2\r\nab\r\n",
        CHUNKED + b"2\r\nab\r\n0\r\n",
    ],
)
async def test_an_answer_cut_in_its_body_is_an_error(set_scene: SetScene, answer: bytes) -> None:
    scene = set_scene(answering(answer))
    response = await scene.client.send(ORIGIN, SMALL)
    with pytest.raises(UpstreamCut) as cut:
        await response.read(100)
    assert cut.value.response_started
    assert scene.client.snapshot() == PoolSnapshot()


async def test_a_cut_noticed_while_reading_gives_the_connection_up_at_once(
    set_scene: SetScene,
) -> None:
    scene = set_scene(answering(OK[:-1]))
    response = await scene.client.send(ORIGIN, SMALL)
    assert await response.receive_body() == b"o"
    with pytest.raises(UpstreamCut):
        await response.receive_body()
    assert scene.client.snapshot() == PoolSnapshot()


async def test_a_cancelled_read_of_what_is_at_hand_takes_nothing(set_scene: SetScene) -> None:
    scene = set_scene()
    response = await scene.client.send(ORIGIN, SMALL)
    with trio.CancelScope() as scope:
        scope.cancel()
        await response.receive_body()
    assert scope.cancelled_caught
    assert await response.receive_body() == b"ok"
    response.discard()


async def test_what_is_no_http_is_an_error(set_scene: SetScene) -> None:
    scene = set_scene(answering(b"220 mail.test ESMTP\r\n\r\n"))
    with pytest.raises(UpstreamProtocolError):
        await scene.client.send(ORIGIN, SMALL)


async def test_a_request_that_is_no_http_leaves_nothing_behind(set_scene: SetScene) -> None:
    scene = set_scene()
    with pytest.raises(ValueError, match="not valid HTTP"):
        await scene.client.send(ORIGIN, OutgoingRequest(b"POST", b"/", [(b"x", b"a\nb")]))
    assert scene.client.snapshot() == PoolSnapshot()


async def test_an_answer_longer_than_the_limit_is_given_up(set_scene: SetScene) -> None:
    scene = set_scene(answering(OK))
    response = await scene.client.send(ORIGIN, SMALL)
    with pytest.raises(AnswerTooLarge):
        await response.read(1)


def gzipped(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\nx: y\r\n\r\n"
    return head % len(body) + body


async def test_a_gzip_answer_is_decoded_and_its_headers_made_true(set_scene: SetScene) -> None:
    text = b"event " * 50_000
    scene = set_scene(answering(gzipped(gzip.compress(text, mtime=0))))
    response = await scene.client.send(ORIGIN, SMALL)
    assert response.headers == [(b"x", b"y")]
    assert await response.read(len(text)) == text
    response.discard()
    assert scene.client.snapshot() == PoolSnapshot(idle=1)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (gzip.compress(b"x" * 1000, mtime=0)[:-5], UpstreamCut),
        (b"not gzip at all", UpstreamProtocolError),
    ],
)
async def test_a_gzip_answer_that_is_none_is_an_error(
    set_scene: SetScene, body: bytes, error: type[Exception]
) -> None:
    scene = set_scene(answering(gzipped(body)))
    response = await scene.client.send(ORIGIN, SMALL)
    with pytest.raises(error):
        await response.read(10_000)
    assert scene.client.snapshot().leased == 0


# Limits and the queue


async def test_requests_beyond_the_limit_wait_in_order(
    set_scene: SetScene, autojump_clock: trio.testing.MockClock
) -> None:
    scene = set_scene(limits=PoolLimits(max_connections_per_origin=2))
    started: list[int] = []

    async def hold_for_a_second(number: int) -> None:
        response = await scene.client.send(ORIGIN, SMALL)
        started.append(number)
        await trio.sleep(1)
        await response.read(2)
        response.discard()

    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(hold_for_a_second, number)
            await trio.sleep(0.01)
        assert scene.client.snapshot() == PoolSnapshot(leased=2, waiting=4)
    assert started == list(range(6))
    assert len(scene.upstream.peers) == 2


async def test_a_waiter_who_leaves_lets_the_next_one_through(
    set_scene: SetScene, autojump_clock: trio.testing.MockClock
) -> None:
    scene = set_scene(limits=PoolLimits(max_connections_per_origin=1))
    holder = await scene.client.send(ORIGIN, SMALL)
    served: list[bytes] = []

    async def ask() -> None:
        served.append(await scene.exchange())

    async with trio.open_nursery() as nursery:
        with trio.move_on_after(1) as impatience:
            await scene.exchange()
        assert impatience.cancelled_caught
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        assert scene.client.snapshot() == PoolSnapshot(leased=1, waiting=1)
        holder.discard()
    assert served == [b"ok"]


async def test_a_waiter_cancelled_as_it_is_served_passes_its_place_on(
    set_scene: SetScene,
) -> None:
    scene = set_scene(limits=PoolLimits(max_connections_per_origin=1))
    for keep in (True, False):
        holder = await scene.client.send(ORIGIN, SMALL)
        if keep:
            await holder.read(2)
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()

            async def be_cancelled(scope: trio.CancelScope = scope) -> None:
                with scope:
                    await scene.exchange()

            nursery.start_soon(be_cancelled)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(scene.exchange)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
            holder.discard()
        assert scene.client.snapshot() == PoolSnapshot(idle=1)


async def test_a_failed_connect_gives_its_place_to_the_next_waiter() -> None:
    dialled = 0

    async def dial(origin: Origin) -> trio.abc.Stream:
        nonlocal dialled
        dialled += 1
        await trio.testing.wait_all_tasks_blocked()
        raise ConnectFailed(origin, kind="refused")

    client = UpstreamClient(dial=dial, limits=PoolLimits(max_connections_per_origin=1))

    async def fail() -> None:
        with pytest.raises(ConnectFailed):
            await client.send(ORIGIN, SMALL)

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(fail)
    assert dialled == 3
    assert client.snapshot() == PoolSnapshot()


async def test_idle_connections_are_closed_when_their_time_is_over(
    set_scene: SetScene, autojump_clock: trio.testing.MockClock
) -> None:
    scene = set_scene(limits=PoolLimits(idle_seconds=60))
    await scene.exchange()
    await trio.sleep(59)
    scene.client.close_idle(trio.current_time())
    assert scene.upstream.open_connections == 1
    await trio.sleep(1)
    scene.client.close_idle(trio.current_time())
    assert scene.upstream.open_connections == 0


async def test_a_connection_idle_for_too_long_is_not_used_again(
    set_scene: SetScene, autojump_clock: trio.testing.MockClock
) -> None:
    scene = set_scene(limits=PoolLimits(idle_seconds=60))
    await scene.exchange()
    await trio.sleep(60)
    await scene.exchange()
    assert len(scene.upstream.peers) == 2
    assert scene.upstream.open_connections == 1


async def test_a_closed_client_sends_nothing_and_keeps_nothing(set_scene: SetScene) -> None:
    scene = set_scene()
    running = await scene.client.send(ORIGIN, SMALL)
    await scene.exchange()
    await scene.client.aclose()
    assert scene.client.snapshot() == PoolSnapshot(leased=1)
    with pytest.raises(trio.ClosedResourceError):
        await scene.client.send(ORIGIN, SMALL)
    assert await running.read(2) == b"ok"
    running.discard()
    assert scene.client.snapshot() == PoolSnapshot()


# Cancellation everywhere


class CancelAfter(trio.abc.Instrument):
    """Cancels a scope when the given number of task steps is over, whichever task took them."""

    def __init__(self, scope: trio.CancelScope, steps: int) -> None:
        self._scope = scope
        self._steps = steps

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self._steps -= 1
        if self._steps == 0:
            self._scope.cancel()


async def answer_slowly(peer: Peer) -> None:
    while await peer.receive_request() is not None:
        await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await peer.send(CHUNKED)
        await peer.send(b"2\r\nab\r\n")
        await peer.send(b"2\r\ncd\r\n0\r\n\r\n")


async def use_fresh(scene: Scene) -> None:
    assert await scene.exchange() == b"abcd"


async def use_large(scene: Scene) -> None:
    assert await scene.exchange(LARGE) == b"abcd"


async def use_reused(scene: Scene) -> None:
    await use_fresh(scene)
    await use_fresh(scene)


async def use_queue(scene: Scene) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(use_fresh, scene)


async def read_without_discarding(scene: Scene) -> None:
    response = await scene.client.send(ORIGIN, SMALL)
    assert await response.read(4) == b"abcd"
    response.discard()


ONE = PoolLimits(max_connections_per_origin=1)


@pytest.mark.parametrize(
    ("use", "scripts"),
    [
        (use_fresh, [answer_slowly]),
        (use_large, [answer_slowly]),
        (use_reused, [answer_slowly]),
        (use_reused, [answering(CHUNKED + b"4\r\nabcd\r\n0\r\n\r\n"), answer_slowly]),
        (use_queue, [answer_slowly]),
        (read_without_discarding, [answer_slowly]),
    ],
    ids=["fresh", "large", "reused", "retried", "queue", "reader without discard"],
)
def test_cancellation_at_any_step_leaves_nothing_behind(
    use: Callable[[Scene], Awaitable[None]], scripts: list[Script]
) -> None:
    async def run(steps: int) -> bool:
        async with trio.open_nursery() as nursery:
            scene = Scene(nursery, *scripts, limits=ONE, dial_seconds=0)
            with trio.CancelScope() as scope:
                instrument = CancelAfter(scope, steps)
                trio.lowlevel.add_instrument(instrument)
                await use(scene)
            trio.lowlevel.remove_instrument(instrument)
            snapshot = scene.client.snapshot()
            assert snapshot == PoolSnapshot(idle=snapshot.idle)
            assert scene.upstream.open_connections == snapshot.idle
            await scene.end()
            nursery.cancel_scope.cancel()
        return scope.cancelled_caught

    steps = 0
    while trio.run(run, steps := steps + 1):
        assert steps < 1000
    assert steps > 10


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_reading_a_body_can_be_interrupted_at_any_step_and_goes_on_where_it_stopped(
    packed: bool,
) -> None:
    pieces = [b"ab" * 5, b"cd" * 40_000, b"ef"]
    chunks = [gzip.compress(piece, mtime=0) if packed else piece for piece in pieces]
    extra = b"content-encoding: gzip\r\n" if packed else b""

    async def answer_in_chunks(peer: Peer) -> None:
        await peer.receive_request()
        await peer.send(CHUNKED[:-2] + extra + b"\r\n")
        for chunk in chunks:
            # So that the reader is really waiting: else its own checkpoints hide the moment between
            # being woken with data and taking it.
            await trio.testing.wait_all_tasks_blocked()
            await peer.send(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        await peer.send(b"0\r\n\r\n")
        await trio.sleep_forever()

    async def run(steps: int) -> bool:
        received = b""
        async with trio.open_nursery() as nursery:
            scene = Scene(nursery, answer_in_chunks, limits=ONE, dial_seconds=0)
            response = await scene.client.send(ORIGIN, SMALL)
            ended = False
            with trio.CancelScope() as scope:
                instrument = CancelAfter(scope, steps)
                trio.lowlevel.add_instrument(instrument)
                while not ended:
                    piece = await response.receive_body()
                    received += piece
                    ended = not piece
            trio.lowlevel.remove_instrument(instrument)
            while not ended and (piece := await response.receive_body()):
                received += piece
            response.discard()
            assert scene.client.snapshot() == PoolSnapshot(idle=1)
            await scene.end()
            nursery.cancel_scope.cancel()
        assert received == b"".join(pieces)
        return scope.cancelled_caught

    steps = 0
    while trio.run(run, steps := steps + 1):
        assert steps < 1000
    assert steps > 10
