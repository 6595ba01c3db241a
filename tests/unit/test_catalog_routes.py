"""Routes of several candidates: key pools, pooled models, fallbacks, and what is known of each."""

from typing import Any

import pytest

from router.catalog.candidate import Candidate
from router.catalog.catalog import Catalog
from router.catalog.models import Model
from router.catalog.routes import Route
from router.config import (
    Config,
    ModelConfig,
    ModelEntry,
    ProviderConfig,
    Secret,
    TimeoutConfig,
    TimeoutOverrides,
)


def provider(*models: str | ModelEntry, **settings: Any) -> ProviderConfig:
    return ProviderConfig(base_url="http://host/v1", models=list(models), **settings)


def catalog(models: dict[str, ModelConfig], **providers: ProviderConfig) -> Catalog:
    return Catalog(Config(providers=providers, models=models), ())


def route(found: Catalog, model_id: str) -> Route:
    resolved = found.resolve(model_id)
    assert resolved is not None
    return resolved


def tiers(found: Catalog, model_id: str) -> list[list[str]]:
    return [[one.served_model for one in tier] for tier in route(found, model_id).tiers]


def model(**changes: Any) -> Model:
    values: dict[str, Any] = {
        "provider": "mine",
        "model": "a",
        "mode": "chat",
        "context_tokens": 1000,
        "max_output_tokens": None,
        "usd_per_mtok": {},
        "supports": frozenset(),
    }
    return Model(**(values | changes))


def candidate(known: Model) -> Candidate:
    found = Catalog(Config(providers={"mine": provider("a")}), [known])
    return route(found, "mine/a").candidates[0]


# Key pools.


def test_each_key_of_a_provider_makes_a_candidate() -> None:
    pool = provider("a", key=Secret("1"), keys=[Secret("2"), Secret("1"), Secret("3")], weight=2.0)
    found = catalog({}, mine=pool)
    candidates = route(found, "mine/a").candidates
    assert [one.key for one in candidates] == [Secret("1"), Secret("2"), Secret("3")]
    assert {one.weight for one in candidates} == {2.0}
    assert len({one.identity for one in candidates}) == 3


def test_a_pool_of_keys_leaves_a_bare_name_alone() -> None:
    found = catalog({}, mine=provider("a", keys=[Secret("1"), Secret("2")]))
    assert len(route(found, "a").candidates) == 2


def test_a_provider_with_many_keys_is_asked_for_its_models_once() -> None:
    pool = provider("a", keys=[Secret("1"), Secret("2")], discover=True)
    found = catalog({}, mine=pool)
    (wire,) = found.discoverable()
    assert wire.key == Secret("1")
    found.learn(wire, ["b"])
    assert [one.key for one in route(found, "mine/b").candidates] == [Secret("1"), Secret("2")]


# Pools of models.


def test_several_targets_share_the_first_tier() -> None:
    found = catalog(
        {"fast": ModelConfig(target="a", targets=["east/b", "west/a", "east/b"])},
        east=provider("b"),
        west=provider("a"),
    )
    assert tiers(found, "fast") == [["west/a", "east/b"]]
    assert route(found, "fast").owned_by == "west"


def test_a_model_can_be_pooled_with_others_under_its_own_id() -> None:
    found = catalog(
        {"east/a": ModelConfig(targets=["east/a", "west/a"])},
        east=provider("a"),
        west=provider("a"),
    )
    assert tiers(found, "east/a") == [["east/a", "west/a"]]
    assert tiers(found, "west/a") == [["west/a"]]


def test_targets_that_are_there_serve_while_others_are_missing() -> None:
    found = catalog(
        {"fast": ModelConfig(targets=["mine/gone", "mine/a"])}, mine=provider("a", discover=True)
    )
    assert tiers(found, "fast") == [["mine/a"]]
    assert found.missing_models() == (("fast", "mine/gone"),)
    found.learn(found.discoverable()[0], ["gone"])
    assert tiers(found, "fast") == [["mine/gone", "mine/a"]]
    assert found.missing_models() == ()


# Fallbacks.


def test_each_fallback_is_a_tier_of_its_own_in_order() -> None:
    found = catalog(
        {"mine/a": ModelConfig(fallbacks=["mine/c", "b"])},
        mine=provider("a", "b", "c", keys=[Secret("1"), Secret("2")]),
    )
    assert tiers(found, "mine/a") == [["mine/a"] * 2, ["mine/c"] * 2, ["mine/b"] * 2]
    assert tiers(found, "a") == tiers(found, "mine/a")
    assert tiers(found, "mine/c") == [["mine/c"] * 2]


def test_a_fallback_brings_its_first_tier_only() -> None:
    found = catalog(
        {
            "mine/a": ModelConfig(fallbacks=["mine/b"]),
            "mine/b": ModelConfig(fallbacks=["mine/a"]),
        },
        mine=provider("a", "b"),
    )
    assert tiers(found, "mine/a") == [["mine/a"], ["mine/b"]]
    assert tiers(found, "mine/b") == [["mine/b"], ["mine/a"]]


def test_a_fallback_may_be_another_entry() -> None:
    found = catalog(
        {
            "fast": ModelConfig(target="mine/a", fallbacks=["smart"]),
            "smart": ModelConfig(targets=["mine/b", "mine/c"]),
        },
        mine=provider("a", "b", "c"),
    )
    assert tiers(found, "fast") == [["mine/a"], ["mine/b", "mine/c"]]


def test_nobody_stands_in_two_tiers() -> None:
    found = catalog(
        {"mine/a": ModelConfig(fallbacks=["mine/a", "mine/b", "b"])}, mine=provider("a", "b")
    )
    assert tiers(found, "mine/a") == [["mine/a"], ["mine/b"]]


def test_one_upstream_model_under_two_ids_is_asked_once() -> None:
    offered = provider(ModelEntry(upstream="u", id="x"), ModelEntry(upstream="u", id="y"))
    found = catalog({"x": ModelConfig(fallbacks=["y"])}, mine=offered)
    assert tiers(found, "x") == [["x"]]


def test_a_fallback_that_leads_nowhere_is_told_and_left_out() -> None:
    found = catalog(
        {"mine/a": ModelConfig(fallbacks=["mine/gone", "mine/b"], larger_context=["mine/far"])},
        mine=provider("a", "b"),
    )
    assert tiers(found, "mine/a") == [["mine/a"], ["mine/b"]]
    assert found.missing_models() == (("mine/a", "mine/gone"), ("mine/a", "mine/far"))
    assert found.unresolved_aliases() == ()


def test_an_entry_for_a_model_that_does_not_exist_leads_nowhere() -> None:
    found = catalog({"mine/later": ModelConfig(fallbacks=["mine/a"])}, mine=provider("a"))
    assert found.resolve("mine/later") is None
    assert found.unresolved_aliases() == ("mine/later",)
    assert found.missing_models() == ()


def test_models_of_a_larger_context_are_kept_apart() -> None:
    found = catalog(
        {"mine/a": ModelConfig(larger_context=["mine/b", "mine/c"])}, mine=provider("a", "b", "c")
    )
    assert tiers(found, "mine/a") == [["mine/a"]]
    larger = route(found, "mine/a").larger_context
    assert [one.served_model for one in larger] == ["mine/b", "mine/c"]


# Other names of one model.


def test_an_alias_has_what_its_only_target_has() -> None:
    own = ModelConfig(
        fallbacks=["mine/b"],
        larger_context=["mine/c"],
        hedge=False,
        timeouts=TimeoutOverrides(idle=3.0),
    )
    found = catalog({"mine/a": own, "quick": ModelConfig(target="a")}, mine=provider("a", "b", "c"))
    alias, full = route(found, "quick"), route(found, "mine/a")
    assert (alias.tiers, alias.hedge) == (full.tiers, False)
    assert alias.larger_context == full.larger_context != ()


def test_what_an_alias_says_itself_comes_first() -> None:
    found = catalog(
        {
            "mine/a": ModelConfig(fallbacks=["mine/b"], hedge=False),
            "quick": ModelConfig(target="mine/a", fallbacks=["mine/c"], hedge=True),
        },
        mine=provider("a", "b", "c"),
    )
    assert tiers(found, "quick") == [["mine/a"], ["mine/c"]]
    assert route(found, "quick").hedge is True
    assert route(found, "mine/b").hedge is None


def test_several_targets_lend_a_pool_nothing() -> None:
    found = catalog(
        {
            "mine/a": ModelConfig(fallbacks=["mine/c"], hedge=False),
            "pool": ModelConfig(targets=["mine/a", "mine/b"]),
        },
        mine=provider("a", "b", "c"),
    )
    assert tiers(found, "pool") == [["mine/a", "mine/b"]]
    assert route(found, "pool").hedge is None


def test_a_bare_name_follows_the_full_id_wherever_it_leads() -> None:
    found = catalog({"mine/a": ModelConfig(target="mine/b")}, mine=provider("a", "b"))
    assert tiers(found, "a") == tiers(found, "mine/a") == [["mine/b"]]


def test_an_entry_for_a_bare_name_makes_it_a_listed_model() -> None:
    found = catalog({"a": ModelConfig(fallbacks=["mine/b"])}, mine=provider("a", "b"))
    assert tiers(found, "a") == [["mine/a"], ["mine/b"]]
    assert tiers(found, "mine/a") == [["mine/a"]]
    assert [listed.id for listed in found.listing()] == ["a", "mine/a", "mine/b"]


# Timeouts.


def test_the_timeouts_of_a_model_lie_over_those_of_each_provider() -> None:
    found = catalog(
        {
            "fast": ModelConfig(
                targets=["east/a", "west/a"],
                fallbacks=["west/b"],
                timeouts=TimeoutOverrides(first_byte=2.0),
            )
        },
        east=provider("a", timeouts=TimeoutConfig(idle=5.0)),
        west=provider("a", "b", timeouts=TimeoutConfig(idle=6.0)),
    )
    (east, west), (below,) = route(found, "fast").tiers
    assert east.timeouts == TimeoutConfig(first_byte=2.0, idle=5.0)
    assert west.timeouts == TimeoutConfig(first_byte=2.0, idle=6.0)
    assert below.timeouts == TimeoutConfig(idle=6.0)
    assert route(found, "west/a").candidates[0].timeouts == TimeoutConfig(idle=6.0)
    assert east.identity == route(found, "east/a").candidates[0].identity


def test_a_fallback_is_asked_with_the_timeouts_of_its_own_entry() -> None:
    found = catalog(
        {
            "mine/a": ModelConfig(fallbacks=["mine/b"]),
            "mine/b": ModelConfig(timeouts=TimeoutOverrides(idle=4.0)),
        },
        mine=provider("a", "b"),
    )
    assert route(found, "mine/a").tiers[1][0].timeouts == TimeoutConfig(idle=4.0)


# What is known of a candidate.


@pytest.mark.parametrize(
    ("mode", "prices", "price"),
    [
        ("chat", {"input": 1.0, "output": 4.0}, 5.0),
        ("chat", {"input": 0.0, "output": 0.0}, 0.0),
        ("chat", {"input": 1.0}, None),
        ("chat", {"output": 4.0}, None),
        ("chat", {}, None),
        ("chat", {"input": -1.0, "output": 4.0}, None),
        ("embedding", {"input": 1.0}, 1.0),
    ],
)
def test_a_price_is_known_only_where_both_its_parts_are(
    mode: str, prices: dict[str, float], price: float | None
) -> None:
    assert candidate(model(mode=mode, usd_per_mtok=prices)).price == price


@pytest.mark.parametrize(
    ("prices", "cheaper"),
    [
        ({"input": 1.0, "cache_read": 0.1}, True),
        ({"input": 1.0, "cache_read": 1.0}, False),
        ({"input": 1.0}, False),
        ({"cache_read": 0.1}, False),
    ],
)
def test_cached_reads_count_where_they_are_known_to_be_cheaper(
    prices: dict[str, float], cheaper: bool
) -> None:
    assert candidate(model(usd_per_mtok=prices)).cached_reads is cheaper


def test_a_candidate_tells_its_context_and_whether_it_takes_a_prefill() -> None:
    found = candidate(model(supports=frozenset({"assistant_prefill"})))
    assert (found.context_tokens, found.prefill) == (1000, True)
    assert not candidate(model()).prefill


def test_nothing_is_known_of_a_model_that_the_seed_does_not_have() -> None:
    found = route(catalog({}, mine=provider("a")), "mine/a").candidates[0]
    assert (found.price, found.context_tokens, found.prefill, found.cached_reads) == (
        None,
        None,
        False,
        False,
    )


def test_fallbacks_stay_the_same_objects_while_nothing_about_them_changes() -> None:
    found = catalog(
        {"fast": ModelConfig(target="mine/a", fallbacks=["mine/b"], larger_context=["mine/c"])},
        mine=provider("a", "b", "c", discover=True),
    )
    before = route(found, "fast")
    found.learn(found.discoverable()[0], ["d"])
    after = route(found, "fast")
    assert after.tiers[1][0] is before.tiers[1][0] is route(found, "mine/b").candidates[0]
    assert after.larger_context[0] is before.larger_context[0]
