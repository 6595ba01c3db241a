"""`GET /v1/models`: which models a key is shown, at which price, with what is known of them."""

from typing import Any

import msgspec
import pytest

from adapters.providers import KNOWN_PROVIDERS
from router.accounts.account import Account
from router.accounts.keys import ApiKey, hash_key
from router.accounts.snapshot import Snapshot
from router.accounts.tier import ModelPatterns, Tier
from router.config import Config, ModelConfig, MoneyConfig, ProviderConfig, RateTable
from tests.simulated.world import World, in_virtual_time, open_world

HAIKU = "anthropic/claude-haiku-4-5-20251001"
OPUS = "anthropic/claude-opus-4-7"
SEED_IDS = (HAIKU, OPUS, "anthropic/claude-sonnet-4-5-20250929", "text-embedding-3-small")
SECRET = "sk-syze-" + "a" * 32


def providers(*names: str) -> dict[str, ProviderConfig]:
    return {
        name: ProviderConfig(base_url="http://simulator/v1", discover=False)
        for name in names or KNOWN_PROVIDERS
    }


def admit(world: World, *models: str, prepaid: bool = False, budget: int | None = None) -> None:
    """Let `SECRET` be a key whose tier has these patterns, beside a tier that has all models."""
    tiers = [Tier("small", ModelPatterns(models)), Tier("large")]
    account = Account(id="acc_x", name="x", tier="small", prepaid=prepaid)
    key = ApiKey(
        id="key_x",
        name="x",
        hint="x",
        digest=hash_key(SECRET),
        created_at=0.0,
        account_id="acc_x",
        budget_nanodollars=budget,
    )
    world.gateway.ring.replace(Snapshot(keys=[key], accounts=[account], tiers=tiers))
    world.secret = SECRET


async def listed(world: World) -> dict[str, dict[str, Any]]:
    """The models by their ids, in the order of the list."""
    answer = await world.get("/v1/models")
    assert answer.status == 200, answer.body
    models = answer.json()["data"]
    found = {model["id"]: model for model in models}
    assert len(found) == len(models)
    assert list(found) == sorted(found)
    return found


def test_with_all_providers_there_are_over_300_models_the_documented_ones_among_them() -> None:
    async def scenario() -> None:
        async with open_world(config=Config(providers=providers())) as world:
            models = await listed(world)
            assert len(models) > 1000
            for id_ in SEED_IDS:
                assert float(models[id_]["pricing"]["prompt"]) > 0
            priced = [model for model in models.values() if "pricing" in model]
            assert len(priced) > 0.9 * len(models)

    in_virtual_time(scenario)


def test_a_model_is_told_as_openrouters_clients_expect() -> None:
    async def scenario() -> None:
        money = MoneyConfig(markup=1.5, prices={HAIKU: RateTable(output=4.0)})
        config = Config(providers=providers("anthropic"), money=money)
        async with open_world(config=config) as world:
            models = await listed(world)
            told = models[HAIKU]
            assert told.pop("created") > 1_700_000_000
            assert told == {
                "id": HAIKU,
                "object": "model",
                "owned_by": "anthropic",
                "name": HAIKU,
                "context_length": 200_000,
                "pricing": {
                    "prompt": "0.0000015",
                    "completion": "0.000006",
                    "input_cache_read": "0.00000015",
                    "input_cache_write": "0.000001875",
                    "internal_reasoning": "0.000006",
                },
                "architecture": {
                    "modality": "text+image+file->text",
                    "input_modalities": ["text", "image", "file"],
                    "output_modalities": ["text"],
                },
                "top_provider": {"context_length": 200_000, "max_completion_tokens": 64_000},
                "supported_parameters": told["supported_parameters"],
            }
            offered = set(told["supported_parameters"])
            assert offered >= {"max_tokens", "tools", "tool_choice", "structured_outputs"}
            assert models["anthropic/claude-sonnet-4-5-20250929"]["expiration_date"] == "2026-11-30"

    in_virtual_time(scenario)


def test_an_embedding_model_has_its_own_architecture_and_a_bare_name() -> None:
    async def scenario() -> None:
        async with open_world(config=Config(providers=providers("openai"))) as world:
            models = await listed(world)
            bare = models["text-embedding-3-small"]
            assert bare["architecture"]["output_modalities"] == ["embeddings"]
            assert (bare["pricing"]["prompt"], bare["pricing"]["completion"]) == ("0.00000002", "0")
            full = models["openai/text-embedding-3-small"]
            assert full == bare | {"id": full["id"], "name": full["id"]}

    in_virtual_time(scenario)


def test_a_key_is_shown_the_models_of_its_tier_only() -> None:
    async def scenario() -> None:
        async with open_world(config=Config(providers=providers())) as world:
            admit(world, "anthropic/*", "openai/gpt-4o")
            models = await listed(world)
            assert HAIKU in models
            assert {id_ for id_ in models if not id_.startswith("anthropic/")} == {
                "gpt-4o",
                "openai/gpt-4o",
            }
            answer = await world.get("/v1/models/openai/gpt-4o-mini")
            error = answer.json()["error"]
            assert (answer.status, error["code"]) == (403, "model_not_allowed")
            assert "'small'" in error["message"]
            assert "'large'" in error["message"]
            assert (await world.get("/v1/models/gpt-4o-mini")).status == 403
            answer = await world.get("/v1/models/anthropic/cluade-opus-4-7")
            assert answer.status == 404
            assert OPUS in answer.json()["error"]["message"]

    in_virtual_time(scenario)


@pytest.mark.parametrize(
    ("prepaid", "budget", "shown"), [(False, None, True), (True, None, False), (False, 5, False)]
)
def test_what_has_no_price_is_shown_to_those_only_who_do_not_pay_in_advance(
    prepaid: bool, budget: int | None, shown: bool
) -> None:
    async def scenario() -> None:
        mine = ProviderConfig(base_url="http://simulator/v1", discover=False, models=["a", "b"])
        prices = {"mine/a": RateTable(input=0.0, output=0.0)}
        config = Config(
            providers={"mine": mine},
            money=MoneyConfig(prices=prices),
            models={"b-or-a": ModelConfig(target="mine/b", fallbacks=["mine/a"])},
        )
        async with open_world(config=config) as world:
            admit(world, "*", prepaid=prepaid, budget=budget)
            models = await listed(world)
            assert models["mine/a"]["pricing"]["prompt"] == "0"
            assert ("mine/b" in models) is shown
            assert models["b-or-a"]["pricing"]["prompt"] == "0"
            if shown:
                assert set(models["mine/b"]) == {"id", "object", "created", "owned_by", "name"}

    in_virtual_time(scenario)


def test_the_dearest_of_equal_providers_is_told() -> None:
    async def scenario() -> None:
        prices = {
            "one/m": RateTable(input=1.0, output=9.0),
            "two/m": RateTable(input=3.0, output=2.0),
        }
        shared: Any = [msgspec.convert({"upstream": "m", "id": "m"}, type=dict)]
        config = msgspec.convert(
            {
                "providers": {
                    name: {"base_url": "http://simulator/v1", "models": shared, "discover": False}
                    for name in ("one", "two")
                }
            },
            Config,
        )
        config = msgspec.structs.replace(config, money=MoneyConfig(prices=prices))
        async with open_world(config=config) as world:
            pricing = (await listed(world))["m"]["pricing"]
            assert (pricing["prompt"], pricing["completion"]) == ("0.000003", "0.000009")

    in_virtual_time(scenario)


def test_what_a_provider_is_found_to_have_is_shown_at_once() -> None:
    async def scenario() -> None:
        mine = ProviderConfig(base_url="http://simulator/v1", discover=True)
        async with open_world(config=Config(providers={"mine": mine})) as world:
            assert await listed(world) == {}
            [wire] = world.gateway.catalog.discoverable()
            world.gateway.catalog.learn(wire, ["new"])
            assert list(await listed(world)) == ["mine/new"]

    in_virtual_time(scenario)
