"""A deploy loses nothing (invariant I10): SIGTERM ends a gateway, and streams in flight end first.

Each test has a gateway of its own, for it does not survive the test.
"""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from router.simulator import Simulator, expected_text
from tests.e2e.gateway import MODEL, Gateway, running_gateway
from tests.e2e.process import wait_until
from tests.e2e.raw import Wire

CHAT = "/v1/chat/completions"
USER = [{"role": "user", "content": "Hello"}]
DRAIN_SECONDS = 4.0


def request_body(**fields: Any) -> bytes:
    return msgspec.json.encode({"model": MODEL, "messages": USER, **fields})


@pytest.fixture
def leaving_gateway(tmp_path: Path, provider: Simulator, provider_port: int) -> Iterator[Gateway]:
    settings = {"drain_seconds": DRAIN_SECONDS, "keep_alive_seconds": 600.0}
    with running_gateway(tmp_path, provider, provider_port, settings) as gateway:
        yield gateway
    wait_until("the provider is left alone", lambda: provider.open_exchanges == 0)


def refuses_connections(gateway: Gateway) -> bool:
    with socket.socket() as probe:
        try:
            probe.connect(("127.0.0.1", gateway.process.port))
        except ConnectionRefusedError:
            return True
    return False


def text_of(events: bytes) -> str:
    chunks = [
        msgspec.json.decode(event.removeprefix(b"data: "))
        for event in events.split(b"\n\n")
        if event and event != b"data: [DONE]"
    ]
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)


def test_what_is_in_flight_is_finished_before_the_gateway_ends(
    leaving_gateway: Gateway, provider: Simulator
) -> None:
    with Wire(leaving_gateway) as streaming, Wire(leaving_gateway) as waiting:
        body = request_body(stream=True, simulate={"tokens": 30, "ttft": 0.3, "gap": 0.05})
        streaming.send_request(CHAT, body)
        waiting.send_request(CHAT, request_body(simulate={"ttft": 1.5}))
        wait_until("both are at the provider", lambda: provider.open_exchanges == 2)
        stream = next(r.json() for r in list(provider.requests)[-2:] if r.json().get("stream"))
        leaving_gateway.process.terminate()
        wait_until("new connections are refused", lambda: refuses_connections(leaving_gateway))
        assert not leaving_gateway.process.has_ended

        whole = waiting.answer()
        assert whole.status == 200
        assert whole.json()["choices"][0]["finish_reason"] == "stop"
        streamed = streaming.answer()
        assert streamed.body.endswith(b"data: [DONE]\n\n")
        assert text_of(streamed.body) == expected_text(stream)
        assert streaming.is_closed()
    assert leaving_gateway.process.wait() == 0
    assert {line["outcome"] for line in leaving_gateway.process.log("request")} == {"ok"}


def test_idle_connections_do_not_hold_the_gateway_up(leaving_gateway: Gateway) -> None:
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(leaving_gateway)) for _ in range(4)]
        assert wires[0].get("/healthz").status == 200
        assert wires[1].post(CHAT, request_body()).status == 200
        assert wires[2].post(CHAT, request_body(stream=True)).status == 200
        leaving_gateway.process.terminate()
        # Well below the time for which requests in flight would be waited for.
        assert leaving_gateway.process.wait(DRAIN_SECONDS - 1) == 0
        assert all(wire.is_closed() for wire in wires)


def test_a_client_in_the_middle_of_its_head_does_not_hold_the_gateway_up(
    leaving_gateway: Gateway,
) -> None:
    with Wire(leaving_gateway) as wire:
        wire.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: ")
        leaving_gateway.process.terminate()
        assert leaving_gateway.process.wait(DRAIN_SECONDS - 1) == 0


def test_a_stream_that_outlasts_the_limit_is_cut_and_never_ended_neatly(
    leaving_gateway: Gateway,
) -> None:
    with Wire(leaving_gateway) as wire:
        wire.send_request(CHAT, request_body(stream=True, simulate={"tokens": 10_000, "gap": 0.05}))
        received = wire.receive_until(b"Hello")
        leaving_gateway.process.terminate()
        received += wire.receive_all()
    assert leaving_gateway.process.wait() == 0
    assert b"[DONE]" not in received
    assert not received.endswith(b"\r\n0\r\n\r\n")
    assert leaving_gateway.process.log("request")[-1]["outcome"] == "shutdown"
