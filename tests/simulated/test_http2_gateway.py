"""The gateway over HTTP/2: the same answers as over HTTP/1.1, and the same care for what is cut or left."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import h2.errors
import msgspec
import pytest
import trio

from tests.simulated.http2_client import Answer, Http2Client, client_of
from tests.simulated.served import App, Served, on_real_sockets, serving
from tests.simulated.world import World, chat_fields, open_world

CHAT = "/v1/chat/completions"
INTERNAL_ERROR = int(h2.errors.ErrorCodes.INTERNAL_ERROR)
CANCEL = int(h2.errors.ErrorCodes.CANCEL)
SLOW = {"ttft": 1, "gap": 1, "tokens": 1000}


@asynccontextmanager
async def gateway(**server: Any) -> AsyncIterator[tuple[World, Served]]:
    """A gateway that is served on real sockets; at the end nothing is left of any request."""
    async with open_world() as world:
        async with serving(cast("App", world.gateway.front), **server) as served:
            yield world, served
            await served.leave()
            await served.wait_empty()
        await world.leak_check()


async def chat(world: World, client: Http2Client, **fields: Any) -> Answer:
    key = [("authorization", f"Bearer {world.secret}")]
    return await client.ask(CHAT, method="POST", headers=key, fields=chat_fields(**fields))


def varying(headers: dict[str, str]) -> dict[str, str]:
    """Headers without the framing of HTTP/1.1, and with what differs from answer to answer left out."""
    framing = {"transfer-encoding", "connection"}
    own = {"date", "x-request-id"}
    return {
        name: "" if name in own or name.startswith("x-ratelimit") else value
        for name, value in headers.items()
        if name not in framing
    }


REQUESTS: dict[str, dict[str, Any]] = {
    "a whole answer": {"fields": chat_fields()},
    "a stream": {"fields": chat_fields(stream=True)},
    "an unknown model": {"fields": chat_fields(model="openai/none")},
    "a body that is wrong": {"fields": {"model": 7}},
    "no key": {"fields": chat_fields(), "key": False},
    "a path that is none": {"path": "/v1/none", "fields": {}},
    "another method": {"method": "DELETE"},
    "the models": {"path": "/v1/models", "method": "GET"},
    "a preflight": {"method": "OPTIONS", "headers": [("origin", "https://a.example")]},
    "an origin": {"fields": chat_fields(), "headers": [("origin", "https://a.example")]},
    "an upstream that refuses": {"fields": chat_fields(simulate={"status": 400})},
}


@pytest.mark.parametrize("case", REQUESTS)
def test_answers_are_the_same_as_over_http1(case: str) -> None:
    request = {"path": CHAT, "method": "POST", "headers": [], "key": True, **REQUESTS[case]}

    async def scenario() -> None:
        async with gateway(http1="lean") as (world, served), client_of(served) as client:
            key = [("authorization", f"Bearer {world.secret}")] if request["key"] else []
            headers = [*request["headers"], *key]
            fields = request.get("fields")
            over2 = await client.whole(
                request["path"], method=request["method"], headers=headers, fields=fields
            )
            over1 = await (await served.client()).ask(
                b"" if fields is None else fields,
                path=request["path"],
                method=request["method"],
                headers=headers,
            )
            assert over2.whole
            assert over1.whole
            assert over2.status == over1.status
            assert varying(over2.headers) == varying(over1.headers)
            assert len(over2.body) == len(over1.body)
            if "error" in case or over2.status >= 400:
                assert over2.json()["error"]["code"] == over1.error["code"]

    on_real_sockets(scenario)


def test_many_requests_on_one_connection_are_all_answered() -> None:
    async def scenario() -> None:
        async with gateway() as (world, served), client_of(served) as client:
            answers = [
                await chat(world, client, stream=number % 2 == 0, simulate={"tokens": number})
                for number in range(1, 61)
            ]
            await client.until(lambda: all(answer.over for answer in answers))
            for number, answer in enumerate(answers, 1):
                assert (answer.status, answer.whole) == (200, True)
                if number % 2 == 0:
                    assert answer.events()[-1] == "[DONE]"
                else:
                    assert answer.json()["usage"]["completion_tokens"] == number

    on_real_sockets(scenario)


@pytest.mark.parametrize("cut", [{"cut_after": 7}, {"stall_after": 7}, {"error_event_after": 7}])
def test_i5_a_cut_stream_tells_its_error_and_is_reset_and_others_go_on(cut: dict[str, int]) -> None:
    async def scenario() -> None:
        async with gateway() as (world, served), client_of(served) as client:
            steady = await chat(
                world, client, stream=True, simulate={"ttft": 1, "gap": 10, "tokens": 20}
            )
            broken = await chat(
                world, client, stream=True, simulate={"gap": 0.1, "tokens": 20, **cut}
            )
            await client.until(lambda: broken.over)
            assert (broken.whole, broken.reset) == (False, INTERNAL_ERROR)
            assert "[DONE]" not in broken.events()
            assert set(msgspec.json.decode(broken.events()[-1])["error"]) == {
                "message",
                "type",
                "param",
                "code",
            }
            await client.until(lambda: steady.over)
            assert steady.whole
            assert steady.events()[-1] == "[DONE]"
            outcomes = [line["outcome"] for line in world.log_lines()]
            assert outcomes == ["cut", "ok"]

    on_real_sockets(scenario)


async def by_reset(client: Http2Client, answer: Answer) -> None:
    await client.reset(answer)


async def by_close(client: Http2Client, _answer: Answer) -> None:
    await trio.aclose_forcefully(client.stream)


@pytest.mark.parametrize("leave", [by_reset, by_close])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_i7_a_client_that_leaves_takes_its_upstream_call_with_it(
    stream: bool, leave: Callable[[Http2Client, Answer], Awaitable[None]]
) -> None:
    async def scenario() -> None:
        async with gateway() as (world, served), client_of(served) as client:
            answer = await chat(world, client, stream=stream, simulate=SLOW)
            await trio.sleep(10.5)
            assert bool(answer.body) == stream
            assert world.simulator.open_exchanges == 1
            await leave(client, answer)
            await trio.sleep(1)
            assert (world.simulator.open_exchanges, world.simulator.aborted) == (0, 1)
            (line,) = world.log_lines()
            assert line["outcome"] == "client_gone"

    on_real_sockets(scenario)


def test_i7_a_client_that_resets_one_stream_keeps_the_others() -> None:
    async def scenario() -> None:
        async with gateway() as (world, served), client_of(served) as client:
            kept = await chat(
                world, client, stream=True, simulate={"ttft": 1, "gap": 1, "tokens": 30}
            )
            left = await chat(world, client, stream=True, simulate=SLOW)
            await trio.sleep(10)
            await client.reset(left)
            await client.until(lambda: kept.over)
            assert kept.events()[-1] == "[DONE]"
            assert world.simulator.aborted == 1

    on_real_sockets(scenario)


def test_i8_a_stream_that_its_client_does_not_read_is_given_up_at_the_write_limit() -> None:
    async def scenario() -> None:
        async with (
            gateway(write_seconds=30.0) as (world, served),
            client_of(served, stingy=True, window_bytes=2000) as client,
        ):
            answer = await chat(
                world, client, stream=True, simulate={"ttft": 0, "gap": 2, "tokens": 5000}
            )
            await client.until(lambda: len(answer.body) == 2000)
            shut_at = trio.current_time()
            await client.until(lambda: answer.over)
            assert (answer.reset, answer.whole) == (CANCEL, False)
            assert len(answer.body) == 2000
            assert answer.reset_at == pytest.approx(shut_at + 30, abs=0.5)
            await trio.sleep(1)
            assert (world.simulator.open_exchanges, world.simulator.aborted) == (0, 1)
            (line,) = world.log_lines()
            assert line["outcome"] == "client_gone"

    on_real_sockets(scenario)
