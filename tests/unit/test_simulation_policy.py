"""What the simulation is for: the real deciders' answers to stragglers, outages and overload."""

import pytest

from router.simulation.figures import Figures
from tests.unit.simulated_play import Table, endpoint, play, report

TRAFFIC = {"rate": 100, "requests": 20_000}
STRAGGLERS: Table = {"straggler_share": 0.03, "straggler_factor": 10}


@pytest.fixture(scope="module")
def undisturbed_p99() -> float:
    return p99(play(endpoint(sigma=0.5, count=3), traffic=TRAFFIC, race={"hedge": False}))


def p99(figures: Figures) -> float:
    ordered = sorted(figures.first_token)
    return ordered[int(0.99 * len(ordered))]


def test_hedging_takes_most_of_the_stragglers_out_of_the_tail(undisturbed_p99: float) -> None:
    figures = play(endpoint(sigma=0.5, count=3, **STRAGGLERS), traffic=TRAFFIC)
    assert p99(figures) <= 1.4 * undisturbed_p99
    assert figures.attempts <= 1.05 * figures.requests


def test_without_hedging_the_stragglers_are_the_tail(undisturbed_p99: float) -> None:
    figures = play(
        endpoint(sigma=0.5, count=3, **STRAGGLERS), traffic=TRAFFIC, race={"hedge": False}
    )
    assert p99(figures) > 3 * undisturbed_p99


def test_a_larger_budget_is_spent_and_a_smaller_one_kept() -> None:
    def extra(ratio: float, quantile: float) -> float:
        return report(
            endpoint(sigma=0.5, count=3),
            traffic={"rate": 100, "requests": 5000},
            race={"budget_ratio": ratio, "hedge_quantile": quantile},
        ).extra_share

    assert extra(0.01, 0.8) <= 0.01
    assert 0.1 < extra(0.2, 0.85) <= 0.2


def test_everybody_being_slow_is_not_answered_with_more_load() -> None:
    figures = play(
        endpoint(sigma=0.5, count=3),
        traffic={"rate": 100, "seconds": 100},
        outage=[{"endpoint": "*", "from": 30, "to": 60, "kind": "slow", "factor": 10}],
    )
    assert len(figures.first_token) == figures.requests
    assert figures.attempts <= 1.05 * figures.requests


def test_everybody_failing_is_bounded_and_over_when_the_outage_is() -> None:
    figures = play(
        endpoint(count=3),
        traffic={"rate": 100, "seconds": 60},
        outage=[{"endpoint": "*", "from": 20, "to": 40}],
        race={"budget_burst": 20},
    )
    assert figures.attempts <= 1.05 * figures.requests + 20 + 0.1 * 60
    assert 1500 < len(figures.failed_at) <= 2100
    assert min(figures.failed_at) > 19
    assert max(figures.failed_at) < 40.1


def test_an_outage_of_some_is_covered_by_the_others() -> None:
    figures = play(
        endpoint("east", count=2),
        endpoint("west", count=2),
        traffic={"rate": 50, "seconds": 60},
        outage=[{"endpoint": "east", "from": 20, "to": 40}],
    )
    assert len(figures.first_token) == figures.requests


def test_an_endpoint_that_is_back_gets_its_share_again() -> None:
    def asked_east(seconds: float) -> int:
        return play(
            endpoint("east"),
            endpoint("west"),
            traffic={"rate": 50, "seconds": seconds},
            outage=[{"endpoint": "east", "from": 10, "to": 30}],
        ).attempts_by_endpoint["east"]

    before, away, back = asked_east(10), asked_east(30), asked_east(120)
    assert away - before < 30  # enough to be ejected, then a probe now and then
    assert back - away > 0.3 * 50 * (
        120 - 30 - 25 - 30
    )  # a probe within 25 s, a return within 30 s


def test_who_wants_the_cheapest_gets_it() -> None:
    figures = play(
        endpoint("dear", median=0.1, price=2),
        endpoint("cheap", price=1),
        traffic={"rate": 10, "requests": 50, "sort": "price"},
        race={"hedge": False},
    )
    assert figures.attempts_by_endpoint == {"cheap": 50}
