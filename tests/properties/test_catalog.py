"""What holds for every catalog, whatever providers list."""

from hypothesis import given
from hypothesis import strategies as st

from router.catalog.candidate import Candidate
from router.catalog.catalog import Catalog
from router.catalog.nearest import NearestIndex
from router.config import Config, ModelConfig, ModelEntry, ProviderConfig, Secret, TimeoutOverrides

PROVIDERS = ["openai", "azure", "mine", "together"]
NAMES = st.sampled_from(["gpt-4o", "a", "openai/gpt-4o", "b/c", "mine/a", "gpt-4o:free"])
KEYS = st.builds(Secret, st.sampled_from(["k1", "k2", "k3"]))
ENTRIES = st.one_of(NAMES, st.builds(ModelEntry, upstream=NAMES, id=st.none() | NAMES))

MODELS = st.builds(
    ModelConfig,
    target=st.none() | NAMES,
    targets=st.lists(NAMES, max_size=2),
    fallbacks=st.lists(NAMES, max_size=3),
    larger_context=st.lists(NAMES, max_size=2),
    hedge=st.none() | st.booleans(),
    timeouts=st.none() | st.builds(TimeoutOverrides, idle=st.none() | st.sampled_from([1.0, 2.0])),
)


@st.composite
def configs(draw: st.DrawFn) -> Config:
    names = draw(st.lists(st.sampled_from(PROVIDERS), unique=True))
    providers = {
        name: ProviderConfig(
            base_url=f"http://{name}/v1",
            models=draw(st.none() | st.lists(ENTRIES, max_size=4)),
            discover=draw(st.booleans()),
            key=draw(st.none() | KEYS),
            keys=draw(st.lists(KEYS, max_size=3)),
        )
        for name in names
    }
    models = draw(st.dictionaries(NAMES, MODELS, max_size=3))
    return Config(providers=providers, models=models)


def given_ids(candidate: Candidate, provider: ProviderConfig) -> set[str]:
    """The ids that a provider can give to this model of its own."""
    entries = [entry for entry in provider.models or () if isinstance(entry, ModelEntry)]
    own = {entry.id for entry in entries if entry.upstream == candidate.upstream_model and entry.id}
    return own | {f"{candidate.provider}/{candidate.upstream_model}"}


def check(catalog: Catalog, config: Config) -> None:
    listed = catalog.listing()
    ids = [route.id for route in listed]
    assert ids == sorted(set(ids))
    for route in listed:
        assert catalog.resolve(route.id) == route
        assert all(route.tiers)
        everyone = [candidate.identity for tier in route.tiers for candidate in tier]
        assert len(set(everyone)) == len(everyone)
        assert route.owned_by == route.candidates[0].provider
        for candidate in (*(one for tier in route.tiers for one in tier), *route.larger_context):
            provider = config.providers[candidate.provider]
            assert candidate.key in (provider.key_pool or (None,))
            assert candidate.served_model in given_ids(candidate, provider)
    assert set(catalog.unresolved_aliases()) == set(config.models) - set(ids)


def offers(catalog: Catalog) -> set[tuple[str, str]]:
    return {
        (candidate.provider, candidate.upstream_model)
        for route in catalog.listing()
        for candidate in route.candidates
    }


@given(config=configs(), after=configs(), found=st.lists(NAMES))
def test_every_listed_id_resolves_to_configured_providers_through_every_change(
    config: Config, after: Config, found: list[str]
) -> None:
    catalog = Catalog(config, ())
    check(catalog, config)
    for wire in catalog.discoverable():
        catalog.learn(wire, found)
        check(catalog, config)
        # An alias may stand in the place of a model, so only without any must all be there.
        assert config.models or {(wire.provider, name) for name in found} <= offers(catalog)
    catalog.reload(after)
    check(catalog, after)


@given(config=configs(), found=st.lists(NAMES))
def test_a_route_in_hand_is_untouched_by_changes(config: Config, found: list[str]) -> None:
    catalog = Catalog(config, ())
    held = catalog.listing()
    shown = repr(held)
    for wire in catalog.discoverable():
        catalog.learn(wire, found)
    catalog.reload(Config())
    assert catalog.listing() == ()
    assert repr(held) == shown


@given(config=configs())
def test_two_loads_of_one_configuration_have_equal_candidates(config: Config) -> None:
    first, second = Catalog(config, ()), Catalog(config, ())
    assert first.listing() == second.listing()
    for one, other in zip(first.listing(), second.listing(), strict=True):
        assert hash(one.candidates) == hash(other.candidates)


@given(ids=st.sets(st.text(min_size=1, max_size=30)), query=st.text(), n=st.integers(0, 5))
def test_nearest_names_only_ids_that_exist_and_none_twice(
    ids: set[str], query: str, n: int
) -> None:
    near = NearestIndex(sorted(ids)).nearest(query, n)
    assert len(near) == len(set(near)) <= n
    assert set(near) <= ids


@given(ids=st.sets(st.text(min_size=1, max_size=30), min_size=1), data=st.data())
def test_an_id_is_nearest_to_itself(ids: set[str], data: st.DataObject) -> None:
    query = data.draw(st.sampled_from(sorted(ids)))
    near = NearestIndex(sorted(ids)).nearest(query, 1)
    assert [id_.lower().partition("/")[2] or id_.lower() for id_ in near] == [
        query.lower().partition("/")[2] or query.lower()
    ]
