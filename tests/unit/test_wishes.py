"""What a request may wish of its route: read from its fields, and carried out."""

from typing import Any

import msgspec
import pytest

from adapters.dialect import BadCall
from router.catalog.catalog import Catalog
from router.catalog.routes import Route
from router.catalog.wishes import MOST_MODELS, NO_WISH, WISH_FIELDS, Wish, read_wish
from router.config import Config, ModelConfig, ModelEntry, ProviderConfig, Secret

SHARED = ModelEntry(upstream="u", id="shared")


def catalog() -> Catalog:
    """`shared` at three providers, one with two keys; fallbacks at the first and last of them."""
    keys = {"East": [Secret("1"), Secret("2")]}
    providers = {
        name: ProviderConfig(
            base_url=f"http://{name}/v1", models=[SHARED, "own"], keys=keys.get(name, [])
        )
        for name in ("East", "west", "north")
    }
    entry = ModelConfig(fallbacks=["East/own", "north/own"], larger_context=["west/own"])
    return Catalog(Config(providers=providers, models={"shared": entry}), ())


def fields(**values: Any) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in values.items()}


def wished(model: str = "shared", **values: Any) -> Route:
    found = catalog()
    route = found.resolve(model)
    assert route is not None
    return read_wish(fields(**values)).apply(found, route)


def tiers(route: Route) -> list[str]:
    """Each tier as one line of `provider:model`, the keys of a pool as one."""
    lines = [[f"{one.provider}:{one.upstream_model}" for one in tier] for tier in route.tiers]
    return [" ".join(dict.fromkeys(line)) for line in lines]


# Reading.


def test_a_request_without_wishes_has_none() -> None:
    assert read_wish(fields(model="x", messages=[])) == NO_WISH
    assert read_wish(fields(models=None, provider=None, route=None)) == NO_WISH
    assert read_wish(fields(models=[], provider={}, route="fallback")) == NO_WISH


def test_every_wish_is_read() -> None:
    preferences = {
        "order": ["B", "a", "b"],
        "only": ["A", "b"],
        "ignore": ["C"],
        "allow_fallbacks": False,
        "sort": "price",
    }
    assert read_wish(fields(models=["x", "y"], provider=preferences)) == Wish(
        models=("x", "y"),
        order=("b", "a"),
        only=frozenset({"a", "b"}),
        ignore=frozenset({"c"}),
        allow_fallbacks=False,
        sort="price",
    )


@pytest.mark.parametrize("name", ["order", "only", "ignore", "allow_fallbacks", "sort"])
def test_a_preference_that_is_null_counts_as_absent(name: str) -> None:
    assert read_wish(fields(provider={name: None})) == NO_WISH


@pytest.mark.parametrize(
    ("written", "sort"),
    [
        ("price", "price"),
        ("latency", "latency"),
        ("throughput", "throughput"),
        ({"by": "latency", "partition": "none"}, "latency"),
        ({"partition": "model"}, None),
    ],
)
def test_what_counts_among_equals_has_a_short_and_a_long_form(
    written: object, sort: str | None
) -> None:
    assert read_wish(fields(provider={"sort": written})).sort == sort


def test_preferences_that_are_not_known_are_ignored() -> None:
    assert read_wish(fields(provider={"quantizations": ["fp8"], "zdr": True})) == NO_WISH


@pytest.mark.parametrize(
    ("written", "param"),
    [
        ({"models": "x"}, "models"),
        ({"models": [1]}, "models"),
        ({"models": ["x"] * (MOST_MODELS + 1)}, "models"),
        ({"provider": ["x"]}, "provider"),
        ({"provider": {"order": "x"}}, "provider.order"),
        ({"provider": {"only": [None]}}, "provider.only"),
        ({"provider": {"ignore": {}}}, "provider.ignore"),
        ({"provider": {"allow_fallbacks": "no"}}, "provider.allow_fallbacks"),
        ({"provider": {"sort": "cheapest"}}, "provider.sort"),
        ({"provider": {"sort": {"by": 1}}}, "provider.sort"),
    ],
)
def test_a_wish_that_cannot_be_read_is_refused_with_its_name(
    written: dict[str, Any], param: str
) -> None:
    with pytest.raises(BadCall) as caught:
        read_wish(fields(**written))
    assert caught.value.param == param


def test_a_deep_nest_is_refused_like_any_other_nonsense() -> None:
    deep = msgspec.Raw(b"[" * 100_000 + b"]" * 100_000)
    with pytest.raises(BadCall) as caught:
        read_wish({"provider": deep})
    assert caught.value.param == "provider"


def test_every_field_that_is_read_is_kept_from_the_providers() -> None:
    assert set(WISH_FIELDS) == {"models", "provider", "route"}


# Models.


def test_without_wishes_the_route_stays_the_same_object() -> None:
    found = catalog()
    route = found.resolve("shared")
    assert route is not None
    assert NO_WISH.apply(found, route) is route
    assert tiers(route) == ["East:u west:u north:u", "East:own", "north:own"]


def test_models_come_after_the_asked_one_and_before_the_operators_fallbacks() -> None:
    assert tiers(wished(models=["west/own", "north/own"])) == [
        "East:u west:u north:u",
        "west:own",
        "north:own",
        "East:own",
    ]


def test_the_asked_model_is_not_listed_twice() -> None:
    assert tiers(wished(models=["shared", "west/own"])) == [
        "East:u west:u north:u",
        "west:own",
        "East:own",
        "north:own",
    ]


def test_a_model_of_the_list_brings_no_fallbacks_of_its_own() -> None:
    assert tiers(wished("west/own", models=["shared"])) == ["west:own", "East:u west:u north:u"]


def test_a_model_of_the_list_that_does_not_exist_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadCall, match=r"'wst/own'.*'west/own'") as caught:
        wished(models=["north/own", "wst/own"])
    assert (caught.value.param, caught.value.code) == ("models", "model_not_found")


def test_a_refusal_repeats_only_the_beginning_of_a_long_name() -> None:
    with pytest.raises(BadCall) as caught:
        wished(models=["x" * 10_000])
    assert len(caught.value.message) < 300


# Providers.


def test_listed_providers_are_asked_first_each_in_its_turn() -> None:
    assert tiers(wished(provider={"order": ["north", "elsewhere", "west"]})) == [
        "north:u",
        "west:u",
        "East:u",
        "East:own",
        "north:own",
    ]


def test_the_order_holds_within_each_model_and_not_across_them() -> None:
    route = wished("East/own", models=["shared"], provider={"order": ["north"]})
    assert tiers(route) == ["East:own", "north:u", "East:u west:u"]


def test_the_names_of_providers_have_no_case() -> None:
    assert tiers(wished(provider={"only": ["EAST"]})) == ["East:u", "East:own"]


def test_all_keys_of_a_listed_provider_share_its_tier() -> None:
    (first, *_) = wished(provider={"order": ["east"]}).tiers
    assert [one.key for one in first] == [Secret("1"), Secret("2")]


def test_a_filter_holds_for_fallbacks_and_larger_contexts_too() -> None:
    route = wished(provider={"ignore": ["west", "north"]})
    assert tiers(route) == ["East:u", "East:own"]
    assert route.larger_context == ()
    kept = wished(provider={"only": ["west"]})
    assert tiers(kept) == ["west:u"]
    assert [one.provider for one in kept.larger_context] == ["west"]


def test_what_is_both_allowed_and_ignored_is_ignored() -> None:
    assert tiers(wished(provider={"only": ["west", "north"], "ignore": ["north"]})) == ["west:u"]


def test_a_fallback_serves_where_a_filter_leaves_nothing_of_the_asked_model() -> None:
    assert tiers(wished("East/own", models=["shared"], provider={"only": ["west"]})) == ["west:u"]


@pytest.mark.parametrize(
    "preferences",
    [
        {"only": ["elsewhere"]},
        {"ignore": ["east", "west", "north"]},
        {"order": ["elsewhere"], "allow_fallbacks": False},
    ],
)
def test_a_wish_that_leaves_nobody_is_refused(preferences: dict[str, Any]) -> None:
    with pytest.raises(BadCall, match="'shared'") as caught:
        wished(provider=preferences)
    assert (caught.value.param, caught.value.code) == ("provider", "no_allowed_provider")


# Without fallbacks.


def test_without_fallbacks_only_the_asked_model_is_left() -> None:
    route = wished(provider={"allow_fallbacks": False})
    assert tiers(route) == ["East:u west:u north:u"]
    assert route.larger_context == ()


def test_without_fallbacks_listed_providers_are_all_there_are() -> None:
    preferences = {"order": ["north", "west"], "allow_fallbacks": False}
    assert tiers(wished(provider=preferences)) == ["north:u", "west:u"]


def test_models_that_the_client_lists_are_no_fallbacks_of_the_operator() -> None:
    route = wished(models=["west/own"], provider={"allow_fallbacks": False})
    assert tiers(route) == ["East:u west:u north:u", "west:own"]


@pytest.mark.parametrize(
    ("preferences", "only_first"),
    [
        ({}, False),
        ({"allow_fallbacks": True}, False),
        ({"allow_fallbacks": False}, True),
        ({"allow_fallbacks": False, "only": ["west"]}, True),
        ({"allow_fallbacks": False, "order": ["west"]}, False),
    ],
)
def test_one_provider_alone_is_asked_where_none_is_listed_and_none_may_stand_in(
    preferences: dict[str, Any], only_first: bool
) -> None:
    assert read_wish(fields(provider=preferences)).first_provider_only is only_first
