"""Scenarios small enough to be worked out by hand, each with the figures that must come out."""

import pytest

from router.simulation.world import World
from tests.unit.simulated_play import endpoint, play, report, scenario

TEN = {"rate": 1, "requests": 10}
MINUTE = {"rate": 2, "seconds": 57}  # so that nobody's patience of 3 s reaches the next one


def test_one_steady_endpoint_answers_everything_in_its_own_time() -> None:
    figures = play(endpoint(price=0.25), traffic=TEN)
    assert list(figures.first_token) == [pytest.approx(0.3)] * 10
    assert figures.attempts == figures.requests == 10
    assert figures.cost == 2.5
    assert figures.hedges == 0


def test_the_same_seed_gives_the_same_run_and_another_one_another() -> None:
    def times(seed: int) -> list[float]:
        traffic = {"rate": 50, "requests": 300, "seed": seed}
        return list(play(endpoint(sigma=0.5, count=3), traffic=traffic).first_token)

    assert times(1) == times(1)
    assert times(1) != times(2)


def test_another_policy_meets_the_same_arrivals() -> None:
    traffic = {"rate": 50, "seconds": 20}
    straggling = endpoint(sigma=0.5, count=3, straggler_share=0.1)
    hedging, not_hedging = (
        play(straggling, traffic=traffic, race={"hedge": hedge, "slow_first_token": 100})
        for hedge in (True, False)
    )
    assert hedging.requests == not_hedging.requests
    assert hedging.hedges > 0
    assert not_hedging.hedges == 0


def test_arrivals_come_at_the_rate_that_was_asked_for() -> None:
    figures = play(traffic={"rate": 200, "seconds": 50})
    assert figures.requests == pytest.approx(10_000, rel=0.05)


def test_a_tier_that_is_slow_is_joined_by_the_next() -> None:
    figures = play(
        endpoint("slow", median=20, price=1),
        endpoint("spare", tier=1, price=2),
        race={"slow_first_token": 2, "hedge": False},
    )
    assert list(figures.first_token) == [pytest.approx(2.3)]
    assert (figures.attempts, figures.hedges, figures.hedges_won) == (2, 1, 1)
    assert figures.cost == 3  # the loser is paid whole


def test_silence_lasts_as_long_as_the_limit_and_costs_nothing() -> None:
    figures = play(
        endpoint("mute", price=1),
        endpoint("spare", tier=1, price=2),
        outage=[{"endpoint": "mute", "from": 0, "kind": "silence"}],
        timeouts={"first_byte": 5},
    )
    assert list(figures.first_token) == [pytest.approx(5.3)]
    assert figures.cost == 2
    assert figures.attempts_by_endpoint == {"mute": 1, "spare": 1}


def test_a_refusal_is_made_good_by_the_other_of_the_tier() -> None:
    figures = play(endpoint("bad", error_share=1), endpoint("good"), traffic=TEN)
    assert len(figures.first_token) == 10
    assert {round(seconds, 6) for seconds in figures.first_token} == {0.3, 0.35}


def test_a_request_ends_with_its_whole_time() -> None:
    figures = play(endpoint(median=5), traffic=TEN, timeouts={"total": 2})
    assert not figures.first_token
    assert len(figures.failed_at) == 10


def test_a_shift_changes_all_times_from_its_moment_on() -> None:
    figures = play(
        traffic={"rate": 10, "requests": 100},
        shift=[{"at": 2, "factor": 3}, {"at": 6, "factor": 0.5}],
    )
    assert sorted({round(seconds, 6) for seconds in figures.first_token}) == [0.15, 0.3, 0.9]


def test_progress_counts_every_arrival() -> None:
    steps: list[int] = []
    World(scenario(traffic={"rate": 100, "requests": 2500})).play(steps.append)
    assert sum(steps) == 2500
    assert len(steps) == 3


def test_nothing_answered_has_no_percentiles() -> None:
    summary = report(endpoint(error_share=1), traffic=TEN)
    assert summary.first_token.p50 is None
    assert summary.success_share == 0


# Limits: ten a minute


def test_a_key_over_its_limit_is_left_alone_until_the_next_minute() -> None:
    figures = play(endpoint(limit=10, refusal=0), traffic=MINUTE)
    assert len(figures.first_token) == 10
    assert figures.attempts == 11  # one was told, and nobody asked again


def test_endpoints_behind_one_key_share_its_limit() -> None:
    figures = play(
        endpoint("a", key="k", limit=10), endpoint("b", key="k", limit=10), traffic=MINUTE
    )
    assert len(figures.first_token) == 10


def test_copies_without_a_key_have_a_limit_each() -> None:
    figures = play(endpoint(limit=10, count=3), traffic=MINUTE)
    assert len(figures.first_token) == 30


def test_what_is_over_the_limit_goes_to_the_next_tier() -> None:
    figures = play(
        endpoint("cheap", limit=10, refusal=0), endpoint("spare", tier=1), traffic=MINUTE
    )
    assert len(figures.first_token) == figures.requests
    assert figures.attempts_by_endpoint == {"cheap": 11, "spare": figures.requests - 10}


def test_patience_waits_for_the_next_minute() -> None:
    figures = play(
        endpoint(limit=10, refusal=0),
        traffic={"rate": 1, "requests": 15},
        race={"patience": 100},
    )
    assert len(figures.first_token) == 15
    assert figures.attempts == 16
    assert max(figures.first_token) > 20
