"""The simulated provider over real sockets: as a server, as a process, and under the official SDK."""

import os
import signal
import subprocess
import sys
from functools import partial
from typing import Any

import openai
import pytest
import trio

from router.simulator import Behaviour, Simulator, expected_text
from tests.simulated.simulator_wire import WireClient, chat

PATIENCE = 60.0


async def test_it_serves_many_connections_and_closes_them_when_cancelled() -> None:
    simulator = Simulator()

    async def one(port: int) -> None:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream:
            answer = await WireClient(stream).ask(chat(stream=True))
        assert answer.whole

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as server:
            port = await server.start(simulator.serve)
            async with trio.open_nursery() as clients:
                for _ in range(20):
                    clients.start_soon(one, port)
            stays = await trio.open_tcp_stream("127.0.0.1", port)
            await WireClient(stays).ask(chat())
            server.cancel_scope.cancel()
        assert simulator.open_connections == 0
        assert simulator.completed == 21
        assert await stays.receive_some() == b""
        await stays.aclose()


async def test_a_reset_is_a_reset() -> None:
    simulator = Simulator()
    simulator.plan(Behaviour(reset_before_head=True))
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as server:
            port = await server.start(simulator.serve)
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await WireClient(stream).send(chat())
                with pytest.raises(trio.BrokenResourceError) as broken:
                    await stream.receive_some()
            server.cancel_scope.cancel()
    assert isinstance(broken.value.__cause__, ConnectionResetError)


def use_the_sdk(port: int) -> dict[str, Any]:
    url = f"http://127.0.0.1:{port}/v1"
    with openai.OpenAI(base_url=url, api_key="k", max_retries=0, timeout=PATIENCE) as client:
        messages: Any = [{"role": "user", "content": "Hello"}]
        create: Any = partial(client.chat.completions.create, model="m", messages=messages)
        whole = create()
        with create(stream=True, stream_options={"include_usage": True}) as stream:
            chunks = list(stream)
        vectors = client.embeddings.create(model="m", input=["a", "b"], dimensions=8)
        with pytest.raises(openai.RateLimitError) as limited:
            create(extra_body={"simulate": {"status": 429, "retry_after": 2}})
        with pytest.raises(openai.APIError, match="told to fail"):
            list(create(stream=True, extra_body={"simulate": {"error_event_after": 3}}))
        model = client.models.retrieve("vendor/name")
    return {
        "whole": whole,
        "chunks": chunks,
        "vectors": vectors,
        "limited": limited.value,
        "model": model,
    }


async def test_the_official_sdk_understands_it() -> None:
    simulator = Simulator(required_keys=["k"])
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as server:
            port = await server.start(simulator.serve)
            got = await trio.to_thread.run_sync(use_the_sdk, port)
            server.cancel_scope.cancel()
    text = expected_text(chat())
    assert got["whole"].choices[0].message.content == text
    said = [chunk.choices[0].delta.content or "" for chunk in got["chunks"] if chunk.choices]
    assert "".join(said) == text
    assert got["chunks"][-1].usage == got["whole"].usage
    assert [len(one.embedding) for one in got["vectors"].data] == [8, 8]
    assert got["limited"].response.headers["retry-after"] == "2"
    assert got["limited"].code == "rate_limit_exceeded"
    assert got["limited"].request_id.startswith("req_")
    assert got["model"].id == "vendor/name"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_as_a_process_it_prints_its_url_serves_and_ends_well(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "router.simulator", "--tokens", "3", "--model", "m"]
    with trio.fail_after(PATIENCE):
        process = await trio.lowlevel.open_process(
            command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."}
        )
        try:
            assert process.stdout is not None
            line = (await process.stdout.receive_some()).decode()
            assert line.startswith("http://127.0.0.1:")
            port = int(line.removesuffix("/v1\n").rpartition(":")[2])
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                client = WireClient(stream)
                answer = await client.ask(chat())
                refused = await client.ask(chat(model="other"))
                process.send_signal(number)
                assert await process.wait() == 0
            await process.stdout.aclose()
        finally:
            process.kill()
    assert answer.json()["usage"]["completion_tokens"] == 3
    assert refused.status == 404


async def test_a_port_that_is_taken_is_reported() -> None:
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as server:
            port = await server.start(Simulator().serve)
            command = [sys.executable, "-m", "router.simulator", "--port", str(port)]
            run = await trio.run_process(command, capture_stderr=True, check=False)
            server.cancel_scope.cancel()
    assert run.returncode == 1
    assert b"cannot listen on 127.0.0.1" in run.stderr
