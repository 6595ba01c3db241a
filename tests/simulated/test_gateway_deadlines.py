"""The limits before an answer (connecting, a place in the pool, the first byte): exact, each call's own."""

from typing import Any

import pytest
import trio
import trio.testing

from router.config import Config, ProviderConfig, TimeoutConfig
from router.simulator import Latency, Profile
from tests.simulated.world import ClientAnswer, World, in_virtual_time, open_world


def config(*, max_connections: int = 1000, **limits: float) -> Config:
    timeouts = TimeoutConfig(
        connect=limits.get("connect", 5.0),
        first_byte=limits.get("first_byte", 30.0),
        idle=limits.get("idle", 20.0),
        total=limits.get("total", 600.0),
    )
    return Config(
        providers={
            "openai": ProviderConfig(
                base_url="http://simulator/v1",
                discover=False,
                timeouts=timeouts,
                max_connections=max_connections,
            )
        }
    )


class Timed:
    """One request's answer and the seconds it took."""

    def __init__(self) -> None:
        self.answer = ClientAnswer()
        self.seconds = 0.0

    @property
    def code(self) -> Any:
        return self.answer.json()["error"]["code"]

    @property
    def message(self) -> str:
        return str(self.answer.json()["error"]["message"])

    async def chat(self, world: World, fields: dict[str, Any]) -> None:
        start = trio.current_time()
        self.answer = await world.chat(**fields)
        self.seconds = trio.current_time() - start


async def timed(world: World, **fields: Any) -> Timed:
    one = Timed()
    await one.chat(world, fields)
    return one


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_dial_that_never_returns_is_given_up_at_the_connect_limit(stream: bool) -> None:
    async def scenario() -> None:
        async with open_world(config=config()) as world:
            world.dialling = trio.sleep_forever
            one = await timed(world, stream=stream)
            assert (one.answer.status, one.code) == (503, "upstream_timeout")
            assert "could not be connected within 5 seconds" in one.message
            assert one.seconds == 5
            await world.leak_check()

    in_virtual_time(scenario)


def test_once_connected_the_limit_for_the_first_byte_takes_over_from_that_for_connecting() -> None:
    async def slow_dial() -> None:
        await trio.sleep(4)

    async def scenario() -> None:
        async with open_world(config=config()) as world:
            world.dialling = slow_dial
            one = await timed(world, simulate={"silence": True})
            assert (one.answer.status, one.code) == (503, "upstream_timeout")
            assert "did not begin to answer within 30 seconds" in one.message
            assert one.seconds == 4 + 30
            fine = await timed(world, simulate={"ttft": 29})
            assert (fine.answer.status, fine.seconds) == (200, 4 + 29)
            await world.leak_check()

    in_virtual_time(scenario)


def test_waiting_for_a_place_in_the_pool_counts_as_connecting() -> None:
    async def scenario() -> None:
        async with open_world(config=config(max_connections=1)) as world:
            first, second, third = Timed(), Timed(), Timed()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(first.chat, world, {"simulate": {"ttft": 20}})
                await trio.sleep(1)
                nursery.start_soon(second.chat, world, {})
                await trio.sleep(15)
                nursery.start_soon(third.chat, world, {})
            assert (first.answer.status, first.seconds) == (200, 20)
            assert (second.answer.status, second.seconds) == (503, 5)
            assert "could not be connected" in second.message
            assert (third.answer.status, third.seconds) == (200, 4)
            assert len(world.simulator.requests) == 2
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_place_got_late_leaves_the_whole_limit_for_the_first_byte() -> None:
    async def scenario() -> None:
        async with open_world(config=config(max_connections=1)) as world:
            first, second = Timed(), Timed()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(first.chat, world, {"simulate": {"ttft": 4}})
                await trio.sleep(0.5)
                nursery.start_soon(second.chat, world, {"simulate": {"ttft": 29}})
            assert (first.answer.status, second.answer.status) == (200, 200)
            assert second.seconds == 3.5 + 29
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_dial_in_place_of_a_stale_connection_is_given_up_at_the_limit_for_the_first_byte(
    stream: bool,
) -> None:
    async def scenario() -> None:
        async with open_world(config=config()) as world:
            assert (await timed(world)).answer.status == 200
            world.dialling = trio.sleep_forever
            one = await timed(world, stream=stream, simulate={"reset_before_head": True})
            assert (one.answer.status, one.code) == (503, "upstream_timeout")
            assert "did not begin to answer within 30 seconds" in one.message
            assert one.seconds == 30
            assert len(world.dials) == 2
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_large_request_that_nobody_reads_is_given_up_at_the_limit_for_the_first_byte() -> None:
    async def scenario() -> None:
        async with open_world(config=config()) as world:
            world.pair = trio.testing.lockstep_stream_pair
            world.serve_upstream = read_nothing
            one = await timed(world, messages=[{"role": "user", "content": "x" * 100_000}])
            assert (one.answer.status, one.code) == (503, "upstream_timeout")
            assert one.seconds == 30
            await trio.sleep(30)
            await world.leak_check()

    async def read_nothing(_stream: trio.abc.Stream) -> None:
        await trio.sleep(60)

    in_virtual_time(scenario)


def test_a_whole_answer_has_to_be_whole_within_the_first_byte_limit() -> None:
    async def scenario() -> None:
        async with open_world(config=config()) as world:
            begun = {"delay_head": 20, "ttft": 29, "gap": 0}
            fine = await timed(world, simulate=begun)
            assert (fine.answer.status, fine.seconds) == (200, 29)
            late = await timed(world, simulate={**begun, "ttft": 31})
            assert (late.answer.status, late.code, late.seconds) == (503, "upstream_timeout", 30)
            assert "did not finish its answer" in late.message
            await world.leak_check()

    in_virtual_time(scenario)


def test_the_head_of_a_stream_buys_no_more_time_for_its_first_token() -> None:
    async def scenario() -> None:
        async with open_world(config=config()) as world:
            begun = {"delay_head": 20, "ttft": 29, "gap": 0}
            fine = await timed(world, stream=True, simulate=begun)
            assert (fine.answer.status, fine.seconds) == (200, 29)
            late = await timed(world, stream=True, simulate={**begun, "ttft": 31})
            assert (late.answer.status, late.code, late.seconds) == (503, "upstream_timeout", 30)
            assert "sent no token" in late.message
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_whole_answer_that_stalls_in_its_body_is_given_up() -> None:
    async def scenario() -> None:
        async with open_world(config=config()) as world:
            one = await timed(world, simulate={"ttft": 10, "gap": 0, "stall_after": 0})
            assert (one.answer.status, one.code, one.seconds) == (503, "upstream_timeout", 30)
            await world.leak_check()

    in_virtual_time(scenario)


def test_an_error_whose_body_stalls_is_told_by_its_status_after_the_idle_limit() -> None:
    async def stall(connection: trio.abc.Stream) -> None:
        async with connection:
            await connection.receive_some()
            await connection.send_all(b"HTTP/1.1 500 No\r\ncontent-length: 100\r\n\r\n{")
            await connection.receive_some()

    async def scenario() -> None:
        async with open_world(config=config()) as world:
            world.serve_upstream = stall
            one = await timed(world)
            assert (one.answer.status, one.code) == (503, "upstream_overloaded")
            assert "failed: " in one.message  # the words for a 5xx, not those for a timeout
            assert (
                2 * 20 <= one.seconds <= 2 * 20 + 0.25
            )  # retried once after a backoff, as a 5xx is
            await world.leak_check()

    in_virtual_time(scenario)


def test_the_deadlines_of_one_request_never_touch_another() -> None:
    """Requests that begin every second, each with a fate of its own, at the same provider.

    A reset is retried at once, a 500 after a backoff of at most a quarter of a second.
    """
    fates: list[tuple[dict[str, Any], int, float, float]] = [
        ({"silence": True}, 503, 30, 0),
        ({"ttft": 29}, 200, 29, 0),
        ({"reset_before_head": True}, 503, 0, 0),
        ({"ttft": 29.5}, 200, 29.5, 0),
        ({"status": 500}, 503, 0, 0.25),
        ({"ttft": 3}, 200, 3, 0),
    ]

    async def scenario() -> None:
        async with open_world(Profile(gap=Latency.fixed(0)), config=config()) as world:
            runs = [(Timed(), *fate) for fate in fates * 3]
            async with trio.open_nursery() as nursery:
                for one, behaviour, *_ in runs:
                    nursery.start_soon(one.chat, world, {"simulate": behaviour})
                    await trio.sleep(1)
            for one, behaviour, status, seconds, backoff in runs:
                assert one.answer.status == status, behaviour
                assert seconds - 1e-9 <= one.seconds <= seconds + backoff + 1e-9, behaviour
            await world.leak_check()

    in_virtual_time(scenario)
