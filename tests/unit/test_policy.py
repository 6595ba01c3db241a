"""Whom the policy asks first, by example and by counting many draws."""

from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest

from router.routing.availability import Availability, Standing
from router.routing.plan import CandidateView, Later, Plan, Preference, Sort
from router.routing.policy import order
from router.routing.sticky import fingerprint, score

View = CandidateView[str]
DRAWS = 4000
USABLE = Availability(Standing.USABLE)


def view(
    name: str,
    *,
    tier: int = 0,
    available: Availability = USABLE,
    weight: float = 1.0,
    latency: float = 1.0,
    in_flight: int = 0,
    price: float | None = None,
    throughput: float | None = None,
) -> View:
    return CandidateView(
        candidate=name,
        tier=tier,
        availability=available,
        weight=weight,
        latency=latency,
        in_flight=in_flight,
        price=price,
        throughput=throughput,
        place=fingerprint(name.encode()),
    )


def away(standing: Standing, until: float = 0.0) -> Availability:
    return Availability(standing, until=until)


def plan(views: Sequence[View], *, seed: int = 1, wish: Preference | None = None) -> Plan[str]:
    return order(views, rng=Random(seed), preference=wish)


def first_choices(views: Sequence[View], wish: Preference | None = None) -> dict[str, float]:
    """The share of requests that asks each candidate first."""
    rng = Random(5)
    counts = Counter(next(order(views, rng=rng, preference=wish).attempts()) for _ in range(DRAWS))
    return {name: count / DRAWS for name, count in counts.items()}


# The draw


def test_of_two_the_less_loaded_comes_first() -> None:
    views = [view("slow", latency=2.0), view("busy", in_flight=2), view("calm")]
    for pair in ([0, 2], [1, 2], [1, 0]):
        expected = views[pair[1]].candidate
        assert first_choices([views[index] for index in pair]) == {expected: 1.0}


def test_of_three_the_worst_never_comes_first() -> None:
    shares = first_choices([view("a"), view("b", in_flight=1), view("c", in_flight=2)])
    assert shares == pytest.approx({"a": 2 / 3, "b": 1 / 3}, abs=0.03)


def test_the_best_of_many_does_not_get_everything() -> None:
    shares = first_choices([view(str(number), in_flight=number) for number in range(10)])
    assert shares["0"] == pytest.approx(2 / 10, abs=0.03)


def test_the_worst_comes_last() -> None:
    views = [view(str(number), in_flight=number) for number in range(5)]
    assert all(plan(views, seed=seed).tiers[0].usable[-1] == "4" for seed in range(50))


def test_equals_share_by_weight() -> None:
    shares = first_choices([view("a", weight=7.0), view("b", weight=2.0), view("c", weight=1.0)])
    assert shares == pytest.approx({"a": 0.7, "b": 0.2, "c": 0.1}, abs=0.03)


def test_a_lighter_one_overtakes_only_when_it_is_better_by_as_much() -> None:
    heavy, light = view("heavy", weight=4.0, in_flight=3), view("light")
    assert first_choices([heavy, light])["heavy"] == pytest.approx(0.8, abs=0.03)
    assert first_choices([view("heavy", weight=4.0, in_flight=4), light]) == {"light": 1.0}


def test_under_load_requests_in_flight_follow_the_weights() -> None:
    rng, in_flight = Random(3), {"heavy": 0, "light": 0}
    weights = {"heavy": 3.0, "light": 1.0}
    for _ in range(400):
        views = [
            view(name, weight=weights[name], in_flight=count) for name, count in in_flight.items()
        ]
        in_flight[next(order(views, rng=rng).attempts())] += 1
    assert in_flight["heavy"] / in_flight["light"] == pytest.approx(3.0, rel=0.15)


def test_the_same_rng_gives_the_same_plan() -> None:
    views = [view(str(number)) for number in range(10)]
    assert plan(views, seed=9) == plan(views, seed=9)
    assert len({plan(views, seed=seed).tiers[0].usable for seed in range(20)}) > 10


# Tiers


def test_tiers_never_mix() -> None:
    views = [view("dear", tier=1), view("bad", latency=99.0), view("last", tier=7)]
    made = plan(views)
    assert [tier.level for tier in made.tiers] == [0, 1, 7]
    assert list(made.attempts()) == ["bad", "dear", "last"]


def test_a_last_resort_comes_after_every_usable_one_of_every_tier() -> None:
    views = [view("a", available=away(Standing.EJECTED, 9.0)), view("b", tier=1)]
    made = plan(views)
    assert list(made.attempts()) == ["b", "a"]
    assert made.tiers[0].last_resorts == (Later("a", 9.0),)


def test_the_parked_and_the_dead_are_not_asked() -> None:
    views = [
        view("parked", available=away(Standing.PARKED, 30.0)),
        view("sooner", available=away(Standing.PARKED, 20.0)),
        view("dead", available=away(Standing.DEAD, 10.0)),
        view("fine", tier=1),
    ]
    made = plan(views)
    assert list(made.attempts()) == ["fine"]
    assert made.tiers[0].parked == (Later("sooner", 20.0), Later("parked", 30.0))
    assert made.tiers[0].dead == (Later("dead", 10.0),)


def test_no_candidates_make_an_empty_plan() -> None:
    made = plan([])
    assert list(made.attempts()) == []


def test_a_flood_with_nowhere_else_to_go_spreads_over_all() -> None:
    views = [view(name, available=away(Standing.EJECTED, at)) for name, at in (("a", 1), ("b", 9))]
    assert first_choices(views) == pytest.approx({"a": 0.5, "b": 0.5}, abs=0.03)


# Return and probes


def test_a_returning_endpoint_gets_its_share_and_no_more() -> None:
    returning = view("back", available=Availability(Standing.USABLE, share=0.1), latency=0.1)
    shares = first_choices([returning, view("a")])
    assert shares["back"] == pytest.approx(0.1, abs=0.02)


def test_a_returning_endpoint_that_is_alone_serves_all_the_same() -> None:
    returning = view("back", available=Availability(Standing.USABLE, share=0.1))
    assert first_choices([returning, view("other model", tier=1)]) == {"back": 1.0}


def test_a_probe_goes_first_however_slow_it_was() -> None:
    probe = view("probe", available=away(Standing.PROBE), latency=50.0)
    assert first_choices([probe, view("a"), view("b")]) == {"probe": 1.0}


def test_one_request_meets_one_probe_before_what_works() -> None:
    views = [view(f"probe{n}", available=away(Standing.PROBE)) for n in range(3)]
    views += [view("works"), view("low probe", tier=1, available=away(Standing.PROBE))]
    views += [view("low works", tier=1)]
    for seed in range(20):
        made = list(plan(views, seed=seed).attempts())
        assert made[0].startswith("probe")
        assert made[1] == "works"
        assert made[4:] == ["low works", "low probe"]


def test_a_probe_in_a_lower_tier_leads_when_nothing_above_can_be_asked() -> None:
    views = [
        view("parked", available=away(Standing.PARKED, 9.0)),
        view("probe", tier=1, available=away(Standing.PROBE)),
        view("works", tier=1),
    ]
    assert list(plan(views).attempts()) == ["probe", "works"]


def test_a_request_that_cannot_afford_a_failure_does_not_probe() -> None:
    views = [view("probe", available=away(Standing.PROBE)), view("works", tier=1)]
    assert list(plan(views, wish=Preference(may_probe=False)).attempts()) == ["works", "probe"]


# What a request prefers

SORTED = [
    view("a", price=3.0, latency=0.2, throughput=50.0, in_flight=9),
    view("b", price=1.0, latency=0.9, throughput=None, in_flight=9),
    view("c", price=None, latency=0.5, throughput=90.0),
]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [(Sort.PRICE, "bac"), (Sort.LATENCY, "acb"), (Sort.THROUGHPUT, "cab")],
)
def test_a_request_may_choose_what_counts(sort: Sort, expected: str) -> None:
    for seed in range(10):
        made = plan(SORTED, seed=seed, wish=Preference(sort=sort))
        assert "".join(made.attempts()) == expected


def test_among_equals_the_load_decides() -> None:
    views = [view("busy", price=1.0, in_flight=5), view("calm", price=1.0), view("dear", price=2.0)]
    assert list(plan(views, wish=Preference(sort=Sort.PRICE)).attempts()) == [
        "calm",
        "busy",
        "dear",
    ]


def test_a_probe_does_not_jump_the_queue_of_a_sorted_request() -> None:
    cheap, dear = view("cheap", price=1.0), view("dear", price=9.0, available=away(Standing.PROBE))
    by_price = Preference(sort=Sort.PRICE)
    assert list(plan([cheap, dear], wish=by_price).attempts()) == ["cheap", "dear"]
    cheapest = view("cheapest", price=0.5, available=away(Standing.PROBE))
    assert next(plan([cheap, cheapest], wish=by_price).attempts()) == "cheapest"


# Stickiness

NAMES = [f"endpoint{number}" for number in range(8)]


def owner_of(prefix: int, views: Sequence[View]) -> str:
    return next(plan(views, seed=prefix, wish=Preference(prefix=prefix)).attempts())


def test_equal_beginnings_go_to_the_same_place_whatever_the_draw() -> None:
    views = [view(name) for name in NAMES]
    wish = Preference(prefix=fingerprint(b"You are a helpful assistant."))
    assert len({next(plan(views, seed=s, wish=wish).attempts()) for s in range(50)}) == 1


def test_beginnings_spread_over_all_in_proportion_to_weight() -> None:
    views = [view("heavy", weight=3.0), view("light")]
    owners = Counter(owner_of(fingerprint(str(n).encode()), views) for n in range(DRAWS))
    assert owners["heavy"] / DRAWS == pytest.approx(0.75, abs=0.03)


def test_when_a_place_goes_only_its_own_beginnings_move() -> None:
    views = [view(name) for name in NAMES]
    for prefix in range(300):
        owner = owner_of(prefix, views)
        for gone in NAMES:
            left = [one for one in views if one.candidate != gone]
            assert (owner_of(prefix, left) != owner) == (gone == owner)


@pytest.mark.parametrize("standing", [Standing.EJECTED, Standing.PARKED, Standing.DEAD])
def test_an_owner_that_is_away_is_replaced_by_the_same_second_for_all(standing: Standing) -> None:
    views = [view(name) for name in NAMES]
    owner = owner_of(4, views)
    rest = [one for one in views if one.candidate != owner]
    second = owner_of(4, rest)
    wish = Preference(prefix=4)
    for seed in range(20):
        made = plan([view(owner, available=away(standing)), *rest], seed=seed, wish=wish)
        assert next(made.attempts()) == second


def test_an_owner_with_too_much_to_do_is_passed_over() -> None:
    names = ["a", "b"]
    owner = owner_of(0, [view(name) for name in names])
    [other] = set(names) - {owner}
    assert owner_of(0, [view(owner, in_flight=8), view(other, in_flight=2)]) == owner
    assert owner_of(0, [view(owner, in_flight=8), view(other, in_flight=1)]) == other


def test_an_idle_neighbour_whose_latency_faded_does_not_lure_the_owner_away() -> None:
    names = ["a", "b"]
    owner = owner_of(0, [view(name) for name in names])
    [other] = set(names) - {owner}
    assert owner_of(0, [view(owner, in_flight=7), view(other, latency=1e-9)]) == owner


def test_the_owner_is_passed_over_for_what_works_not_for_a_probe() -> None:
    names = ["a", "b"]
    owner = owner_of(0, [view(name) for name in names])
    [other] = set(names) - {owner}
    probe = view(other, available=away(Standing.PROBE), latency=1e-9)
    assert owner_of(0, [view(owner, in_flight=100), probe]) == owner


def test_fingerprints_and_scores_are_the_same_on_every_machine() -> None:
    assert fingerprint(b"") == 13020603013274838756
    assert fingerprint(b"a") == 3405396810240292928
    assert score(1, 2, 1.0) == pytest.approx(3.2871050858245767)
    assert score(2**64 - 1, 0, 1.0) == pytest.approx(0.9955590939291913)
    assert score(1, 2, 3.0) == pytest.approx(3 * score(1, 2, 1.0))
