"""A cut stream is never presented as complete (invariant I5): every client notices.

The SDKs raise on the error event; curl, which reads no events, sees that the body was not ended.
"""

import http.client
from typing import Any

import msgspec
import pytest

from router.simulator import Simulator
from tests.e2e.curl import run_curl
from tests.e2e.gateway import Gateway
from tests.e2e.raw import Wire
from tests.e2e.sdk import Sdk

CHAT = "/v1/chat/completions"
USER = [{"role": "user", "content": "Hello"}]
TRANSFER_CLOSED = 18

CUTS: dict[str, dict[str, Any]] = {
    "closed": {"tokens": 20, "cut_after": 7},
    "closed after the last token": {"tokens": 7, "cut_after": 7},
    # Not at once: what comes together with the first token still becomes an honest status.
    "ended by an error event": {"tokens": 20, "gap": 0.1, "error_event_after": 3},
    "compressed and closed": {"tokens": 20, "cut_after": 7, "gzip": True},
}


def fields_of(gateway: Gateway, cut: str) -> dict[str, Any]:
    model = gateway.untouched_model()
    return {"model": model, "messages": USER, "stream": True, "simulate": CUTS[cut]}


@pytest.mark.parametrize("cut", CUTS)
def test_the_sdks_raise_after_what_had_arrived(sdk: Sdk, gateway: Gateway, cut: str) -> None:
    fields = fields_of(gateway, cut)
    extra = {"simulate": fields.pop("simulate")}
    answer = sdk.call("chat.completions.create", fields, extra=extra)
    assert answer.text().startswith("Hello")
    assert all(
        not choice["finish_reason"] for chunk in answer.chunks for choice in chunk["choices"]
    )
    assert answer.failure is not None
    assert answer.failure.kind == "APIError"
    assert answer.failure.type == "server_error"
    assert answer.failure.code in {"upstream_stream_broken", "upstream_overloaded"}
    assert fields["model"].partition("/")[0] in answer.failure.message


@pytest.mark.parametrize("cut", CUTS)
def test_the_wire_shows_an_error_event_and_no_end(gateway: Gateway, cut: str) -> None:
    with Wire(gateway) as wire:
        wire.send_request(CHAT, msgspec.json.encode(fields_of(gateway, cut)))
        received = wire.receive_all()
    assert b"[DONE]" not in received
    assert not received.endswith(b"0\r\n\r\n")
    last = received.rpartition(b"data: ")[2].partition(b"\n\n")[0]
    assert set(msgspec.json.decode(last)["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("cut", CUTS)
def test_a_client_that_reads_no_events_sees_an_incomplete_body(gateway: Gateway, cut: str) -> None:
    with Wire(gateway) as wire:
        wire.send_request(CHAT, msgspec.json.encode(fields_of(gateway, cut)))
        with pytest.raises(http.client.IncompleteRead):
            wire.answer()


def test_curl_fails(gateway: Gateway) -> None:
    done = run_curl(
        "-N",
        gateway.base_url + "/chat/completions",
        "-H",
        f"Authorization: Bearer {gateway.key}",
        "--data-binary",
        "@-",
        body=msgspec.json.encode(fields_of(gateway, "closed")),
    )
    assert done.returncode == TRANSFER_CLOSED, done.stderr
    assert done.stdout.count(b"data: ") > 7
    assert b"[DONE]" not in done.stdout


def test_a_cut_is_logged_as_one(gateway: Gateway, provider: Simulator) -> None:
    with Wire(gateway) as wire:
        wire.send_request(CHAT, msgspec.json.encode(fields_of(gateway, "closed")))
        wire.receive_all()
    gateway.leak_check()
    line = gateway.process.log("request")[-1]
    assert (line["outcome"], line["status"]) == ("cut", 200)
    assert line["error_code"] == "upstream_stream_broken"
    assert provider.open_exchanges == 0
