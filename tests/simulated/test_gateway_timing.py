"""When a streaming client gets what: exact moments of events and comments, and the limits after commit."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import msgspec
import pytest
import trio

from router.config import Config, ProviderConfig, ServerConfig, TimeoutConfig
from router.exchange.source import COMPLETE_SECONDS
from router.simulator import REALISTIC, Simulator
from tests.simulated.scripted_stream import DONE, END, FINISH, ROLE, chunk, framed, saying, word
from tests.simulated.simulator_wire import connected
from tests.simulated.world import (
    Client,
    ClientAnswer,
    World,
    chat_fields,
    in_virtual_time,
    open_world,
)

CHAT = "/v1/chat/completions"
COMMENT = b": keep-alive\n\n"


def patient(**limits: float) -> Config:
    """One provider with far limits, but for those given; comments after 15 s."""
    timeouts = {"connect": 5.0, "first_byte": 300.0, "idle": 300.0, "total": 3000.0, **limits}
    return Config(
        server=ServerConfig(keepalive_comment_seconds=15.0),
        providers={
            "openai": ProviderConfig(
                base_url="http://simulator/v1", discover=False, timeouts=TimeoutConfig(**timeouts)
            )
        },
    )


def moments(pieces: Sequence[tuple[float, bytes]], start: float) -> list[tuple[float, bytes]]:
    """What arrived at each moment, in seconds from `start`."""
    rounded = [(round(at - start, 6), data) for at, data in pieces]
    return [
        (at, b"".join(data for _, data in together))
        for at, together in groupby(rounded, key=lambda piece: piece[0])
    ]


async def ask(world: World, **fields: Any) -> tuple[ClientAnswer, list[tuple[float, bytes]]]:
    """Ask for a stream; the answer, and what arrived when."""
    start = trio.current_time()
    answer = await world.chat(stream=True, **fields)
    return answer, moments(answer.pieces, start)


def test_every_event_arrives_at_the_moment_the_provider_sends_it() -> None:
    async def scenario() -> None:
        simulator = Simulator(REALISTIC)
        async with connected(simulator) as client:
            start = trio.current_time()
            plain = await client.ask(chat_fields(stream=True, model="gpt-4o-mini"))
            due = [at for at, _ in moments(plain.chunks, start)]
        async with open_world(REALISTIC) as world:
            start = trio.current_time()
            answer = await world.chat(stream=True)
            assert [at for at, _ in moments(answer.pieces, start)] == pytest.approx(due)
            assert len(due) > 20
            assert round(answer.head_at - start, 6) == due[0]
            await world.leak_check()

    in_virtual_time(scenario)


def test_what_comes_before_the_first_token_goes_out_with_it() -> None:
    async def scenario() -> None:
        async with open_world(config=patient()) as world:
            world.serve_upstream = saying(
                (1, ROLE),
                (2, chunk(delta={})),
                (4, word("Hi")),
                (1, FINISH + DONE + END),
            )
            answer, arrived = await ask(world)
            assert answer.head_at == answer.pieces[0][0]
            assert [at for at, _ in arrived] == [7, 8]
            assert arrived[0][1].count(b"data: ") == 3
            assert answer.text() == "Hi"
            assert world.log_lines()[0]["first_token_seconds"] == 7
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize(
    "first",
    [
        {"delta": {"content": "x"}},
        {"delta": {"tool_calls": [{"index": 0, "id": "call_1"}]}},
        {"delta": {"reasoning_content": "hm"}},
        {"delta": {"refusal": "no"}},
        {"delta": {}, "finish_reason": "stop"},
    ],
    ids=str,
)
def test_text_a_call_reasoning_refusal_or_an_end_commits_a_stream(first: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with open_world(config=patient()) as world:
            world.serve_upstream = saying((1, ROLE), (1, chunk(**first)), (9, FINISH + DONE + END))
            _, arrived = await ask(world)
            # Once every choice has its end, the upstream's goodbye is not waited for.
            end = 2 + COMPLETE_SECONDS if "finish_reason" in first else 11
            assert [at for at, _ in arrived] == [2, end]

    in_virtual_time(scenario)


def test_comments_fill_silences_after_the_first_token_and_none_before() -> None:
    async def scenario() -> None:
        async with open_world(config=patient()) as world:
            answer, arrived = await ask(world, simulate={"ttft": 100, "gap": 40, "tokens": 2})
            assert [(at, data == COMMENT) for at, data in arrived] == [
                (100, False),
                *[(115, True), (130, True), (140, False)],
                *[(155, True), (170, True), (180, False)],
            ]
            assert answer.finished
            assert b"keep-alive" not in b"".join(answer.events())
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize(
    "nothing", [b": ping\n\n", b"event: ping\n\n", b"\n\n", b'data: {"cho'], ids=repr
)
def test_an_upstreams_own_pings_do_not_keep_comments_from_the_client(nothing: bytes) -> None:
    """They are not passed on, so to the client, and to proxies between, the silence is one."""

    async def scenario() -> None:
        async with open_world(config=patient()) as world:
            pings = [(10.0, framed(piece)) for piece in _thirds(nothing)]
            world.serve_upstream = saying((0, word("Hi")), *pings, (10, b""))
            async with trio.open_nursery() as nursery:
                client = Client(msgspec.json.encode(chat_fields(stream=True)))
                start = trio.current_time()
                nursery.start_soon(world.run, client, CHAT)
                await trio.sleep(39)
                client.leave()
            arrived = moments(client.answer.pieces, start)
            assert [at for at, data in arrived if data == COMMENT] == [15, 30]
            await world.leak_check()

    in_virtual_time(scenario)


def _thirds(data: bytes) -> list[bytes]:
    size = -(-len(data) // 3)
    return [data[start : start + size] for start in range(0, len(data), size)]


def test_a_silence_as_long_as_the_idle_limit_ends_the_stream_in_an_error_event() -> None:
    async def scenario() -> None:
        async with open_world(config=patient(idle=40)) as world:
            answer, arrived = await ask(world, simulate={"ttft": 1, "gap": 0, "stall_after": 2})
            assert [at for at, _ in arrived] == [1, 16, 31, 41]
            error = msgspec.json.decode(answer.events()[-1])["error"]
            assert error["code"] == "upstream_stream_broken"
            assert "40 seconds" in error["message"]
            assert not answer.finished
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_slow_client_is_no_silence_of_the_upstream() -> None:
    async def scenario() -> None:
        async with open_world(config=patient(idle=40)) as world:
            client = Client(msgspec.json.encode(chat_fields(stream=True)))
            client.reading = trio.Event()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(world.run, client, CHAT)
                await trio.sleep(100)
                client.reading.set()
            assert client.answer.finished
            assert client.answer.events()[-1] == b"[DONE]"
            await world.leak_check()

    in_virtual_time(scenario)


def test_the_total_limit_ends_a_call_before_its_first_token_with_a_status() -> None:
    async def scenario() -> None:
        async with open_world(config=patient(total=10)) as world:
            for stream in (False, True):
                start = trio.current_time()
                answer = await world.chat(stream=stream, simulate={"ttft": 11})
                assert answer.status == 503
                assert answer.json()["error"]["code"] == "upstream_timeout"
                assert answer.head_at - start == 10
            await world.leak_check()

    in_virtual_time(scenario)


def test_the_total_limit_ends_a_stream_after_its_first_token_in_an_error_event() -> None:
    async def scenario() -> None:
        async with open_world(config=patient(total=10)) as world:
            answer, arrived = await ask(world, simulate={"ttft": 1, "gap": 1, "tokens": 50})
            assert [at for at, _ in arrived] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
            error = msgspec.json.decode(answer.events()[-1])["error"]
            assert error["code"] == "upstream_timeout"
            assert not answer.finished
            await world.leak_check()
            assert world.simulator.aborted == 1

    in_virtual_time(scenario)


def test_a_stream_that_has_ended_in_time_is_not_late_because_its_connection_lingers() -> None:
    async def scenario() -> None:
        async with open_world(config=patient(total=10)) as world:
            orders = {"ttft": 9.95, "gap": 0, "keep_open_after_done": 60}
            answer, arrived = await ask(world, simulate=orders)
            assert [at for at, _ in arrived] == [9.95]
            assert answer.events()[-1] == b"[DONE]"
            assert answer.finished
            await world.leak_check()
            assert world.log_lines()[0]["outcome"] == "ok"

    in_virtual_time(scenario)
