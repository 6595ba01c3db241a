"""How HTTP/2 connections end with their server: idle ones at once, busy ones after their requests (I10)."""

from typing import cast

import pytest
import trio

from router.front.http1.idle import FIRST_SECONDS
from router.front.http1.wire import LINGER_SECONDS
from tests.simulated.doors import Doors
from tests.simulated.http2_client import Answer, Http2Client, client_of
from tests.simulated.served import App, Served, on_real_sockets, read_to_the_end, serving
from tests.simulated.world import chat_fields, open_world

DRAIN_SECONDS = 60.0
LAST = 2**31 - 1


async def stopped_half_way(served: Served, client: Http2Client) -> Answer:
    """Stop the server when half of a slow answer has gone out."""
    answer = await client.ask("/slow")
    await trio.sleep(5)
    await served.server.stop(drain_seconds=DRAIN_SECONDS)
    return answer


def test_i10_an_idle_connection_is_closed_at_once_and_told_what_was_served() -> None:
    async def scenario() -> None:
        async with serving(Doors()) as served, client_of(served) as client:
            await client.whole()
            await client.whole()
            await served.server.stop(drain_seconds=DRAIN_SECONDS)
            await client.until(lambda: client.closed_at is not None)
            assert client.goaways == [(3, 0)]
            assert await served.end() == pytest.approx(0, abs=0.2)

    on_real_sockets(scenario)


@pytest.mark.parametrize("waits", [0.0, 10.0])
def test_i10_a_connection_that_was_just_made_has_a_moment_for_its_first_request(
    waits: float,
) -> None:
    async def scenario() -> None:
        async with (
            serving(Doors()) as served,
            client_of(served) as asking,
            client_of(served) as silent,
        ):
            await trio.sleep(waits)
            await served.server.stop(drain_seconds=DRAIN_SECONDS)
            if not waits:
                assert (await asking.whole()).whole
            await asking.until(lambda: asking.closed_at is not None)
            await silent.until(lambda: silent.closed_at is not None)
            assert await served.end() == pytest.approx(waits or FIRST_SECONDS, abs=0.2)

    on_real_sockets(scenario)


def test_i10_a_busy_connection_ends_with_its_last_request_and_serves_until_then() -> None:
    async def scenario() -> None:
        async with serving(Doors()) as served, client_of(served) as client:
            slow = await stopped_half_way(served, client)
            assert (await client.whole()).body == b"hello"
            await client.until(lambda: client.closed_at is not None)
            assert (slow.whole, slow.body) == (True, b"0123456789")
            # Not before: Python's h2 would have dropped the running stream.
            assert client.goaways == [(3, 0)]
            assert await served.end() == pytest.approx(10, abs=0.2)

    on_real_sockets(scenario)


def test_i10_a_client_that_is_never_idle_is_asked_to_go_elsewhere_half_way() -> None:
    async def scenario() -> None:
        async with serving(Doors()) as served, client_of(served) as client:
            asked = [await stopped_half_way(served, client)]
            while not client.goaways:
                asked.append(await client.ask("/slow"))
                # Never at the moment of GOAWAY, of which h2 would make a mess.
                await trio.sleep(1.7)
            assert client.goaways == [(LAST, 0)]
            assert trio.current_time() == pytest.approx(5 + DRAIN_SECONDS / 2, abs=2.2)
            # Sent before it was heard, for all the server knows.
            crossing = await client.ask("/slow")
            await client.until(lambda: client.closed_at is not None)
            assert all(answer.whole for answer in [*asked, crossing])
            assert client.goaways[1:] == [(client.number(crossing), 0)]
            assert await served.end() < 5 + DRAIN_SECONDS

    on_real_sockets(scenario)


def test_i10_what_a_client_sends_at_the_end_does_not_cost_it_the_answer() -> None:
    async def scenario() -> None:
        async with serving(Doors()) as served:
            stream = await served.connect()
            await stopped_half_way(served, client := Http2Client(stream))
            received = bytearray()
            await read_to_the_end(stream, received)
            assert b"9" in received
            # The socket is still there to take what the client could not know to be useless.
            client.http.ping(b"12345678")
            await client.flush()
            assert await served.end() == pytest.approx(10 + LINGER_SECONDS, abs=0.2)

    on_real_sockets(scenario)


async def begin_to_close(stream: trio.SocketStream, client: Http2Client) -> None:
    """Break the protocol; the server then waits for a moment for what is still on its way."""
    await client.flush()
    await stream.send_all(bytes(9) + b"no frame of HTTP/2, and nothing else")
    await trio.sleep(LINGER_SECONDS / 2)


def test_i10_a_connection_that_is_closing_already_is_in_nobodys_way() -> None:
    async def scenario() -> None:
        async with serving(Doors()) as served:
            stream = await served.connect()
            await begin_to_close(stream, Http2Client(stream))
            assert served.server.connections == 1
            await served.server.stop(drain_seconds=1.0)
            assert await served.end() == pytest.approx(1 + LINGER_SECONDS / 2, abs=0.2)

    on_real_sockets(scenario)


def test_i10_what_is_still_busy_after_the_drain_is_cut() -> None:
    async def scenario() -> None:
        doors = Doors()
        async with serving(doors) as served, client_of(served) as client:
            waiting = await client.ask("/wait")
            await client.until(lambda: waiting.body)
            await served.server.stop(drain_seconds=DRAIN_SECONDS)
            await client.until(lambda: client.closed_at is not None)
            assert not waiting.whole
            assert doors.running == 0
            assert await served.end() == pytest.approx(DRAIN_SECONDS, abs=0.2)

    on_real_sockets(scenario)


def test_a_server_that_is_cancelled_drops_connections_of_http2_too() -> None:
    async def scenario() -> None:
        doors = Doors()
        async with serving(doors) as served, client_of(served) as client:
            waiting = await client.ask("/wait")
            await client.until(lambda: waiting.body)
            served.scope.cancel()
            await client.until(lambda: client.closed_at is not None)
            assert not waiting.whole
            assert doors.running == 0

    on_real_sockets(scenario)


def test_i10_a_stream_of_the_gateway_is_whole_although_the_server_stops() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            async with (
                serving(cast("App", world.gateway.front)) as served,
                client_of(served) as client,
            ):
                answer = await client.ask(
                    "/v1/chat/completions",
                    method="POST",
                    headers=[("authorization", f"Bearer {world.secret}")],
                    fields=chat_fields(stream=True, simulate={"ttft": 1, "gap": 1, "tokens": 50}),
                )
                await trio.sleep(10)
                await served.server.stop(drain_seconds=DRAIN_SECONDS)
                await client.until(lambda: client.closed_at is not None)
                assert answer.whole
                assert answer.events()[-1] == "[DONE]"
                assert await served.end() == pytest.approx(51, abs=0.3)
            await world.leak_check()

    on_real_sockets(scenario)
