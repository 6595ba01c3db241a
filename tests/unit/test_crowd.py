"""A few drawn from a large tier stand for all of it, and what a request costs does not grow with the tier."""

from collections import Counter
from random import Random

import pytest

from adapters.dialect import Call
from router.catalog.candidate import Candidate
from router.catalog.routes import Route
from router.catalog.wishes import Wish
from router.errors import UpstreamUnreachable
from router.exchange.choice import Choice
from router.exchange.crowd import LEAST_MEMBERS, Crowd
from router.exchange.live import Contender, HedgeSettings, LiveEndpoint, LiveEndpoints, Run
from tests.unit.test_exchange_endpoint import candidate

MANY = 500
ATTEMPTS = 6
CALL = Call(endpoint="chat", model="m", fields={})


def tier_of(count: int, **heavy: float) -> tuple[Candidate, ...]:
    """Candidates m0, m1 and so on; `heavy` has the weights that are not 1."""
    names = [f"m{number}" for number in range(count)]
    return tuple(candidate(upstream_model=name, weight=heavy.get(name, 1.0)) for name in names)


def route_of(*tiers: tuple[Candidate, ...]) -> Route:
    return Route("m", tiers, None, "p")


@pytest.fixture
def live() -> LiveEndpoints:
    return LiveEndpoints("syzeai/1", HedgeSettings())


@pytest.fixture
def choice(live: LiveEndpoints) -> Choice:
    return Choice(live, attempts=ATTEMPTS, rng=Random(3))


def names(line: list[Contender]) -> list[str]:
    return [one.live.endpoint.target.upstream_model for one in line]


def eject(endpoint: LiveEndpoint) -> None:
    for _ in range(5):
        Run(endpoint.contender("whole"), 0.0).failed(
            UpstreamUnreachable("gone"), now=0.0, rng=Random(1)
        )


def test_a_race_looks_at_a_few_of_many(choice: Choice) -> None:
    many, small = tier_of(MANY), tier_of(3)
    [first, second] = choice.contenders(route_of(many, small), CALL, Wish(), 0.0)
    assert ATTEMPTS < len(set(names(first))) == len(first) < LEAST_MEMBERS
    assert sorted(names(second)) == ["m0", "m1", "m2"]


def test_a_small_tier_is_looked_at_whole(choice: Choice) -> None:
    [line] = choice.contenders(route_of(tier_of(LEAST_MEMBERS - 1)), CALL, Wish(), 0.0)
    assert len(line) == LEAST_MEMBERS - 1


@pytest.mark.parametrize("wish", [Wish(sort="price"), Wish(allow_fallbacks=False)])
def test_a_request_that_cares_has_all_to_choose_from(choice: Choice, wish: Wish) -> None:
    [line] = choice.contenders(route_of(tier_of(MANY)), CALL, wish, 0.0)
    assert len(line) == MANY


def test_where_some_are_unwell_a_few_more_are_drawn(choice: Choice, live: LiveEndpoints) -> None:
    tier = tier_of(MANY)
    for one in tier[: MANY // 4]:
        eject(live.of(one))
    sizes = Counter(
        len(choice.contenders(route_of(tier), CALL, Wish(), 0.0)[0]) for _ in range(100)
    )
    assert set(sizes) == {8, 16}


def test_where_few_are_well_all_are_looked_at(choice: Choice, live: LiveEndpoints) -> None:
    tier = tier_of(MANY)
    for one in tier[: MANY - 3]:
        eject(live.of(one))
    [line] = choice.contenders(route_of(tier), CALL, Wish(), 0.0)
    assert len(line) == MANY
    assert sorted(names(line[:3])) == ["m497", "m498", "m499"]


def test_the_first_of_the_few_comes_as_often_as_the_first_of_all(live: LiveEndpoints) -> None:
    tier = tier_of(100, m7=50.0)
    crowd = Crowd(tier, [live.of(one) for one in tier])
    rng = Random(5)
    drawn = Counter(crowd.draw(rng, 16)[0].endpoint.target.upstream_model for _ in range(3000))
    every = Counter(crowd.draw(rng, None)[0].endpoint.target.upstream_model for _ in range(3000))
    assert drawn["m7"] == pytest.approx(1000, abs=100)  # 50 of 149, four standard deviations wide
    assert every["m7"] == pytest.approx(1000, abs=100)
    assert len(drawn) > 90


def test_one_that_outweighs_all_others_leaves_nobody_out(live: LiveEndpoints) -> None:
    tier = tier_of(100, m7=1e12)
    crowd = Crowd(tier, [live.of(one) for one in tier])
    assert len(crowd.draw(Random(5), 16)) == 100


def test_a_tier_that_was_replaced_is_not_remembered(choice: Choice) -> None:
    for count in (
        MANY,
        MANY + 50,
    ):  # made and dropped, so that the second may get the first's place
        route = route_of(tuple(one for one in tier_of(count) if one.upstream_model >= "m4"))
        [line] = choice.contenders(route, CALL, Wish(), 0.0)
        assert min(names(line)) >= "m4"
        assert set(names(line)) <= {one.upstream_model for one in route.candidates}


@pytest.mark.parametrize("sizes", [(2,), (LEAST_MEMBERS - 1,), (MANY,), (1, 1), (3, MANY)])
def test_a_race_among_the_well_begins_with_one_and_learns_of_the_others_later(
    choice: Choice, sizes: tuple[int, ...]
) -> None:
    tiers = [tier_of(sum(sizes))[sum(sizes[:level]) :][:size] for level, size in enumerate(sizes)]
    head, rest = choice.head(route_of(*tiers), CALL, Wish(), 0.0)
    assert [len(tier) for tier in head] == [1]
    assert set(names(head[0])) <= {one.upstream_model for one in tiers[0]}
    assert rest is not None
    assert [len(tier) for tier in rest(0.0)] == [
        len(tier) for tier in choice.contenders(route_of(*tiers), CALL, Wish(), 0.0)
    ]


def test_one_candidate_is_everybody(choice: Choice) -> None:
    head, rest = choice.head(route_of(tier_of(1)), CALL, Wish(), 0.0)
    assert [names(tier) for tier in head] == [["m0"]]
    assert rest is None


def test_a_small_tier_with_one_that_is_unwell_is_looked_at_whole(
    choice: Choice, live: LiveEndpoints
) -> None:
    tier = tier_of(LEAST_MEMBERS - 1)
    eject(live.of(tier[4]))
    head, rest = choice.head(route_of(tier), CALL, Wish(), 0.0)
    assert rest is None
    assert len(head[0]) == len(tier)
    assert names(head[0])[-1] == "m4"


def test_of_a_large_tier_only_the_well_begin(choice: Choice, live: LiveEndpoints) -> None:
    tier = tier_of(100)
    for one in tier[:50]:
        eject(live.of(one))
    first = {
        name
        for _ in range(500)
        for name in names(choice.head(route_of(tier), CALL, Wish(), 0.0)[0][0][:1])
    }
    assert first == {one.upstream_model for one in tier[50:]}


@pytest.mark.parametrize("count", [5, 40])
def test_who_begins_is_whom_the_policy_would_ask_first_of_all(
    live: LiveEndpoints, count: int
) -> None:
    """Two are slow, one weighs more; each begins as often as it leads the whole line."""
    tier = tier_of(count, m1=3.0)
    for slow in tier[:2]:
        run = Run(live.of(slow).contender("whole"), 0.0)
        run.committed(4.0)
        run.completed(4.0)
    route, draws = route_of(tier), 6000
    choice = Choice(live, attempts=ATTEMPTS, rng=Random(11))
    begins = Counter(names(choice.head(route, CALL, Wish(), 4.0)[0][0])[0] for _ in range(draws))
    leads = Counter(names(choice.contenders(route, CALL, Wish(), 4.0)[0])[0] for _ in range(draws))
    for one in tier:
        name = one.upstream_model
        spread = 5.0 * (begins[name] + leads[name] + 1) ** 0.5
        assert abs(begins[name] - leads[name]) <= spread
    assert begins["m2"] > begins["m0"]
