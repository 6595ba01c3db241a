"""A client that stops reading is dropped within the write limit, and costs little memory until then (I8).

The gateway of these tests drops a client that takes nothing for one second. How long that really
takes is not measured here; that the provider is let go of, and what memory grew by meanwhile, is.
"""

import time
from typing import Any

import msgspec

from router.simulator import Simulator
from tests.e2e.conftest import WRITE_SECONDS
from tests.e2e.gateway import MODEL, Gateway
from tests.e2e.process import wait_until
from tests.e2e.raw import Wire

CHAT = "/v1/chat/completions"
USER = [{"role": "user", "content": "Hello"}]
MIB = 1024 * 1024
MOST_GROWTH = 32 * MIB
SMALL_BUFFER = 4096
HUGE = 200_000
LONGEST = 1_000_000
PAUSE_SECONDS = 0.02
PIECE_BYTES = 64 * 1024


def request_body(**fields: Any) -> bytes:
    return msgspec.json.encode({"model": MODEL, "messages": USER, **fields})


def test_a_client_that_stops_reading_a_stream_is_dropped_and_memory_stays_bounded(
    strict_gateway: Gateway, provider: Simulator
) -> None:
    aborted = provider.aborted
    before = largest = strict_gateway.process.resident_bytes()

    def let_go() -> bool:
        nonlocal largest
        largest = max(largest, strict_gateway.process.resident_bytes())
        return provider.aborted > aborted

    with Wire(strict_gateway, receive_bytes=SMALL_BUFFER) as wire:
        wire.send_request(CHAT, request_body(stream=True, simulate={"tokens": HUGE, "gap": 0}))
        wait_until("the provider is let go of", let_go)
        assert b"[DONE]" not in wire.receive_all()
    assert largest - before < MOST_GROWTH
    assert strict_gateway.process.log("request")[-1]["outcome"] == "client_gone"


def test_several_clients_that_stop_reading_do_not_stop_others(
    strict_gateway: Gateway, provider: Simulator
) -> None:
    aborted = provider.aborted
    wires = [Wire(strict_gateway, receive_bytes=SMALL_BUFFER) for _ in range(5)]
    for wire in wires:
        wire.send_request(CHAT, request_body(stream=True, simulate={"tokens": HUGE, "gap": 0}))
    with Wire(strict_gateway) as other:
        assert other.post(CHAT, request_body()).status == 200
    wait_until("all of them are dropped", lambda: provider.aborted == aborted + len(wires))
    for wire in wires:
        wire.socket.close()


def test_a_client_that_never_reads_a_whole_answer_is_dropped(strict_gateway: Gateway) -> None:
    with Wire(strict_gateway, receive_bytes=SMALL_BUFFER) as wire:
        wire.send_request(CHAT, request_body(simulate={"tokens": LONGEST}))
        wait_until("it is dropped", wire.has_broken)


def test_a_client_that_reads_slowly_but_steadily_gets_everything(strict_gateway: Gateway) -> None:
    began = time.monotonic()
    with Wire(strict_gateway, receive_bytes=64 * 1024) as wire:
        wire.send_request(CHAT, request_body(simulate={"tokens": LONGEST}))
        received = wire.receive_until(b"\r\n\r\n")
        length = int(received.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = bytearray(received.partition(b"\r\n\r\n")[2])
        while len(body) < length:
            # This pause is the client's slowness; nothing is waited for.
            time.sleep(PAUSE_SECONDS)
            piece = wire.socket.recv(PIECE_BYTES)
            assert piece, f"dropped after {len(body)} of {length} bytes"
            body += piece
    assert time.monotonic() - began > 2 * WRITE_SECONDS, "too fast to show anything"
    assert msgspec.json.decode(body)["usage"]["completion_tokens"] == LONGEST
