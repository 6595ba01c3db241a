"""The simulated provider as an HTTP service: connections, plans, keys, paths, refusals."""

from typing import Any

import msgspec
import pytest
from trio.testing import wait_all_tasks_blocked

from router.simulator import Behaviour, Profile, Simulator, expected_text
from tests.simulated.simulator_wire import CHAT, chat, connected, still


async def test_a_connection_serves_one_request_after_the_other_and_remembers_them() -> None:
    simulator = Simulator(wall_clock=still)
    async with connected(simulator) as client:
        for word in ("one", "two", "three"):
            answer = await client.ask(chat(word), headers=[("X-Word", word)])
            assert answer.json()["choices"][0]["message"]["content"] == expected_text(chat(word))
        assert simulator.open_connections == 1
    assert [seen.json() for seen in simulator.requests] == [
        chat(w) for w in ("one", "two", "three")
    ]
    assert [seen.header(b"x-word") for seen in simulator.requests] == [b"one", b"two", b"three"]
    assert simulator.requests[0].method == b"POST"
    assert simulator.requests[0].target == CHAT.encode()
    assert (simulator.completed, simulator.open_connections) == (3, 0)


@pytest.mark.parametrize("kept", [0, 2])
async def test_only_so_many_requests_are_kept(kept: int) -> None:
    simulator = Simulator(keep_requests=kept)
    async with connected(simulator) as client:
        for word in ("one", "two", "three"):
            await client.ask(chat(word))
    assert [seen.json() for seen in simulator.requests] == [chat("two"), chat("three")][:kept]


async def test_requests_sent_ahead_are_answered_in_order() -> None:
    async with connected(Simulator(wall_clock=still)) as client:
        one, two = (msgspec.json.encode(chat(word)) for word in ("one", "two"))
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
        await client.stream.send_all(head % len(one) + one + head % len(two) + two)
        received = b""
        while received.count(b"HTTP/1.1 200") < 2 or not received.endswith(b"}"):
            received += await client.stream.receive_some()
    assert received.index("“one”".encode()) < received.index("“two”".encode())


async def test_plans_are_taken_in_order_and_then_the_profile_rules() -> None:
    simulator = Simulator(wall_clock=still)
    simulator.plan(Behaviour(status=500), Behaviour(status=429))
    async with connected(simulator) as client:
        statuses = [(await client.ask(chat())).status for _ in range(3)]
    assert statuses == [500, 429, 200]
    assert simulator.planned == 0


async def test_an_order_in_the_request_leaves_the_plan_alone() -> None:
    simulator = Simulator(wall_clock=still)
    simulator.plan(Behaviour(status=500))
    async with connected(simulator) as client:
        assert (await client.ask(chat(simulate={"status": 418}))).status == 418
        assert (await client.ask(chat())).status == 500


async def test_an_order_that_cannot_be_read_is_refused_by_its_field() -> None:
    async with connected(Simulator(wall_clock=still)) as client:
        unknown = await client.ask(chat(simulate={"sttus": 500}))
        wrong = await client.ask(chat(simulate={"ttft": -1}))
    assert (unknown.status, unknown.error["param"]) == (400, "simulate.sttus")
    assert (wrong.status, wrong.error["param"]) == (400, "simulate.ttft")


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (("authorization", "Bearer good"), 200),
        (("api-key", "good"), 200),
        (("authorization", "Bearer bad"), 401),
        (("x-other", "good"), 401),
    ],
)
async def test_a_required_key_is_taken_from_either_header(
    header: tuple[str, str], status: int
) -> None:
    simulator = Simulator(required_keys=["good"])
    simulator.plan(Behaviour())
    async with connected(simulator) as client:
        answer = await client.ask(chat(), headers=[header])
    assert answer.status == status
    # A stranger takes no planned behaviour away.
    assert simulator.planned == (0 if status == 200 else 1)
    if status == 401:
        assert answer.error["code"] == "invalid_api_key"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/chat/completions", "chat.completion"),
        ("/chat/completions", "chat.completion"),
        ("/openai/deployments/d/chat/completions?api-version=2024-10-21", "chat.completion"),
        ("/some/base/v1/completions/", "text_completion"),
        ("/v1/embeddings", "list"),
    ],
)
async def test_endpoints_are_known_under_any_prefix(path: str, kind: str) -> None:
    async with connected(Simulator(wall_clock=still)) as client:
        answer = await client.ask(chat(prompt="Hi", input="Hi"), path=path)
    assert (answer.status, answer.json()["object"]) == (200, kind)


async def test_models_are_listed_and_found_by_ids_with_slashes() -> None:
    profile = Profile(models=("plain", "vendor/models/name"))
    async with connected(Simulator(profile, wall_clock=still)) as client:
        listed = await client.ask(method="GET", path="/v1/models")
        encoded = await client.ask(method="GET", path="/v1/models/vendor%2Fmodels%2Fname")
        bare = await client.ask(method="GET", path="/v1/models/vendor/models/name")
        missing = await client.ask(method="GET", path="/v1/models/other")
        refused = await client.ask(chat(model="other"))
    assert [card["id"] for card in listed.json()["data"]] == ["plain", "vendor/models/name"]
    assert encoded.json()["id"] == bare.json()["id"] == "vendor/models/name"
    for answer in (missing, refused):
        assert (answer.status, answer.error["code"]) == (404, "model_not_found")


async def test_wrong_paths_and_methods_get_an_error_object() -> None:
    async with connected(Simulator(wall_clock=still)) as client:
        lost = await client.ask(method="GET", path="/v1/nothing")
        wrong = await client.ask(method="GET", path=CHAT)
        head = await client.ask(method="HEAD", path="/v1/models")
    assert (lost.status, lost.error["code"]) == (404, "unknown_url")
    assert (wrong.status, wrong.error["type"]) == (405, "invalid_request_error")
    assert (head.status, head.body) == (405, b"")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": chat()["messages"]}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": 1, "messages": []}, "model"),
        ({"model": "m", "messages": []}, "messages"),
        ({"model": "m", "messages": [{"role": "king", "content": "x"}]}, "messages[0].role"),
        (chat(n=0), "n"),
        (chat(temperature=3), "temperature"),
        (chat(stream_options={"include_usage": True}), "stream_options"),
        (chat(tool_choice="auto"), "tool_choice"),
        (chat(top_logprobs=2), "top_logprobs"),
        (chat(tools=[], tool_choice="sometimes"), "tool_choice"),
    ],
)
async def test_bad_requests_are_refused_by_the_name_of_the_field(
    fields: dict[str, Any], param: str
) -> None:
    async with connected(Simulator(wall_clock=still)) as client:
        answer = await client.ask(fields)
    assert answer.status == 400
    assert answer.error["param"] == param
    assert answer.error["type"] == "invalid_request_error"
    assert param.rsplit(".", 1)[-1].strip("]") in answer.error["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b'{"model": "\xff"}',
        b'{"messages":' + b"[" * 9_000 + b"]" * 9_000 + b"}",
    ],
)
async def test_bodies_that_are_no_request_are_refused(body: bytes) -> None:
    simulator = Simulator(wall_clock=still)
    async with connected(simulator) as client:
        assert (await client.ask(body)).status == 400
        assert (await client.ask(chat())).status == 200


async def test_fields_nobody_knows_and_nulls_change_nothing() -> None:
    fields = chat(seed=None, stop=None, tools=None, n=None, made_up={"deep": [1, None]})
    async with connected(Simulator(wall_clock=still)) as client:
        answer = await client.ask(fields)
    assert answer.json()["choices"][0]["message"]["content"] == expected_text(chat())


async def test_what_is_not_http_is_refused_and_the_connection_closed() -> None:
    simulator = Simulator(wall_clock=still)
    async with connected(simulator) as client:
        await client.stream.send_all(b"what is this\r\n\r\n")
        answer = await client.answer()
        assert answer.status == 400
        assert await client.stream.receive_some() == b""
        await wait_all_tasks_blocked()
        assert simulator.open_connections == 0


async def test_a_client_that_waits_for_permission_gets_it_before_it_sends_the_body() -> None:
    body = msgspec.json.encode(chat())
    async with connected(Simulator(wall_clock=still)) as client:
        await client.stream.send_all(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n"
            b"content-length: %d\r\n\r\n" % len(body)
        )
        assert (await client.stream.receive_some()).startswith(b"HTTP/1.1 100 ")
        await client.stream.send_all(body)
        assert (await client.stream.receive_some()).startswith(b"HTTP/1.1 200 ")


async def test_an_old_client_gets_a_stream_without_chunks() -> None:
    body = msgspec.json.encode(chat(stream=True))
    received = b""
    async with connected(Simulator(Profile(tokens=1))) as client:
        await client.stream.send_all(
            b"POST /v1/chat/completions HTTP/1.0\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        while data := await client.stream.receive_some():
            received += data
    head, _, events = received.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert events.startswith(b"data: {")
    assert events.endswith(b"data: [DONE]\n\n")


async def test_a_large_body_arrives_whole() -> None:
    url = "data:image/png;base64," + "A" * 4_000_000
    simulator = Simulator(wall_clock=still)
    parts = [{"type": "image_url", "image_url": {"url": url}}]
    async with connected(simulator) as client:
        answer = await client.ask(chat(parts))
    assert simulator.requests[0].json()["messages"][0]["content"] == parts
    said = answer.json()["choices"][0]["message"]["content"]
    assert "image/png, 3000000 bytes" in said
