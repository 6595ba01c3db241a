"""HTTP/1.1 as clients really speak it: the details at the gateway's door, over sockets of our own."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from router.simulator import Simulator
from tests.e2e.curl import run_curl
from tests.e2e.gateway import MODEL, Gateway
from tests.e2e.process import wait_until
from tests.e2e.raw import Wire

CHAT = "/v1/chat/completions"
USER = [{"role": "user", "content": "Hello"}]
ORIGIN = "https://app.example"


def request_body(**fields: Any) -> bytes:
    return msgspec.json.encode({"model": MODEL, "messages": USER, **fields})


PLAIN = request_body()
STREAMED = request_body(stream=True)


# --- connections ----------------------------------------------------------------------------------


def test_a_connection_serves_request_after_request_whatever_their_kind(gateway: Gateway) -> None:
    with Wire(gateway) as wire:
        for _ in range(2):
            assert wire.post(CHAT, PLAIN).status == 200
            assert wire.post(CHAT, STREAMED).body.endswith(b"data: [DONE]\n\n")
            assert wire.post(CHAT, b"{}").status == 400
            assert wire.get("/v1/models").status == 200
            assert wire.get("/nowhere").status == 404
            assert wire.get("/v1/models", method="HEAD").body == b""


def test_a_connection_is_closed_when_the_client_asks_for_it(gateway: Gateway) -> None:
    for path, body in ((CHAT, PLAIN), (CHAT, STREAMED), ("/v1/models", None)):
        with Wire(gateway) as wire:
            method = "POST" if body else "GET"
            wire.send_request(path, body, method=method, headers={"Connection": "close"})
            answer = wire.answer()
            assert answer.status == 200
            assert answer.headers["connection"] == "close"
            assert wire.is_closed()


def test_requests_sent_ahead_are_answered_in_order(gateway: Gateway) -> None:
    with Wire(gateway) as wire:
        slow = request_body(simulate={"ttft": 0.2}, user="first")
        first = wire.head(CHAT, slow) + slow
        second = wire.head("/v1/models/openai/gpt-4o-mini", method="GET")
        third = wire.head(CHAT, STREAMED) + STREAMED
        wire.send(first + second + third)
        assert wire.answer().json()["object"] == "chat.completion"
        assert wire.answer("GET").json()["id"] == "openai/gpt-4o-mini"
        assert wire.answer().body.endswith(b"data: [DONE]\n\n")


def half_a_head(wire: Wire) -> None:
    wire.send(b"POST /v1/chat/comp")


def an_answer(wire: Wire) -> None:
    assert wire.post(CHAT, PLAIN).status == 200


def a_refusal(wire: Wire) -> None:
    assert wire.post(CHAT, b"{}").status == 400


def a_list(wire: Wire) -> None:
    assert wire.get("/v1/models").status == 200


def nothing(_wire: Wire) -> None: ...


@pytest.mark.parametrize(
    "leave", [lambda wire: wire.socket.close(), Wire.reset], ids=["close", "reset"]
)
@pytest.mark.parametrize("before", [nothing, half_a_head, an_answer, a_refusal, a_list])
def test_a_connection_that_its_client_closes_is_given_up_at_once(
    gateway: Gateway, before: Callable[[Wire], None], leave: Callable[[Wire], None]
) -> None:
    gateway.come_to_rest()
    wires = [Wire(gateway) for _ in range(10)]
    for wire in wires:
        before(wire)
    wait_until("they are open", lambda: gateway.connections() == len(wires))
    for wire in wires:
        leave(wire)
    # Well below the time for which a connection may lie idle.
    wait_until("they are closed", lambda: gateway.connections() == 0, seconds=10)


def test_an_old_client_without_chunks_is_served(gateway: Gateway) -> None:
    for body in (PLAIN, STREAMED):
        with Wire(gateway) as wire:
            wire.send(wire.head(CHAT, body).replace(b"HTTP/1.1", b"HTTP/1.0") + body)
            answer = wire.receive_all()
        head, _, content = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert b"transfer-encoding" not in head.lower()
        assert content.endswith(b"data: [DONE]\n\n") if body is STREAMED else content.endswith(b"}")


def test_what_is_not_http_is_refused(gateway: Gateway) -> None:
    for nonsense in (
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"HELLO\r\n\r\n",
        b"GET /\r\n x\r\n\r\n",
    ):
        with Wire(gateway) as wire:
            wire.send(nonsense)
            assert wire.receive_all().startswith(b"HTTP/1.1 400")


def test_a_head_without_end_is_refused(gateway: Gateway) -> None:
    with Wire(gateway) as wire:
        wire.send(b"GET /v1/models HTTP/1.1\r\nhost: gateway\r\nx-long: " + b"x" * 100_000)
        assert wire.receive_all().startswith(b"HTTP/1.1 431")


# --- request bodies -------------------------------------------------------------------------------


def test_curl_may_ask_before_it_sends_a_large_body(gateway: Gateway, provider: Simulator) -> None:
    body = request_body(padding="x" * 2_000_000)
    done = run_curl(
        "-v",
        gateway.base_url + "/chat/completions",
        *("-H", f"Authorization: Bearer {gateway.key}"),
        *("-H", "Content-Type: application/json"),
        *("-H", "Expect: 100-continue", "--expect100-timeout", "20"),
        *("--data-binary", "@-"),
        body=body,
    )
    assert done.returncode == 0, done.stderr
    assert b"HTTP/1.1 100 " in done.stderr
    assert msgspec.json.decode(done.stdout)["object"] == "chat.completion"
    assert len(provider.requests[-1].json()["padding"]) == 2_000_000


def test_a_body_may_come_in_chunks(gateway: Gateway, provider: Simulator) -> None:
    pieces = [PLAIN[start : start + 7] for start in range(0, len(PLAIN), 7)]
    chunked = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    with Wire(gateway) as wire:
        wire.send(wire.head(CHAT, headers={"Transfer-Encoding": "chunked"}))
        wire.send(chunked + b"0\r\nx-trailer: 1\r\n\r\n")
        assert wire.answer().status == 200
        assert wire.get("/healthz").status == 200
    assert provider.requests[-1].json()["messages"] == USER
    assert provider.requests[-1].header(b"transfer-encoding") is None


def test_a_body_may_come_byte_by_byte(gateway: Gateway) -> None:
    with Wire(gateway) as wire:
        wire.socket.setsockopt(6, 1, 1)  # TCP_NODELAY, so that bytes do go out singly
        for byte in wire.head(CHAT, PLAIN) + PLAIN:
            wire.send(bytes([byte]))
        assert wire.answer().status == 200


def test_a_body_of_20_mb_is_taken(gateway: Gateway, provider: Simulator) -> None:
    size = 20 * 1024 * 1024
    with Wire(gateway) as wire:
        assert wire.post(CHAT, request_body(padding="x" * size)).status == 200
    assert len(provider.requests[-1].json()["padding"]) == size
    provider.requests.clear()


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("times", [1, 3])
def test_a_body_over_the_limit_is_refused_readably_even_while_it_is_sent(
    strict_gateway: Gateway, provider: Simulator, chunked: bool, times: int
) -> None:
    requests = len(provider.requests)
    limit = 256 * 1024
    body = b"x" * (limit * times + 1)
    with Wire(strict_gateway) as wire:
        if chunked:
            wire.send(wire.head(CHAT, headers={"Transfer-Encoding": "chunked"}))
            wire.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        else:
            wire.send_request(CHAT, body)
        answer = wire.answer()
    assert answer.status == 413
    assert answer.error["code"] == "request_too_large"
    assert str(limit) in answer.error["message"]
    assert len(provider.requests) == requests


def test_a_body_of_exactly_the_limit_is_taken(strict_gateway: Gateway) -> None:
    empty = request_body(padding="")
    body = request_body(padding="x" * (256 * 1024 - len(empty)))
    with Wire(strict_gateway) as wire:
        assert wire.post(CHAT, body).status == 200


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [(CHAT, "sk-syze-wrong", 401), ("/v1/chat/completion", None, 404), ("/v1/models", None, 405)],
)
def test_a_refusal_is_readable_however_large_the_body_is(
    gateway: Gateway, path: str, key: str | None, status: int
) -> None:
    body = request_body(padding="x" * 5_000_000)
    with Wire(gateway) as wire:
        headers = {"Authorization": f"Bearer {key or gateway.key}"}
        wire.send_request(path, body, headers=headers)
        answer = wire.answer()
    assert answer.status == status
    assert answer.error["message"]


# --- paths and methods ----------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["/v1", ""])
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_trailing_slash_or_a_missing_v1_is_served_and_never_redirected(
    gateway: Gateway, prefix: str, slash: str
) -> None:
    with Wire(gateway) as wire:
        assert wire.post(f"{prefix}/chat/completions{slash}", PLAIN).status == 200
        assert wire.get(f"{prefix}/models{slash}").status == 200
        assert wire.get(f"{prefix}/models/{MODEL}").status == 200
        assert wire.post(f"{prefix}/chat/completions{slash}?api-version=1", PLAIN).status == 200


def test_head_answers_as_get_does_without_the_body(gateway: Gateway) -> None:
    with Wire(gateway) as wire:
        for path in ("/healthz", "/readyz", "/v1/models", f"/v1/models/{MODEL}"):
            got = wire.get(path)
            headed = wire.get(path, method="HEAD")
            assert (headed.status, headed.body) == (got.status, b"")
            assert headed.headers["content-length"] == str(len(got.body))
            assert headed.headers["content-type"] == got.headers["content-type"]


def test_health_needs_no_key(gateway: Gateway) -> None:
    with Wire(gateway) as wire:
        for path, status in (("/healthz", "ok"), ("/readyz", "ready")):
            answer = wire.get(path, headers={"Authorization": ""})
            assert (answer.status, answer.json()) == (200, {"status": status})


# --- headers --------------------------------------------------------------------------------------


def test_a_whole_answer_has_the_headers_it_should(gateway: Gateway) -> None:
    with Wire(gateway) as wire:
        answer = wire.post(
            CHAT, PLAIN, headers={"Accept-Encoding": "gzip, br", "Accept": "text/html"}
        )
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.headers["x-request-id"].startswith("req_")
    assert "server" not in answer.headers


def test_a_stream_has_the_headers_it_should_and_is_not_compressed(gateway: Gateway) -> None:
    with Wire(gateway) as wire:
        answer = wire.post(
            CHAT, STREAMED, headers={"Accept-Encoding": "gzip, br", "Accept": "application/json"}
        )
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in answer.headers
    for line in answer.body.split(b"\n"):
        assert line == b"" or line.startswith(b"data: ")
    assert b"\r" not in answer.body


def test_every_request_has_an_id_of_its_own_which_the_log_knows(gateway: Gateway) -> None:
    with Wire(gateway) as wire:
        answers = [wire.post(CHAT, PLAIN) for _ in range(3)]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 3
    wait_until(
        "they are logged",
        lambda: ids <= {line["request_id"] for line in gateway.process.log("request")},
    )


def test_neither_keys_nor_prompts_are_in_the_log(gateway: Gateway) -> None:
    body = request_body(messages=[{"role": "user", "content": "my secret prompt"}])
    with Wire(gateway) as wire:
        wire.post(CHAT, body)
        wire.post(CHAT + f"?key={gateway.key}", body)
        wire.get(f"/v1/models/{gateway.key}")
    gateway.leak_check()
    written = gateway.process.errors + gateway.process.printed
    for secret in (gateway.key, "sk-upstream-secret", "my secret prompt"):
        assert secret not in written


# --- browsers -------------------------------------------------------------------------------------


def test_a_browser_is_told_what_it_may_send(gateway: Gateway) -> None:
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-os",
        "Authorization": "",
    }
    with Wire(gateway) as wire:
        for path in (CHAT, "/v1/embeddings", "/v1/models", f"/v1/models/{MODEL}"):
            answer = wire.get(path, method="OPTIONS", headers=asked)
            assert answer.status == 204
            assert answer.body == b""
            assert answer.headers["access-control-allow-origin"] == "*"
            assert "POST" in answer.headers["access-control-allow-methods"]
            allowed = answer.headers["access-control-allow-headers"]
            assert allowed == asked["Access-Control-Request-Headers"]


@pytest.mark.parametrize("body", [PLAIN, STREAMED, b"{}"], ids=["whole", "streamed", "refused"])
def test_a_browser_may_read_the_answer_and_its_headers(gateway: Gateway, body: bytes) -> None:
    with Wire(gateway) as wire:
        answer = wire.post(CHAT, body, headers={"Origin": ORIGIN})
        listed = wire.get("/v1/models", headers={"Origin": ORIGIN, "Authorization": ""})
    for one in (answer, listed):
        assert one.headers["access-control-allow-origin"] == "*"
        exposed = one.headers["access-control-expose-headers"]
        assert {"x-request-id", "retry-after"} <= set(exposed.split(", "))


def test_an_origin_that_is_not_allowed_gets_no_leave(strict_gateway: Gateway) -> None:
    with Wire(strict_gateway) as wire:
        ours = wire.post(CHAT, PLAIN, headers={"Origin": ORIGIN})
        other = wire.post(CHAT, PLAIN, headers={"Origin": "https://evil.example"})
        preflight = wire.get(
            CHAT,
            method="OPTIONS",
            headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
        )
    assert ours.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-origin" not in other.headers
    assert "access-control-allow-origin" not in preflight.headers
    assert ours.headers["vary"] == other.headers["vary"] == "origin"
