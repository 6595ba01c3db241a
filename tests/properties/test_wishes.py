"""What holds for every wish over every route."""

from collections.abc import Iterator

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from adapters.dialect import BadCall
from router.catalog.candidate import Candidate
from router.catalog.catalog import Catalog
from router.catalog.routes import Route
from router.catalog.wishes import NO_WISH, WISH_FIELDS, Wish, read_wish
from router.config import Config, ModelConfig, ModelEntry, ProviderConfig, Secret

PROVIDERS = ["east", "west", "north"]
SHARED = [ModelEntry(upstream=name, id=name) for name in ("a", "b")]
IDS = ["a", "b", "east/own", "west/own", "north/own"]
NAMES = st.lists(st.sampled_from([*PROVIDERS, "elsewhere"]), max_size=3)

WISHES = st.builds(
    Wish,
    models=st.lists(st.sampled_from(IDS), max_size=3).map(tuple),
    order=NAMES.map(dict.fromkeys).map(tuple),
    only=NAMES.map(frozenset),
    ignore=NAMES.map(frozenset),
    allow_fallbacks=st.booleans(),
    sort=st.sampled_from([None, "price", "latency", "throughput"]),
)
ROUTED = st.builds(
    ModelConfig,
    fallbacks=st.lists(st.sampled_from(IDS), max_size=3),
    larger_context=st.lists(st.sampled_from(IDS), max_size=2),
    hedge=st.booleans(),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = ["order", "only", "ignore", "allow_fallbacks", "sort", "quantizations"]


@st.composite
def catalogs(draw: st.DrawFn) -> Catalog:
    providers = {
        name: ProviderConfig(
            base_url=f"http://{name}/v1",
            models=[*SHARED, "own"],
            keys=[Secret(str(number)) for number in range(draw(st.integers(0, 2)))],
        )
        for name in PROVIDERS
    }
    models = draw(st.dictionaries(st.sampled_from(IDS), ROUTED, max_size=3))
    return Catalog(Config(providers=providers, models=models), ())


def everyone(route: Route) -> Iterator[Candidate]:
    for tier in route.tiers:
        yield from tier


def applied(wish: Wish, catalog: Catalog, route: Route) -> Route:
    """The route with the wish carried out, for the wishes that leave anybody."""
    try:
        return wish.apply(catalog, route)
    except BadCall:
        assume(False)
        raise


ASKED = st.sampled_from(IDS)


def route_of(catalog: Catalog, model_id: str) -> Route:
    route = catalog.resolve(model_id)
    assert route is not None
    return route


@given(catalog=catalogs(), wish=WISHES, asked=ASKED)
def test_nobody_is_asked_whom_the_request_excludes(
    catalog: Catalog, wish: Wish, asked: str
) -> None:
    route = applied(wish, catalog, route_of(catalog, asked))
    for candidate in (*everyone(route), *route.larger_context):
        assert candidate.provider not in wish.ignore
        assert not wish.only or candidate.provider in wish.only
        if not wish.allow_fallbacks and wish.order:
            assert candidate.provider in wish.order


@given(catalog=catalogs(), wish=WISHES, asked=ASKED)
def test_only_the_asked_the_listed_and_the_operators_models_serve(
    catalog: Catalog, wish: Wish, asked: str
) -> None:
    before = route_of(catalog, asked)
    route = applied(wish, catalog, before)
    named = {c for name in wish.models for c in route_of(catalog, name).candidates}
    below = set(everyone(before)) if wish.allow_fallbacks else set(before.candidates)
    assert set(everyone(route)) <= below | named
    assert set(route.larger_context) <= set(before.larger_context)
    assert all(route.tiers)
    assert len(set(everyone(route))) == len(list(everyone(route)))
    assert (route.id, route.hedge) == (before.id, before.hedge)


@given(catalog=catalogs(), wish=WISHES, asked=ASKED)
def test_models_are_asked_in_the_order_of_the_wish(
    catalog: Catalog, wish: Wish, asked: str
) -> None:
    route = applied(wish, catalog, route_of(catalog, asked))
    rank: dict[tuple[object, ...], int] = {}
    for place, name in enumerate([asked, *wish.models]):
        for candidate in route_of(catalog, name).candidates:
            rank.setdefault(candidate.identity, place)
    places = [rank.get(candidate.identity, len(IDS)) for candidate in everyone(route)]
    assert places == sorted(places)


@given(catalog=catalogs(), wish=WISHES, asked=ASKED)
def test_listed_providers_come_first_and_one_at_a_time_within_a_model(
    catalog: Catalog, wish: Wish, asked: str
) -> None:
    route = applied(wish, catalog, route_of(catalog, asked))
    ranks = {name: place for place, name in enumerate(wish.order)}
    of_asked = {candidate.identity for candidate in route_of(catalog, asked).candidates}
    places = []
    for tier in route.tiers:
        here = {ranks.get(candidate.provider, len(ranks)) for candidate in tier}
        assert len(here) == 1
        if tier[0].identity in of_asked:
            places += sorted(here)
    assert places == sorted(set(places))


@given(catalog=catalogs(), asked=ASKED)
def test_no_wish_changes_nothing(catalog: Catalog, asked: str) -> None:
    route = route_of(catalog, asked)
    assert NO_WISH.apply(catalog, route) is route
    assert Wish(sort="price").apply(catalog, route) == route


@given(wish=WISHES)
def test_a_written_wish_is_read_back(wish: Wish) -> None:
    provider = {
        "order": [name.upper() for name in wish.order],
        "only": sorted(wish.only),
        "ignore": sorted(wish.ignore),
        "allow_fallbacks": wish.allow_fallbacks,
        "sort": wish.sort,
    }
    encode = msgspec.json.encode
    fields = {
        "models": msgspec.Raw(encode(wish.models)),
        "provider": msgspec.Raw(encode(provider)),
    }
    assert read_wish(fields) == wish


@given(
    fields=st.dictionaries(
        st.sampled_from(WISH_FIELDS), JSON | st.dictionaries(st.sampled_from(MEMBERS), JSON)
    )
)
def test_whatever_a_client_writes_is_a_wish_or_refused_by_name(fields: dict[str, object]) -> None:
    raw = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}
    try:
        assert isinstance(read_wish(raw), Wish)
    except BadCall as refusal:
        refused = refusal.param
    else:
        refused = None
    assert refused is None or refused.partition(".")[0] in fields
