"""What ids the catalog knows, where they lead, and how the table changes."""

import pytest

from adapters.providers import KNOWN_PROVIDERS
from router.catalog.candidate import Candidate
from router.catalog.catalog import Catalog
from router.catalog.models import SERVED_MODES, Model, load_seed
from router.config import (
    Config,
    HeaderValue,
    ModelConfig,
    ModelEntry,
    PathConfig,
    ProviderConfig,
    Secret,
    TimeoutConfig,
    load_config,
)


def model(provider: str, name: str, mode: str = "chat") -> Model:
    return Model(
        provider=provider,
        model=name,
        mode=mode,
        context_tokens=None,
        max_output_tokens=None,
        usd_per_mtok={},
        supports=frozenset(),
    )


def provider(
    *models: str | ModelEntry, base_url: str = "http://host/v1", discover: bool = False
) -> ProviderConfig:
    return ProviderConfig(
        base_url=base_url, models=list(models) if models else None, discover=discover
    )


def known(name: str) -> ProviderConfig:
    """A provider at its own address, with what the seed knows of it."""
    return ProviderConfig(base_url=KNOWN_PROVIDERS[name].base_url, discover=True)


def catalog(*seed: Model, models: dict[str, str] | None = None, **of: ProviderConfig) -> Catalog:
    aliases = {name: ModelConfig(target=target) for name, target in (models or {}).items()}
    return Catalog(Config(providers=of, models=aliases), seed)


def leads_to(found: Catalog, model_id: str) -> list[tuple[str, str]] | None:
    route = found.resolve(model_id)
    if route is None:
        return None
    return [(candidate.provider, candidate.upstream_model) for candidate in route.candidates]


def ids(found: Catalog) -> list[str]:
    return [route.id for route in found.listing()]


def everyone() -> Config:
    variables = {v: "k" for p in KNOWN_PROVIDERS.values() for v in p.key_variables[:1]}
    return load_config(None, variables | {"HOME": "/nowhere", "OLLAMA_HOST": "localhost"})


# The seed.


def test_the_seed_is_whole_and_without_doubles() -> None:
    seed = load_seed()
    assert len(seed) > 2000
    assert len({(entry.provider, entry.model) for entry in seed}) == len(seed)


def test_the_seed_says_what_a_model_can_do_and_costs() -> None:
    (haiku,) = [
        entry
        for entry in load_seed()
        if (entry.provider, entry.model) == ("anthropic", "claude-haiku-4-5-20251001")
    ]
    assert haiku.mode == "chat"
    assert haiku.context_tokens == 200_000
    assert haiku.max_output_tokens == 64_000
    assert haiku.usd_per_mtok == {
        "input": 1.0,
        "output": 5.0,
        "cache_read": 0.1,
        "cache_write": 1.25,
    }
    assert "vision" in haiku.supports
    (embedding,) = [
        entry
        for entry in load_seed()
        if (entry.provider, entry.model) == ("openai", "text-embedding-3-small")
    ]
    assert embedding.dimensions == 1536


def test_every_provider_of_the_registry_with_a_list_of_its_own_is_in_the_seed() -> None:
    in_seed = {entry.provider for entry in load_seed()}
    assert set(KNOWN_PROVIDERS) - in_seed == {"openrouter"}


@pytest.mark.parametrize(
    "model_id",
    [
        "anthropic/claude-haiku-4-5-20251001",
        "anthropic/claude-opus-4-7",
        "anthropic/claude-sonnet-4-5-20250929",
        "openai/gpt-4o",
        "text-embedding-3-small",
        "gpt-4o",
        "claude-opus-4-7",
    ],
)
def test_the_ids_of_the_documentation_lead_somewhere(model_id: str) -> None:
    environ = {"HOME": "/nowhere", "ANTHROPIC_API_KEY": "a", "OPENAI_API_KEY": "o"}
    found = Catalog(load_config(None, environ), load_seed()).resolve(model_id)
    assert found is not None
    assert found.candidates[0].upstream_model == model_id.rpartition("/")[2]
    assert found.owned_by in {"anthropic", "openai"}


def test_all_providers_together_have_more_than_300_models() -> None:
    found = Catalog(everyone(), load_seed())
    assert len(found.listing()) > 300
    assert ids(found) == sorted(ids(found))
    assert {route.model.mode for route in found.listing() if route.model} == SERVED_MODES


# Ids.


def test_a_model_has_the_id_of_provider_and_name() -> None:
    found = catalog(model("openai", "gpt-4o"), openai=known("openai"))
    assert leads_to(found, "openai/gpt-4o") == [("openai", "gpt-4o")]
    assert ids(found) == ["openai/gpt-4o"]


def test_a_name_with_slashes_keeps_them() -> None:
    found = catalog(model("together", "Qwen/QwQ-32B"), together=known("together"))
    assert leads_to(found, "together/Qwen/QwQ-32B") == [("together", "Qwen/QwQ-32B")]
    assert leads_to(found, "Qwen/QwQ-32B") == [("together", "Qwen/QwQ-32B")]
    assert leads_to(found, "QwQ-32B") is None


def test_only_modes_with_an_endpoint_are_routed() -> None:
    modes = ["chat", "completion", "embedding", "rerank", "image_generation", "responses"]
    seed = [model("openai", mode, mode) for mode in modes]
    found = catalog(*seed, openai=known("openai"))
    served = ["chat", "completion", "embedding", "rerank"]
    assert ids(found) == [f"openai/{mode}" for mode in served]


def test_a_provider_that_is_not_configured_has_no_models() -> None:
    found = catalog(model("groq", "llama"), openai=known("openai"))
    assert found.listing() == ()
    assert leads_to(found, "groq/llama") is None


def test_listed_models_stand_in_place_of_the_seed() -> None:
    found = catalog(
        model("openai", "gpt-4o"), model("openai", "gpt-5"), openai=provider("gpt-5", "own")
    )
    assert ids(found) == ["openai/gpt-5", "openai/own"]
    route = found.resolve("openai/gpt-5")
    assert route is not None
    assert route.model == model("openai", "gpt-5")


def test_an_empty_list_means_no_models() -> None:
    config = ProviderConfig(base_url="http://host/v1", models=[])
    assert catalog(model("openai", "gpt-4o"), openai=config).listing() == ()


def test_an_entry_gives_a_model_another_id() -> None:
    entry = ModelEntry(id="azure/gpt-4o", upstream="prod-4o")
    found = catalog(model("azure", "gpt-4o"), azure=provider(entry))
    assert leads_to(found, "azure/gpt-4o") == [("azure", "prod-4o")]
    assert leads_to(found, "gpt-4o") == [("azure", "prod-4o")]
    assert leads_to(found, "azure/prod-4o") is None
    route = found.resolve("azure/gpt-4o")
    assert route is not None
    assert route.model == model("azure", "gpt-4o")


def test_one_id_at_several_providers_has_candidates_in_the_order_of_the_file() -> None:
    found = catalog(
        east=provider(ModelEntry(id="fast", upstream="a")),
        west=provider(ModelEntry(id="fast", upstream="b")),
    )
    assert leads_to(found, "fast") == [("east", "a"), ("west", "b")]
    assert ids(found) == ["fast"]


def test_a_model_listed_twice_is_one_candidate() -> None:
    assert leads_to(catalog(mine=provider("a", "a")), "mine/a") == [("mine", "a")]


# Bare names.


def test_a_bare_name_leads_to_the_only_provider_that_has_it() -> None:
    assert leads_to(catalog(mine=provider("a"), other=provider("b")), "a") == [("mine", "a")]


def test_a_bare_name_that_several_have_leads_to_its_maker() -> None:
    found = catalog(azure=provider("gpt-4o"), openai=provider("gpt-4o"))
    assert leads_to(found, "gpt-4o") == [("openai", "gpt-4o")]


def test_a_bare_name_of_several_resellers_leads_nowhere() -> None:
    found = catalog(together=provider("Qwen/QwQ-32B"), nebius=provider("Qwen/QwQ-32B"))
    assert leads_to(found, "Qwen/QwQ-32B") is None
    assert found.nearest("Qwen/QwQ-32B") == ["nebius/Qwen/QwQ-32B", "together/Qwen/QwQ-32B"]


def test_a_full_id_comes_before_the_same_bare_name() -> None:
    found = catalog(perplexity=provider("anthropic/claude-x"), anthropic=provider("claude-x"))
    assert leads_to(found, "anthropic/claude-x") == [("anthropic", "claude-x")]
    alone = catalog(perplexity=provider("anthropic/claude-x"))
    assert leads_to(alone, "anthropic/claude-x") == [("perplexity", "anthropic/claude-x")]


def test_a_bare_name_is_not_listed() -> None:
    assert ids(catalog(mine=provider("a"))) == ["mine/a"]


# Aliases.


def test_an_alias_leads_where_its_target_does_and_is_listed() -> None:
    found = catalog(mine=provider("a"), models={"quick": "mine/a", "bare": "a"})
    assert leads_to(found, "quick") == leads_to(found, "bare") == [("mine", "a")]
    assert ids(found) == ["bare", "mine/a", "quick"]


def test_an_alias_redirects_even_an_id_that_exists() -> None:
    found = catalog(mine=provider("a", "b"), models={"mine/a": "mine/b"})
    assert leads_to(found, "mine/a") == [("mine", "b")]
    assert ids(found) == ["mine/a", "mine/b"]


def test_an_alias_without_its_target_is_told_until_the_target_appears() -> None:
    config = ProviderConfig(base_url="http://host/v1", discover=True)
    found = catalog(mine=config, models={"quick": "mine/later"})
    assert leads_to(found, "quick") is None
    assert found.unresolved_aliases() == ("quick",)
    found.learn(found.discoverable()[0], ["later"])
    assert leads_to(found, "quick") == [("mine", "later")]
    assert found.unresolved_aliases() == ()


def test_an_alias_without_its_target_does_not_lead_to_what_it_replaces() -> None:
    found = catalog(mine=provider("a"), models={"mine/a": "mine/absent"})
    assert leads_to(found, "mine/a") is None
    assert ids(found) == []


# The wire.


def test_a_candidate_has_all_that_asking_needs() -> None:
    config = ProviderConfig(
        base_url="https://host/openai/",
        key=Secret("k"),
        key_header="Api-Key",
        headers={"X-Team": HeaderValue("blue")},
        query={"api-version": "1"},
        paths=PathConfig(chat="/c"),
        models=["a"],
        stream_usage=False,
        max_connections=7,
        weight=2.0,
    )
    route = catalog(mine=config).resolve("mine/a")
    assert route is not None
    assert route.candidates == (
        Candidate(
            provider="mine",
            dialect="openai",
            base_url="https://host/openai",
            key=Secret("k"),
            key_header="api-key",
            headers=(("x-team", HeaderValue("blue")),),
            query=(("api-version", "1"),),
            paths=PathConfig(chat="/c"),
            stream_usage=False,
            inventory=True,
            timeouts=TimeoutConfig(),
            max_connections=7,
            weight=2.0,
            upstream_model="a",
            served_model="mine/a",
        ),
    )
    assert "'k'" not in repr(route)


def test_a_provider_without_an_address_is_refused() -> None:
    with pytest.raises(ValueError, match="mine has no base URL"):
        catalog(mine=ProviderConfig(models=["a"]))


# Changes.


def test_what_a_provider_lists_joins_what_the_seed_knows() -> None:
    found = catalog(model("openai", "gpt-4o"), openai=known("openai"))
    found.learn(found.discoverable()[0], ["gpt-9", "gpt-4o"])
    assert ids(found) == ["openai/gpt-4o", "openai/gpt-9"]
    found.learn(found.discoverable()[0], ["gpt-10"])
    assert ids(found) == ["openai/gpt-10", "openai/gpt-4o"]


def test_a_listed_model_that_the_seed_knows_to_be_of_another_kind_is_left_out() -> None:
    found = catalog(model("openai", "tts-1", "audio_speech"), openai=known("openai"))
    found.learn(found.discoverable()[0], ["tts-1", "gpt-9"])
    assert ids(found) == ["openai/gpt-9"]


def test_a_complete_list_replaces_the_seed() -> None:
    seed = [model("ollama", "llama2"), model("openai", "gpt-4o")]
    elsewhere = provider(base_url="http://localhost:8000/v1", discover=True)
    found = catalog(*seed, ollama=known("ollama"), openai=elsewhere)
    assert ids(found) == ["ollama/llama2", "openai/gpt-4o"]
    for wire in found.discoverable():
        found.learn(wire, ["own"])
    assert ids(found) == ["ollama/own", "openai/own"]


def test_what_a_provider_lists_joins_what_the_operator_lists() -> None:
    found = catalog(mine=provider("a", discover=True))
    found.learn(found.discoverable()[0], ["b"])
    assert ids(found) == ["mine/a", "mine/b"]


def test_only_providers_that_are_to_be_asked_are_named() -> None:
    found = catalog(mine=provider("a", discover=True), other=provider("b"))
    assert [wire.provider for wire in found.discoverable()] == ["mine"]


def test_a_reload_keeps_what_was_found_at_the_same_address() -> None:
    before = Config(providers={"a": provider(discover=True), "b": provider(discover=True)})
    found = Catalog(before, ())
    for wire in found.discoverable():
        found.learn(wire, ["x"])
    moved = provider(base_url="http://elsewhere/v1", discover=True)
    found.reload(Config(providers={"a": provider(discover=True), "b": moved}))
    assert ids(found) == ["a/x"]
    found.reload(Config(providers={"a": provider()}))
    assert ids(found) == []


def test_an_answer_that_a_reload_has_overtaken_is_ignored() -> None:
    found = Catalog(Config(providers={"a": provider(discover=True)}), ())
    (wire,) = found.discoverable()
    moved = provider(base_url="http://elsewhere/v1", discover=True)
    found.reload(Config(providers={"a": moved}))
    found.learn(wire, ["x"])
    assert ids(found) == []


def test_candidates_stay_the_same_objects_while_nothing_about_them_changes() -> None:
    found = catalog(mine=provider("a", discover=True), other=provider("c"))
    before = found.resolve("mine/a")
    found.learn(found.discoverable()[0], ["b"])
    after = found.resolve("mine/a")
    assert before is not None
    assert after is not None
    assert before.candidates[0] is after.candidates[0]


def test_a_reload_that_cannot_be_carried_out_changes_nothing() -> None:
    found = catalog(mine=provider("a"))
    with pytest.raises(ValueError, match="no base URL"):
        found.reload(Config(providers={"other": ProviderConfig(models=["b"])}))
    assert ids(found) == ["mine/a"]
    assert leads_to(found, "mine/a") == [("mine", "a")]
