"""Images by URL at a provider that takes bytes only, through the whole gateway in virtual time."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from router.config import Config, ModelConfig, RaceConfig, Secret, TimeoutConfig
from router.simulator import expected_text
from tests.simulated.dialect_world import CHAT, MODELS, plan, provider, received
from tests.simulated.file_hosts import PNG, PUBLIC, FileHosts, after, answer, moved
from tests.simulated.scripted_upstream import Peer, Script, answering
from tests.simulated.world import Client, ClientAnswer, World, in_virtual_time, open_world
from tests.unit.test_fetching_urls import HOSTILE

OLD = "gemini-2.0-flash"  # opens no addresses but Google's own
DIALECT_OF = {"old": "gemini", "anthropic": "anthropic", "openai": "openai"}
URL = "https://images.test/cat.png"
DATA = base64.b64encode(PNG).decode()
MESSAGES, RESPONSES = "/v1/messages", "/v1/responses"
PLACES = {
    CHAT: "messages[0].content[{}].image_url.url",
    MESSAGES: "messages[0].content[{}].source.url",
    RESPONSES: "input[0].content[{}].image_url",
}
HOSTILE_HOSTS = [
    "http://169.254.169.254/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:a9fe:a9fe::]/",
    "http://[fd00:ec2::254]/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://192.168.0.1/",
    "http://10.0.0.1/",
    "http://0.0.0.0/",
    "http://[::1]/",
    "http://[::]/",
    "https://inside.test/",
    "https://inside6.test/",
    "https://mixed.test/",
    "https://leads-inside.test/",
    "https://leads-to-a-number.test/",
    "https://rebinds.test/",
]


def fetching_config(*tiers: str, total: float = 600, keys: int = 1, **race: Any) -> Config:
    """The id `m` at the providers named, each a fallback of the one before, and each with so many keys."""
    limits = TimeoutConfig(connect=5, first_byte=30, idle=20, total=total)
    models = {name: OLD if name == "old" else MODELS[name] for name in tiers}
    first, *others = (f"{name}/{model}" for name, model in models.items())
    return Config(
        providers={
            name: msgspec.structs.replace(
                provider(DIALECT_OF[name]),
                keys=[Secret(f"a-further-key-{number}") for number in range(1, keys)],
                models=[model],
                timeouts=limits,
            )
            for name, model in models.items()
        },
        models={"m": ModelConfig(target=first, fallbacks=others)},
        race=RaceConfig(**race),
    )


@asynccontextmanager
async def fetching_world(
    *tiers: str, limits: dict[str, Any] | None = None, **config: Any
) -> AsyncIterator[tuple[World, FileHosts]]:
    async with trio.open_nursery() as nursery:
        hosts = FileHosts(nursery, **(limits or {}))
        async with open_world(
            config=fetching_config(*(tiers or ("old",)), **config),
            hosts=[DIALECT_OF[name] for name in tiers or ("old",)],
            fetcher=hosts.fetcher,
        ) as world:
            yield world, hosts
            await world.leak_check()
            assert hosts.open_connections == 0
        nursery.cancel_scope.cancel()


def asking(face: str, *urls: str, **fields: Any) -> dict[str, Any]:
    """A request about images, in the words of a face."""
    if face == RESPONSES:
        shown: list[dict[str, Any]] = [{"type": "input_image", "image_url": url} for url in urls]
        asked: dict[str, Any] = {"type": "input_text", "text": "What is this?"}
        return {"model": "m", "input": [{"role": "user", "content": [asked, *shown]}], **fields}
    asked = {"type": "text", "text": "What is this?"}
    if face == MESSAGES:
        shown = [{"type": "image", "source": {"type": "url", "url": url}} for url in urls]
        fields = {"max_tokens": 500, **fields}
    else:
        shown = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"model": "m", "messages": [{"role": "user", "content": [asked, *shown]}], **fields}


async def ask(world: World, *urls: str, face: str = CHAT, **fields: Any) -> ClientAnswer:
    return await world.post(face, asking(face, *urls, **fields))


def error_of(answer: ClientAnswer) -> dict[str, Any]:
    assert answer.status == 400, answer.body
    error: dict[str, Any] = answer.json()["error"]
    return error


def inline_images(world: World, host: str = "gemini") -> list[str]:
    """The bytes that the last request at a provider held, in base64."""
    parts = world.simulators[host].requests[-1].json()["contents"][-1]["parts"]
    return [part["inlineData"]["data"] for part in parts if "inlineData" in part]


# --- what is fetched ----------------------------------------------------------------------------------


@pytest.mark.parametrize("face", PLACES)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_image_by_url_reaches_a_provider_that_takes_bytes(face: str, stream: bool) -> None:
    async def scenario() -> None:
        async with fetching_world() as (world, hosts):
            hosts.host("images.test", answer())
            answered = await ask(world, URL, face=face, stream=stream)
            assert answered.status == 200, answered.body
            assert answered.finished
            assert inline_images(world) == [DATA]
            assert URL.encode() not in world.simulators["gemini"].requests[-1].body
            assert hosts.dialled[0][0] == PUBLIC

    in_virtual_time(scenario)


def test_a_redirect_is_followed_and_an_image_shown_twice_is_fetched_once() -> None:
    async def scenario() -> None:
        async with fetching_world() as (world, hosts):
            hosts.host("images.test", moved("https://cdn.test/1"), answer())
            hosts.host("cdn.test", answer())
            answered = await ask(world, URL, URL)
            assert answered.status == 200, answered.body
            assert inline_images(world) == [DATA, DATA]
            assert [origin.host for _, origin in hosts.dialled] == ["images.test", "cdn.test"]

    in_virtual_time(scenario)


def test_many_images_are_fetched_side_by_side() -> None:
    async def scenario() -> None:
        async with fetching_world() as (world, hosts):
            hosts.host("images.test", after(2, answer()))
            answered = await ask(world, *(f"https://images.test/{n}" for n in range(8)))
            assert len(inline_images(world)) == 8
            assert (answered.head_at, hosts.most_at_a_time) == (2, 8)

    in_virtual_time(scenario)


def test_nothing_is_fetched_for_a_provider_that_opens_urls() -> None:
    async def scenario() -> None:
        async with fetching_world("anthropic", "old") as (world, hosts):
            answered = await ask(world, URL)
            assert answered.headers["x-syze-provider"] == "anthropic"
            assert URL.encode() in world.simulators["anthropic"].requests[-1].body
            assert (hosts.lookups, hosts.dialled) == ([], [])

    in_virtual_time(scenario)


def test_a_failed_provider_that_opens_urls_is_followed_by_one_that_takes_bytes() -> None:
    async def scenario() -> None:
        async with fetching_world("anthropic", "old") as (world, hosts):
            hosts.host("images.test", answer())
            plan(world, "anthropic", 2, status=503)
            answered = await ask(world, URL)
            assert answered.headers["x-syze-provider"] == "old"
            assert inline_images(world) == [DATA]
            assert len(hosts.dialled) == 1

    in_virtual_time(scenario)


def test_attempts_share_what_one_of_them_has_fetched() -> None:
    async def scenario() -> None:
        async with fetching_world() as (world, hosts):
            hosts.host("images.test", answer())
            plan(world, "gemini", status=503)
            answered = await ask(world, URL)
            assert answered.headers["x-syze-attempts"] == "2"
            assert received(world, "gemini") == 2
            assert inline_images(world) == [DATA]
            assert len(hosts.dialled) == 1

    in_virtual_time(scenario)


# --- what is not -------------------------------------------------------------------------------------


SPOILED: dict[str, tuple[bytes | Script, str]] = {
    "missing": (answer(status=404), "status 404"),
    "too large": (answer(PNG + b"." * 1000), "longer than 1000 bytes"),
    "too slow": (after(6, answer()), "in time"),
    "a page": (answer(b"<html>", "text/html"), "something else"),
    "a lie": (answer(b"<html>", "image/png"), "none of PNG"),
    "to a metadata service": (moved("http://169.254.169.254/latest/"), "https to http"),
    "to another machine": (moved("https://10.0.0.1/"), "public address"),
    "in circles": (moved("/"), "3 times"),
}


@pytest.mark.parametrize("face", PLACES)
@pytest.mark.parametrize("case", SPOILED)
def test_what_cannot_be_fetched_is_a_400_that_says_where_and_why(case: str, face: str) -> None:
    async def scenario() -> None:
        async with fetching_world(limits={"max_bytes": 1000, "seconds": 5}) as (world, hosts):
            said, why = SPOILED[case]
            hosts.host("images.test", said)
            answered = await ask(world, URL, face=face)
            error = error_of(answered)
            place = PLACES[face].format(1)
            assert place in error["message"]
            assert why in error["message"]
            assert "cat.png" not in error["message"]
            if face != MESSAGES:
                assert (error["code"], error["param"]) == ("file_not_fetched", place)
            assert received(world, "gemini") == 0
            [(_, bill, _)] = world.gateway.bills
            assert bill.customer is None
            assert trio.current_time() <= 5

    in_virtual_time(scenario)


def test_the_image_at_fault_is_named_and_the_others_are_given_up() -> None:
    async def scenario() -> None:
        async with fetching_world() as (world, hosts):
            hosts.host("images.test", after(8, answer()))
            hosts.host("gone.test", after(1, answer(status=410)))
            answered = await ask(world, URL, "https://gone.test/")
            assert error_of(answered)["param"] == PLACES[CHAT].format(2)
            assert trio.current_time() == 1

    in_virtual_time(scenario)


def test_what_cannot_be_fetched_is_left_to_a_provider_that_opens_it() -> None:
    async def scenario() -> None:
        async with fetching_world("old", "anthropic") as (world, hosts):
            hosts.host("images.test", answer(status=403))
            answered = await ask(world, URL)
            assert answered.headers["x-syze-provider"] == "anthropic"
            assert received(world, "gemini") == 0
            assert len(hosts.dialled) == 1

    in_virtual_time(scenario)


def test_an_attempt_that_runs_is_not_ended_by_an_image_that_another_cannot_have() -> None:
    async def scenario() -> None:
        async with fetching_world("anthropic", "old", slow_first_token=2) as (world, hosts):
            hosts.host("images.test", answer(status=403))
            plan(world, "anthropic", ttft=5.0)
            answered = await ask(world, URL)
            assert answered.headers["x-syze-provider"] == "anthropic"
            assert answered.head_at == pytest.approx(5)
            assert len(hosts.dialled) == 1
            assert received(world, "anthropic") == 1

    in_virtual_time(scenario)


def test_where_nothing_is_fetched_the_client_is_told_to_send_bytes() -> None:
    async def scenario() -> None:
        async with open_world(config=fetching_config("old"), hosts=("gemini",)) as world:
            error = error_of(await ask(world, URL))
            assert error["code"] == "file_not_fetched"
            assert "nothing is fetched" in error["message"]

    in_virtual_time(scenario)


# --- time ---------------------------------------------------------------------------------------------


def test_a_slow_image_is_not_held_against_the_provider() -> None:
    async def scenario() -> None:
        async with fetching_world("old", keys=2) as (world, hosts):
            hosts.host("images.test", after(8, answer()))
            for _ in range(100):  # enough for a hedge delay to be known
                await ask(world)
            asked = received(world, "gemini")
            answered = await ask(world, URL)
            assert answered.headers["x-syze-attempts"] == "1"
            assert received(world, "gemini") == asked + 1
            route = world.gateway.catalog.resolve("m")
            assert route is not None
            for candidate in route.candidates:
                timing = world.gateway.live.of(candidate).picture.timing["whole"]
                assert timing.delay.after(trio.current_time()) is not None
                assert timing.expected.read(trio.current_time()) < 1
            plan(world, "gemini", ttft=5.0)  # but it is late from then on, as ever
            hosts.host("images.test", after(3, answer()))
            start = trio.current_time()
            answered = await ask(world, URL)
            assert answered.headers["x-syze-hedged"] == "true"
            assert 3 <= trio.current_time() - start < 4

    in_virtual_time(scenario)


def test_the_next_tier_is_asked_beside_an_image_that_takes_too_long() -> None:
    async def scenario() -> None:
        async with fetching_world("old", "anthropic", slow_first_token=2) as (world, hosts):
            hosts.host("images.test", after(9, answer()))
            answered = await ask(world, URL)
            assert answered.headers["x-syze-provider"] == "anthropic"
            assert trio.current_time() == 2
            assert received(world, "gemini") == 0

    in_virtual_time(scenario)


def test_fetching_takes_of_the_time_of_the_call() -> None:
    async def scenario() -> None:
        async with fetching_world(total=4) as (world, hosts):
            hosts.host("images.test", after(9, answer()))
            answered = await ask(world, URL)
            assert answered.status == 503
            assert answered.json()["error"]["code"] == "upstream_timeout"
            assert trio.current_time() == 4

    in_virtual_time(scenario)


def test_a_client_that_leaves_ends_the_fetching() -> None:
    async def scenario() -> None:
        async with fetching_world() as (world, hosts):
            hosts.host("images.test", after(9, answer()))
            client = Client(msgspec.json.encode(asking(CHAT, URL)))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(world.run, client, CHAT)
                await trio.sleep(1)
                assert hosts.open_connections == 1
                client.leave()
                await trio.testing.wait_all_tasks_blocked()
                assert hosts.open_connections == 0
            assert trio.current_time() == 1
            assert received(world, "gemini") == 0

    in_virtual_time(scenario)


# --- hostile URLs -------------------------------------------------------------------------------------


async def knock(peer: Peer) -> None:
    """Whoever lives inside would answer anybody."""
    await answering(answer())(peer)


@pytest.mark.parametrize("face", PLACES)
def test_a_hostile_url_is_a_400_and_nothing_inside_is_connected_to(face: str) -> None:
    async def scenario() -> None:
        async with fetching_world() as (world, hosts):
            inside = {"inside.test": "10.0.0.7", "inside6.test": "::ffff:169.254.169.254"}
            for name, address in inside.items():
                hosts.host(name, knock, at=[[address]])
            hosts.host("mixed.test", knock, at=[[PUBLIC, "127.0.0.1"]])
            hosts.host("leads-inside.test", moved("https://inside.test/"))
            hosts.host("leads-to-a-number.test", moved("https://2852039166/"))
            hosts.host("rebinds.test", moved("/again"), at=[[PUBLIC], ["169.254.169.254"]])
            urls = [*HOSTILE_HOSTS, *(url for url in HOSTILE if not url.startswith("data:"))]
            assert len(urls) > 80
            for url in urls:
                hosts.dialled.clear()
                answered = await ask(world, url, face=face)
                assert answered.status == 400, url
                assert "s3cret" not in answered.json()["error"]["message"]
                # What leads inside lives outside itself, and only that was asked.
                assert {address for address, _ in hosts.dialled} <= {PUBLIC}, url
                assert bool(hosts.dialled) == ("://leads-" in url or "://rebinds" in url), url
            assert received(world, "gemini") == 0
            assert set(world.dials) <= {"gemini"}

    in_virtual_time(scenario)


def test_a_host_that_the_operator_named_may_be_a_private_one() -> None:
    async def scenario() -> None:
        private = {"private": {"store.internal:9000", "10.0.0.7"}}
        async with fetching_world(limits=private) as (world, hosts):
            hosts.host("store.internal", answer(), at=[["10.1.1.1"]])
            hosts.host("10.0.0.7", answer())
            for url in ("http://store.internal:9000/a", "http://10.0.0.7/"):
                assert (await ask(world, url)).status == 200
            dialled = len(hosts.dialled)
            for url in (
                "http://store.internal/",
                "http://store.internal:9001/",
                "http://10.0.0.7:9000/",
                "http://10.0.0.8/",
            ):
                assert error_of(await ask(world, url))["code"] == "file_not_fetched"
            assert len(hosts.dialled) == dialled

    in_virtual_time(scenario)


def test_a_text_answer_is_what_it_was_without_images() -> None:
    async def scenario() -> None:
        async with fetching_world() as (world, hosts):
            answered = await world.chat(model="m")
            wanted = expected_text(
                {"model": OLD, "messages": [{"role": "user", "content": "Hello"}]}
            )
            assert answered.json()["choices"][0]["message"]["content"] == wanted
            assert hosts.lookups == []

    in_virtual_time(scenario)
