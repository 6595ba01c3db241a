"""A client that leaves takes its upstream call with it, at whatever moment and in whatever way.

The provider is the witness: it counts an exchange as aborted when its own client, the gateway, closes
the connection before the answer is whole.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import msgspec
import openai
import pytest
import trio

from router.simulator import Simulator
from tests.conftest import SIZE
from tests.e2e.gateway import MODEL, Gateway
from tests.e2e.node_sdk import NodeSdk
from tests.e2e.process import wait_until
from tests.e2e.raw import Wire
from tests.e2e.sdk import AsyncPythonSdk, PythonSdk

CHAT = "/v1/chat/completions"
USER: Any = [{"role": "user", "content": "Hello"}]
SLOW_STREAM = {"ttft": 0, "gap": 0.02, "tokens": 100_000}
CANCELLATIONS = 100 * SIZE
AT_ONCE = 10

MOMENTS: dict[str, tuple[dict[str, Any], bytes]] = {
    "before the head": ({"stream": True, "simulate": {"silence": True}}, b""),
    "before the first token": (
        {"stream": True, "simulate": {"delay_head": 0, "ttft": 600}},
        b"",
    ),
    "in the middle of a stream": ({"stream": True, "simulate": SLOW_STREAM}, b"Hello"),
    "in a stalled stream": (
        {"stream": True, "simulate": {"tokens": 10, "stall_after": 3}},
        b"Hello",
    ),
    "in a call that is not streamed": ({"simulate": {"ttft": 600}}, b""),
    "in the middle of a whole answer": ({"simulate": {"stall_after": 0}}, b""),
}


def request_body(**fields: Any) -> bytes:
    return msgspec.json.encode({"model": MODEL, "messages": USER, **fields})


@pytest.mark.parametrize("leave", [lambda w: w.socket.close(), Wire.reset], ids=["close", "reset"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_client_that_leaves_closes_the_upstream_connection(
    gateway: Gateway, provider: Simulator, moment: str, leave: Callable[[Wire], None]
) -> None:
    fields, seen = MOMENTS[moment]
    aborted = provider.aborted
    with Wire(gateway) as wire:
        wire.send_request(CHAT, request_body(**fields))
        if seen:
            wire.receive_until(seen)
        wait_until("the provider has the request", lambda: provider.open_exchanges == 1)
        leave(wire)
        wait_until("the provider sees its client leave", lambda: provider.open_exchanges == 0)
    assert provider.aborted == aborted + 1
    assert gateway.process.log("request")[-1]["outcome"] == "client_gone"


def test_a_client_that_leaves_while_it_sends_reaches_no_upstream(
    gateway: Gateway, provider: Simulator
) -> None:
    requests = len(provider.requests)
    with Wire(gateway) as wire:
        body = request_body(padding="x" * 100_000)
        wire.send(wire.head(CHAT, body) + body[:50_000])
        wait_until("the gateway reads it", lambda: in_flight(gateway) == 1)
    wait_until("the gateway gives up", lambda: in_flight(gateway) == 0)
    assert len(provider.requests) == requests


def in_flight(gateway: Gateway) -> float:
    return gateway.metrics()["syze_requests_in_flight"]


def test_a_stream_closed_by_the_sdk_closes_the_upstream_connection(
    python: PythonSdk, provider: Simulator
) -> None:
    aborted = provider.aborted
    with python.client() as client:
        stream = client.chat.completions.create(
            model=MODEL, messages=USER, stream=True, extra_body={"simulate": SLOW_STREAM}
        )
        with stream:
            assert next(iter(stream)).choices[0].delta.role == "assistant"
            assert provider.open_exchanges == 1
        wait_until("the provider sees it", lambda: provider.aborted == aborted + 1)


def test_a_task_cancelled_around_the_async_sdk_closes_the_upstream_connection(
    gateway: Gateway, provider: Simulator
) -> None:
    aborted = provider.aborted

    async def main() -> None:
        async with AsyncPythonSdk(gateway.base_url, gateway.key).client() as client:
            call = asyncio.create_task(
                client.chat.completions.create(
                    model=MODEL, messages=USER, extra_body={"simulate": {"silence": True}}
                )
            )
            await asyncio.to_thread(
                wait_until, "the provider has it", lambda: provider.open_exchanges == 1
            )
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    asyncio.run(main())
    wait_until("the provider sees it", lambda: provider.aborted == aborted + 1)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_client_whose_patience_ends_closes_the_upstream_connection(
    python: PythonSdk, node: NodeSdk, provider: Simulator, stream: bool
) -> None:
    aborted = provider.aborted
    with (
        python.client() as client,
        pytest.raises(openai.APITimeoutError),
    ):
        client.with_options(timeout=0.3).chat.completions.create(
            model=MODEL, messages=USER, stream=stream, extra_body={"simulate": {"silence": True}}
        )
    wait_until("the provider sees Python leave", lambda: provider.aborted == aborted + 1)
    fields = {"model": MODEL, "messages": USER, "stream": stream, "simulate": {"silence": True}}
    failure = node.call("chat.completions.create", fields, timeout_seconds=0.3).failure
    assert failure is not None
    assert failure.kind == "APIConnectionTimeoutError"
    wait_until("the provider sees Node leave", lambda: provider.aborted == aborted + 2)


def test_a_loop_left_in_node_closes_the_upstream_connection(
    node: NodeSdk, provider: Simulator
) -> None:
    aborted = provider.aborted
    fields = {"model": MODEL, "messages": USER, "stream": True, "simulate": SLOW_STREAM}
    answer = node.call("chat.completions.create", fields, stop_after=3)
    assert answer.failure is None
    assert len(answer.chunks) == 3
    wait_until("the provider sees it", lambda: provider.aborted == aborted + 1)


SHAPES: list[tuple[str, dict[str, Any]]] = [
    (CHAT, {"stream": True, "simulate": {"ttft": 0.01, "gap": 0.002, "tokens": 30}}),
    (CHAT, {"stream": True, "simulate": {"gap": 0, "tokens": 2000}}),
    (CHAT, {"stream": True, "simulate": {"silence": True}}),
    (CHAT, {"stream": True, "simulate": {"gap": 0.002, "cut_after": 8}}),
    (CHAT, {"simulate": {"ttft": 0.02}}),
    (CHAT, {"simulate": {"reset_before_head": True, "delay_head": 0.02}}),
    (CHAT, {"simulate": {"status": 500, "delay_head": 0.02}}),
    (CHAT, {"n": "wrong", "padding": "x" * 200_000}),
]


def test_nothing_is_left_after_many_cancellations_at_random_moments(
    gateway: Gateway, provider: Simulator
) -> None:
    gateway.come_to_rest()
    aborted = provider.aborted
    rng = random.Random(20261123)
    trio.run(storm, gateway, rng)
    assert provider.aborted > aborted, "some left in the middle of an exchange"
    gateway.leak_check()
    gateway.come_to_rest()
    outcomes = {line["outcome"] for line in gateway.process.log("request")[-CANCELLATIONS:]}
    assert "bug" not in outcomes


async def storm(gateway: Gateway, rng: random.Random) -> None:
    """Many clients, some at once, each leaving after a random time or a random number of bytes."""
    limit = trio.CapacityLimiter(AT_ONCE)
    model = gateway.untouched_model()
    async with trio.open_nursery() as nursery:
        for _ in range(CANCELLATIONS):
            path, fields = rng.choice(SHAPES)
            with_body = (
                path,
                request_body(**{"model": model, **fields}),
                rng.random() ** 2 * 0.08,
                rng.randrange(20_000),
            )
            await limit.acquire_on_behalf_of(with_body)
            nursery.start_soon(one_client, gateway, limit, with_body)


async def one_client(
    gateway: Gateway, limit: trio.CapacityLimiter, plan: tuple[str, bytes, float, int]
) -> None:
    path, body, patience, appetite = plan
    head = (
        f"POST {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {gateway.key}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode()
    try:
        stream = await trio.open_tcp_stream("127.0.0.1", gateway.process.port)
        with trio.move_on_after(patience):
            await stream.send_all(head + body)
            eaten = 0
            while eaten < appetite and (data := await stream.receive_some(4096)):
                eaten += len(data)
        await trio.aclose_forcefully(stream)
    finally:
        limit.release_on_behalf_of(plan)
