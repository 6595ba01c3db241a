"""What goes with every answer (request id, CORS), and the control routes: models, health, metrics."""

from typing import Any
from urllib.parse import quote

import pytest

from router.config import Config, MetricsConfig, ProviderConfig, ServerConfig
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


def config(*, metrics: bool = True, **server: Any) -> Config:
    return Config(
        server=ServerConfig(**server),
        providers={"openai": ProviderConfig(base_url="http://simulator/v1", discover=False)},
        metrics=MetricsConfig(enabled=metrics),
    )


# Headers of every answer


async def some_of_everything(world: World, origin: str | None) -> list[ClientAnswer]:
    """One answer of each kind, asked for from a page of this origin."""
    extra = {"origin": origin} if origin is not None else {}
    authorised = {"authorization": f"Bearer {world.secret}", **extra}
    answers = [
        await world.post(CHAT, fields, headers=headers)
        for fields, headers in (
            (chat_fields(), authorised),
            (chat_fields(stream=True), authorised),
            (chat_fields(simulate={"status": 500}), authorised),
            (chat_fields(simulate={"cut_after": 3}, stream=True), authorised),
            (chat_fields(model="nope"), authorised),
            (chat_fields(), extra),
        )
    ]
    for path in [*KNOWN_PATHS, "/nope"]:
        answers += [
            await world.run(Client(b""), path, method=method, headers=authorised)
            for method in ("GET", "OPTIONS", "HEAD", "DELETE")
        ]
    return answers


def test_every_answer_has_a_request_id_of_its_own() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            answers = await some_of_everything(world, None)
            ids = [answer.headers["x-request-id"] for answer in answers]
            assert len(set(ids)) == len(ids)
            assert {answer.status for answer in answers} >= {200, 204, 401, 404, 405, 503}
            logged = [line["request_id"] for line in world.log_lines()]
            assert logged == ids[: len(logged)]

    in_virtual_time(scenario)


@pytest.mark.parametrize(
    ("allowed", "origin", "seen"),
    [
        (["*"], "https://app.example", "*"),
        (["https://app.example"], "https://app.example", "https://app.example"),
        (["https://app.example"], "https://other.example", None),
        ([], "https://app.example", None),
        (["*"], None, None),
    ],
)
def test_cors_holds_for_every_answer_errors_included(
    allowed: list[str], origin: str | None, seen: str | None
) -> None:
    async def scenario() -> None:
        async with open_world(config=config(cors_origins=allowed)) as world:
            for answer in await some_of_everything(world, origin):
                assert answer.headers.get("access-control-allow-origin") == seen
                assert ("vary" in answer.headers) == (allowed != ["*"])

    in_virtual_time(scenario)


def test_a_preflight_needs_no_key_and_is_allowed_what_it_asks_for() -> None:
    asked = {
        "origin": "https://app.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,x-stainless-os",
    }

    async def scenario() -> None:
        async with open_world() as world:
            for path in (*KNOWN_PATHS, "/models", "/chat/completions"):
                answer = await world.run(Client(b""), path, method="OPTIONS", headers=asked)
                assert (answer.status, answer.body) == (204, b""), path
                allowed = {
                    name.removeprefix("access-control-allow-"): value
                    for name, value in answer.headers.items()
                }
                assert allowed["origin"] == "*"
                assert allowed["headers"] == "authorization,x-stainless-os"
                assert allowed["methods"] == "GET, POST, OPTIONS"

    in_virtual_time(scenario)


# Models, health, metrics


def test_models_are_listed_and_each_can_be_retrieved() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            listed = (await world.get("/v1/models")).json()
            assert listed["object"] == "list"
            assert MODEL in {model["id"] for model in listed["data"]}
            for model in listed["data"]:
                assert (model["object"], model["owned_by"]) == ("model", "openai")
                assert isinstance(model["created"], int)
                for spelling in (model["id"], quote(model["id"], safe="")):
                    answer = await world.get(f"/v1/models/{spelling}")
                    assert answer.json() == model, spelling

    in_virtual_time(scenario)


def test_a_model_can_be_retrieved_by_its_bare_name_and_by_an_odd_one() -> None:
    odd = "vendor/a b/ü%2F?:x"

    async def scenario() -> None:
        provider = ProviderConfig(base_url="http://simulator/v1", discover=False, models=["m", odd])
        async with open_world(config=Config(providers={"mine": provider})) as world:
            assert (await world.get("/v1/models/m")).json()["id"] == "mine/m"
            answer = await world.get("/v1/models/" + quote(f"mine/{odd}", safe=""))
            assert answer.json()["id"] == f"mine/{odd}"
            assert (await world.get("/v1/models/" + quote("né", safe=""))).status == 404

    in_virtual_time(scenario)


def test_healthz_and_readyz_need_no_key_and_readyz_turns_when_the_gateway_stops() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            for path in ("/healthz", "/readyz"):
                assert (await world.get(path, headers={})).status == 200
            world.gateway.stop_being_ready()
            ready = await world.get("/readyz", headers={})
            assert (ready.status, ready.json()) == (503, {"status": "stopping"})
            assert (await world.get("/healthz", headers={})).json() == {"status": "ok"}
            assert (await world.chat()).status == 200

    in_virtual_time(scenario)


def test_metrics_are_served_as_text_unless_switched_off() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            await world.chat()
            answer = await world.get("/metrics", headers={})
            assert answer.status == 200
            assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
            assert b'syze_requests_total{endpoint="chat"' in answer.body
        async with open_world(config=config(metrics=False)) as world:
            answer = await world.get("/metrics", headers={})
            assert answer.status == 404
            assert answer.json()["error"]["code"] == "unknown_url"

    in_virtual_time(scenario)
