"""How a server ends: idle connections at once, busy ones in their time (I10); and the same over TLS."""

import contextlib
from typing import Any, cast

import pytest
import trio
import trio.testing

from router.front.http1.idle import FIRST_SECONDS
from tests.simulated.served import (
    App,
    Flood,
    Messages,
    Send,
    Served,
    Slow,
    ask,
    deaf_client,
    hello,
    on_real_sockets,
    read_to_the_end,
    server_tls,
    serving,
    tls_client,
)
from tests.simulated.world import chat_fields, open_world

# Ending


def test_i10_stopping_closes_idle_connections_at_once_and_takes_no_new_ones() -> None:
    async def scenario() -> None:
        async with serving(hello) as served:
            used = await served.client()
            await ask(used)
            await served.server.stop(drain_seconds=60.0)
            assert await used.stream.receive_some() == b""
            assert await served.end() == pytest.approx(0.0)

    on_real_sockets(scenario)


def test_i10_a_connection_that_was_just_made_has_a_moment_for_its_first_request() -> None:
    async def scenario() -> None:
        async with serving(hello, http1="lean") as served:
            asking, silent = await served.client(), await served.client()
            await trio.sleep(FIRST_SECONDS / 2)
            younger = await served.client()
            await trio.sleep(FIRST_SECONDS / 4)
            await served.server.stop(drain_seconds=60.0)
            assert (await ask(asking)).whole
            assert await asking.stream.receive_some() == b""
            assert await silent.stream.receive_some() == b""
            assert await younger.stream.receive_some() == b""
            assert await served.end() == pytest.approx(FIRST_SECONDS * 1.5)

    on_real_sockets(scenario)


def test_i10_stopping_lets_a_busy_connection_finish_and_then_closes_it() -> None:
    async def scenario() -> None:
        app = Slow(50.0)
        async with serving(app) as served:
            client = await served.client()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stop_once_begun, served, app)
                answer = await ask(client)
            assert (answer.body, answer.whole) == (b"one two", True)
            assert await client.stream.receive_some() == b""
            assert app.cancelled_at is None
            assert await served.end() == pytest.approx(50.0)

    on_real_sockets(scenario)


async def stop_once_begun(served: Served, app: Slow) -> None:
    await app.begun.wait()
    await served.server.stop(drain_seconds=60.0)


def test_i10_what_is_still_busy_after_the_drain_is_cancelled_and_cut() -> None:
    async def scenario() -> None:
        app = Slow(100.0)
        async with serving(app) as served:
            client = await served.client()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stop_once_begun, served, app)
                answer = await ask(client)
            assert (answer.body, answer.whole) == (b"one ", False)
            assert app.cancelled_at == pytest.approx(60.0)
            assert await served.end() == pytest.approx(60.0)

    on_real_sockets(scenario)


def test_i10_a_client_that_reads_nothing_holds_up_the_end_no_longer_than_the_write_limit() -> None:
    async def scenario() -> None:
        async with serving(Flood(), write_seconds=30.0) as served, await deaf_client(served):
            await trio.sleep(10)
            await served.server.stop(drain_seconds=5.0)
            assert await served.end() <= 30.0

    on_real_sockets(scenario)


def test_a_server_that_is_cancelled_drops_all_connections() -> None:
    async def scenario() -> None:
        app = Slow(100.0)
        async with serving(app) as served:
            busy = await served.client()
            await served.connect()
            async with trio.open_nursery() as nursery:

                async def cancel() -> None:
                    await app.begun.wait()
                    served.scope.cancel()

                nursery.start_soon(cancel)
                answer = await ask(busy)
            assert not answer.whole
            assert app.cancelled_at == pytest.approx(0.0, abs=0.5)
            assert served.server.connections == 0

    on_real_sockets(scenario)


# TLS


def test_tls_is_served_and_ends_as_gracefully() -> None:
    async def scenario() -> None:
        app = Slow(50.0)
        async with serving(app, ssl_context=server_tls()) as served:
            busy, idle = await tls_client(served), await tls_client(served)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stop_once_begun, served, app)
                answer = await ask(busy)
            assert (answer.body, answer.whole) == (b"one two", True)
            assert await idle.stream.receive_some() == b""
            assert await served.end() == pytest.approx(50.0)

    on_real_sockets(scenario)


def test_the_application_knows_that_a_request_came_over_tls() -> None:
    seen: list[tuple[str, str]] = []

    async def note(scope: dict[str, Any], receive: Messages, send: Send) -> None:
        seen.append((scope["scheme"], scope["client"][0]))
        await hello(scope, receive, send)

    async def scenario() -> None:
        async with serving(note, ssl_context=server_tls()) as served:
            client = await tls_client(served)
            assert (await ask(client)).whole
        assert seen == [("https", "127.0.0.1")]

    on_real_sockets(scenario)


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b""])
def test_who_does_not_speak_tls_is_dropped_and_others_are_served_on(sent: bytes) -> None:
    async def scenario() -> None:
        async with serving(hello, ssl_context=server_tls()) as served:
            async with await served.connect() as stranger:
                if sent:
                    await stranger.send_all(sent)
                    with contextlib.suppress(trio.BrokenResourceError):
                        await read_to_the_end(stranger)
            client = await tls_client(served)
            assert (await ask(client)).status == 200

    on_real_sockets(scenario)


# The gateway on the server


def test_i10_a_stream_in_flight_is_whole_although_the_server_stops() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            async with serving(cast("App", world.gateway.front)) as served:
                client = await served.client()
                fields = chat_fields(stream=True, simulate={"ttft": 1, "gap": 1, "tokens": 30})
                key = ("authorization", f"Bearer {world.secret}")
                async with trio.open_nursery() as nursery:

                    async def stop() -> None:
                        await trio.sleep(10)
                        await served.server.stop(drain_seconds=60.0)

                    nursery.start_soon(stop)
                    answer = await client.ask(fields, headers=[key])
                assert answer.whole
                assert answer.events()[-1] == "[DONE]"
                assert await served.end() == pytest.approx(31.0, abs=0.2)
            await world.leak_check()

    on_real_sockets(scenario)


def test_i10_a_stream_that_outlasts_the_drain_is_cut_and_counted_as_shut_down() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            async with serving(cast("App", world.gateway.front)) as served:
                client = await served.client()
                fields = chat_fields(stream=True, simulate={"ttft": 1, "gap": 1, "tokens": 90})
                key = ("authorization", f"Bearer {world.secret}")
                async with trio.open_nursery() as nursery:

                    async def stop() -> None:
                        await trio.sleep(10)
                        world.gateway.stop_being_ready()
                        await served.server.stop(drain_seconds=30.0)

                    nursery.start_soon(stop)
                    answer = await client.ask(fields, headers=[key])
                assert not answer.whole
                assert b"[DONE]" not in answer.body
                assert await served.end() == pytest.approx(40.0, abs=0.2)
            await world.leak_check()
            assert world.simulator.aborted == 1
            (line,) = world.log_lines()
            assert line["outcome"] == "shutdown"

    on_real_sockets(scenario)
