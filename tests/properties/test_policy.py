"""Whatever the candidates are like, a plan loses nobody, keeps the tiers, and respects who is away."""

from random import Random

from hypothesis import assume, given
from hypothesis import strategies as st

from router.routing.availability import Availability, Standing
from router.routing.plan import CandidateView, Plan, Preference, Sort, Tier
from router.routing.policy import order
from router.routing.sticky import score

View = CandidateView[int]
FINITE = st.floats(min_value=0.0, max_value=1e9)

availabilities = st.builds(
    Availability,
    st.sampled_from(Standing),
    share=st.floats(min_value=0.01, max_value=1.0),
    until=FINITE,
)
preferences = st.builds(
    Preference,
    sort=st.sampled_from(Sort),
    prefix=st.none() | st.integers(0, 2**64 - 1),
    may_probe=st.booleans(),
)
pictures = st.builds(
    CandidateView[int],
    candidate=st.just(0),
    tier=st.integers(0, 3),
    availability=availabilities,
    weight=st.floats(min_value=0.01, max_value=100.0),
    latency=FINITE,
    in_flight=st.integers(0, 1000),
    price=st.none() | FINITE,
    throughput=st.none() | FINITE,
    place=st.integers(0, 2**64 - 1),
)


@st.composite
def candidate_views(draw: st.DrawFn, most: int = 12) -> list[View]:
    """Views whose candidates are their places in the list."""
    drawn = draw(st.lists(pictures, max_size=most))
    return [replaced(view, candidate=number) for number, view in enumerate(drawn)]


def replaced(view: View, **changes: object) -> View:
    fields = {name: getattr(view, name) for name in view.__struct_fields__}
    return CandidateView(**(fields | changes))


def made(views: list[View], wish: Preference, seed: int = 0) -> Plan[int]:
    return order(views, rng=Random(seed), preference=wish)


def members(tier: Tier[int]) -> list[int]:
    away = (*tier.last_resorts, *tier.parked, *tier.dead)
    return [*tier.usable, *(later.candidate for later in away)]


@given(candidate_views(), preferences, st.integers())
def test_everybody_is_in_exactly_one_place(views: list[View], wish: Preference, seed: int) -> None:
    plan = made(views, wish, seed)
    everybody = [candidate for tier in plan.tiers for candidate in members(tier)]
    assert sorted(everybody) == list(range(len(views)))


@given(candidate_views(), preferences)
def test_tiers_are_in_order_and_do_not_mix(views: list[View], wish: Preference) -> None:
    plan = made(views, wish)
    assert [tier.level for tier in plan.tiers] == sorted({view.tier for view in views})
    for tier in plan.tiers:
        assert {views[candidate].tier for candidate in members(tier)} == {tier.level}


@given(candidate_views(), preferences)
def test_the_parked_and_the_dead_are_never_asked(views: list[View], wish: Preference) -> None:
    plan = made(views, wish)
    asked = list(plan.attempts())
    expected = [n for n, view in enumerate(views) if view.availability.standing < Standing.PARKED]
    assert sorted(asked) == expected
    times = [view.availability.until for n, view in enumerate(views) if n not in asked]
    parked = [later.at for tier in plan.tiers for later in (*tier.parked, *tier.dead)]
    assert sorted(parked) == sorted(times)


@given(candidate_views(), preferences)
def test_last_resorts_come_after_everything_usable(views: list[View], wish: Preference) -> None:
    standings = [views[n].availability.standing for n in made(views, wish).attempts()]
    usable = [standing in usable_standings(wish) for standing in standings]
    assert usable == sorted(usable, reverse=True)


@given(candidate_views(), preferences)
def test_a_request_meets_one_probe_before_what_works(views: list[View], wish: Preference) -> None:
    tiers = made(views, wish).tiers
    for tier in tiers:
        probes = [views[n].availability.standing is Standing.PROBE for n in tier.usable]
        leads = tier is next(tier for tier in tiers if tier.usable) if tier.usable else False
        behind = probes[1:] if leads else probes
        assert behind == sorted(behind), "behind the first, those that work come before any probe"


@given(candidate_views(), preferences, st.integers())
def test_the_same_rng_gives_the_same_plan(views: list[View], wish: Preference, seed: int) -> None:
    assert made(views, wish, seed) == made(views, wish, seed)


@given(candidate_views(), st.integers())
def test_neighbours_in_the_draw_were_compared(views: list[View], seed: int) -> None:
    """Among equals in weight, the last one is the worst: it lost every comparison it was in."""
    alike = [
        replaced(view, tier=0, weight=1.0, availability=Availability(Standing.USABLE))
        for view in views
    ]
    assume(alike)
    usable = made(alike, Preference(), seed).tiers[0].usable
    assert alike[usable[-1]].cost == max(view.cost for view in alike)
    if len(usable) > 1:
        best_two = sorted(view.cost for view in alike)[:-1]
        assert alike[usable[0]].cost <= max(best_two), "the worst of all never comes first"


@given(candidate_views(), st.sampled_from([Sort.PRICE, Sort.LATENCY, Sort.THROUGHPUT]))
def test_a_wish_is_kept_among_those_that_take_part(views: list[View], sort: Sort) -> None:
    whole = [
        replaced(view, tier=0, availability=Availability(Standing.USABLE, share=1.0))
        for view in views
    ]
    found = [whole[n] for tier in made(whole, Preference(sort=sort)).tiers for n in tier.usable]
    keys = {
        Sort.PRICE: [(view.price is None, view.price or 0.0) for view in found],
        Sort.LATENCY: [(False, view.latency) for view in found],
        Sort.THROUGHPUT: [(view.throughput is None, -(view.throughput or 0.0)) for view in found],
    }[sort]
    assert keys == sorted(keys)


@given(candidate_views(), st.integers(0, 2**64 - 1), st.integers())
def test_a_beginning_goes_to_its_owner_unless_that_one_is_busy(
    views: list[View], prefix: int, seed: int
) -> None:
    alike = [replaced(view, tier=0, availability=Availability(Standing.USABLE)) for view in views]
    assume(alike)
    first = alike[made(alike, Preference(prefix=prefix), seed).tiers[0].usable[0]]
    owner = max(alike, key=lambda view: score(prefix, view.place, view.weight))
    best = min(view.cost for view in alike)
    assert first.place == owner.place or (owner.in_flight >= 8 and owner.cost > 4 * best)


def usable_standings(wish: Preference) -> set[Standing]:
    return {Standing.USABLE, Standing.PROBE} if wish.may_probe else {Standing.USABLE}
