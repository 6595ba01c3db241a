"""The front as a client meets it: keys, faults of the request, paths."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
import trio

from router.accounts.keys import generate_key
from router.accounts.snapshot import Snapshot
from router.config import Config, ProviderConfig, ServerConfig
from router.front.body import DRAIN_SECONDS
from tests.simulated.world import (
    MODEL,
    Client,
    ClientAnswer,
    World,
    chat_fields,
    in_virtual_time,
    open_world,
)

CHAT = "/v1/chat/completions"
KNOWN_PATHS = [
    CHAT,
    "/v1/completions",
    "/v1/embeddings",
    "/v1/models",
    f"/v1/models/{MODEL}",
    "/healthz",
    "/readyz",
    "/metrics",
]


def config(**server: Any) -> Config:
    return Config(
        server=ServerConfig(**server),
        providers={"openai": ProviderConfig(base_url="http://simulator/v1", discover=False)},
    )


def error_of(answer: ClientAnswer) -> dict[str, Any]:
    """The error object, after a check of its form."""
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.body)
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return error


# Keys


@pytest.mark.parametrize("path", [CHAT, "/v1/models", f"/v1/models/{MODEL}"])
def test_a_key_opens_all_routes_by_either_header_and_a_wrong_one_none(path: str) -> None:
    async def ask(world: World, headers: Mapping[str, str]) -> ClientAnswer:
        if path == CHAT:
            return await world.post(path, chat_fields(), headers=headers)
        return await world.get(path, headers=headers)

    async def scenario() -> None:
        async with open_world() as world:
            other = generate_key()
            for headers in (
                {"Authorization": f"bearer {world.secret}"},
                {"X-Api-Key": world.secret},
                {"Authorization": f"Bearer {other}", "X-Api-Key": world.secret},
            ):
                assert (await ask(world, headers)).status == 200
            for headers, code in (
                ({}, "missing_api_key"),
                ({"Authorization": f"Basic {world.secret}"}, "missing_api_key"),
                ({"Authorization": "Bearer "}, "missing_api_key"),
                ({"Authorization": f"Bearer {other}"}, "invalid_api_key"),
                ({"Authorization": f"Bearer {other}", "X-Api-Key": other}, "invalid_api_key"),
            ):
                answer = await ask(world, headers)
                assert answer.status == 401
                assert error_of(answer)["code"] == code
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_revoked_key_stops_working_and_its_running_stream_goes_on() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            client = Client(
                msgspec.json.encode(chat_fields(stream=True, simulate={"ttft": 1, "gap": 1}))
            )
            async with trio.open_nursery() as nursery:
                nursery.start_soon(world.run, client, CHAT)
                await trio.sleep(3)
                world.gateway.ring.replace(Snapshot())
                assert (await world.chat()).status == 401
            assert client.answer.finished
            await world.leak_check()

    in_virtual_time(scenario)


# Faults of the request

BODIES: dict[str, tuple[Any, str | None, str | None]] = {
    "nothing": (b"", None, "invalid_json"),
    "no JSON": (b"{nope", None, "invalid_json"),
    "no object": (b"[1]", None, "invalid_json"),
    "no UTF-8": (b'{"model": "\xff"}', None, "invalid_json"),
    "no model": (chat_fields(model=None), "model", None),
    "a model that is no string": (chat_fields(model=5), "model", "invalid_type"),
    "an empty model": (chat_fields(model=""), "model", None),
    "no messages": (chat_fields(messages=None), "messages", None),
    "empty messages": (chat_fields(messages=[]), "messages", None),
    "messages that are text": (chat_fields(messages="Hi"), "messages", "invalid_type"),
    "temperature in words": (chat_fields(temperature="hot"), "temperature", "invalid_type"),
    "half a choice": (chat_fields(n=1.5), "n", "invalid_type"),
    "stream in words": (chat_fields(stream="yes"), "stream", "invalid_type"),
    "options in a list": (
        chat_fields(stream=True, stream_options=[]),
        "stream_options",
        "invalid_type",
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_bad_body_is_a_400_that_names_the_field(name: str) -> None:
    content, param, code = BODIES[name]

    async def scenario() -> None:
        async with open_world() as world:
            body = content if isinstance(content, bytes) else msgspec.json.encode(content)
            answer = await world.run(Client(body), CHAT)
            error = error_of(answer)
            assert answer.status == 400
            assert (error["type"], error["param"], error["code"]) == (
                "invalid_request_error",
                param,
                code,
            )
            assert param is None or f"'{param}'" in error["message"]
            assert not world.simulator.requests
            (line,) = world.log_lines()
            assert (line["outcome"], line["status"]) == ("client_error", 400)
            await world.leak_check()

    in_virtual_time(scenario)


def test_an_unknown_model_is_a_404_with_the_nearest_ids() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            posted = await world.chat(model="openai/gpt-4o-minny")
            fetched = await world.get("/v1/models/openai/gpt-4o-minny")
            for answer in (posted, fetched):
                error = error_of(answer)
                assert answer.status == 404
                assert (error["param"], error["code"]) == ("model", "model_not_found")
                assert "'openai/gpt-4o-minny' does not exist" in error["message"]
                assert "'openai/gpt-4o-mini'" in error["message"]

    in_virtual_time(scenario)


class SlowClient(Client):
    """Waits before every part of its body."""

    def __init__(self, body: bytes, *, pieces: int, pause: float) -> None:
        super().__init__(body, pieces=pieces)
        self._pause = pause
        self.asked = 0

    async def receive(self) -> dict[str, Any]:
        self.asked += 1
        await trio.sleep(self._pause)
        return await super().receive()


def test_a_body_that_takes_too_long_is_a_408_after_a_last_chance() -> None:
    async def scenario() -> None:
        async with open_world(config=config(body_seconds=60.0)) as world:
            body = msgspec.json.encode(chat_fields())
            steady = SlowClient(body, pieces=5, pause=11.0)
            assert (await world.run(steady, CHAT)).status == 200
            start = trio.current_time()
            answer = await world.run(SlowClient(body, pieces=2, pause=math.inf), CHAT)
            assert answer.status == 408
            assert error_of(answer)["code"] == "request_timeout"
            assert answer.head_at - start == 60 + DRAIN_SECONDS
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_body_over_the_limit_is_a_413_once_the_client_has_sent_it() -> None:
    async def scenario() -> None:
        async with open_world(config=config(max_body_bytes=1000)) as world:
            fits = msgspec.json.encode(chat_fields(user="x" * 800))
            assert (await world.run(Client(fits, pieces=3), CHAT)).status == 200
            start = trio.current_time()
            client = SlowClient(b"x" * 2000, pieces=20, pause=0.1)
            answer = await world.run(client, CHAT)
            assert answer.status == 413
            assert error_of(answer)["code"] == "request_too_large"
            assert "1000 bytes" in error_of(answer)["message"]
            assert client.asked >= 20  # to its end
            assert answer.head_at - start == pytest.approx(2.0)
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_body_without_end_is_refused_in_bounded_time_and_size() -> None:
    async def scenario() -> None:
        async with open_world(config=config(max_body_bytes=1000)) as world:
            start = trio.current_time()
            slow = SlowClient(b"x" * 100_000, pieces=10_000, pause=0.01)
            assert (await world.run(slow, CHAT)).status == 413
            assert slow.answer.head_at - start == pytest.approx(1.0 + 0.01 + 4.0, abs=0.02)
            slower = SlowClient(b"x" * 3000, pieces=2, pause=100.0)
            start = trio.current_time()
            assert (await world.run(slower, CHAT)).status == 413
            assert slower.answer.head_at - start == 100 + DRAIN_SECONDS
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_refusal_before_the_body_is_read_waits_for_the_body() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            client = SlowClient(msgspec.json.encode(chat_fields()), pieces=4, pause=0.5)
            answer = await world.run(client, CHAT, headers={})
            assert answer.status == 401
            assert answer.head_at == pytest.approx(2.0)

    in_virtual_time(scenario)


# Paths


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_the_wrong_method_is_a_405_that_allows_the_right_one(method: str) -> None:
    async def scenario() -> None:
        async with open_world() as world:
            for path in KNOWN_PATHS:
                right = "POST" if path in {CHAT, "/v1/completions", "/v1/embeddings"} else "GET"
                if method != right:
                    await check_refused(world, method, path, right)

    async def check_refused(world: World, method: str, path: str, right: str) -> None:
        answer = await world.run(Client(b""), path, method=method)
        assert answer.status == 405
        error = error_of(answer)
        assert error["code"] == "method_not_allowed"
        assert path in error["message"]
        assert method in error["message"]
        allowed = {one.strip() for one in answer.headers["allow"].split(",")}
        assert right in allowed
        assert method not in allowed

    in_virtual_time(scenario)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_path_is_a_404_in_the_envelope(method: str) -> None:
    async def scenario() -> None:
        async with open_world() as world:
            for path in (
                "/",
                "/v1",
                "/v1/",
                "/v1/nope",
                "/v2/embeddings",
                "/V1/models",
                "/v1/chat",
            ):
                answer = await world.run(Client(b""), path, method=method)
                assert answer.status == 404, path
                error = error_of(answer)
                assert error["code"] == "unknown_url"
                assert f"{method} {path}" in error["message"]

    in_virtual_time(scenario)


def test_nothing_is_ever_redirected() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            for path in KNOWN_PATHS:
                for spelling in (
                    f"{path}/",
                    f"/{path}",
                    path.replace("/v1/", "/v1//"),
                    f"{path}//",
                ):
                    for method in ("GET", "POST"):
                        client = Client(msgspec.json.encode(chat_fields()))
                        answer = await world.run(client, spelling, method=method)
                        assert not 300 <= answer.status < 400, (method, spelling)
                        assert answer.status < 500, (method, spelling)
            await world.leak_check()

    in_virtual_time(scenario)


def test_control_routes_take_a_trailing_slash_and_miss_v1_as_users_do() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            for path in ("/v1/models", "/models", "/healthz", "/readyz", "/metrics"):
                for spelling in (path, f"{path}/"):
                    assert (await world.get(spelling)).status == 200, spelling

    in_virtual_time(scenario)
