"""What an attempt leaves in the live picture of its endpoint."""

from random import Random

import pytest

from router.errors import UpstreamOverloaded
from router.exchange.live import (
    PENALTY_SECONDS,
    UNKNOWN_LATENCY_SECONDS,
    HedgeSettings,
    LiveEndpoint,
    LiveEndpoints,
    Run,
)
from tests.unit.test_exchange_endpoint import candidate


@pytest.fixture
def live() -> LiveEndpoint:
    return LiveEndpoints("syzeai/1", HedgeSettings()).of(candidate())


def latency(live: LiveEndpoint, now: float) -> float:
    return live.view("stream", tier=0, now=now).latency


def test_a_loser_that_outlasted_what_was_expected_makes_its_endpoint_look_slow(
    live: LiveEndpoint,
) -> None:
    Run(live.contender("stream"), 0.0).abandoned(3.0)
    assert latency(live, 3.0) == 3.0


def test_a_loser_that_was_stopped_early_says_nothing_good(live: LiveEndpoint) -> None:
    Run(live.contender("stream"), 0.0).abandoned(0.1)
    assert latency(live, 0.1) == UNKNOWN_LATENCY_SECONDS


def test_an_answer_that_had_begun_counts_by_its_first_token_however_it_ends(
    live: LiveEndpoint,
) -> None:
    run = Run(live.contender("stream"), 0.0)
    run.committed(1.0)
    run.abandoned(60.0)
    assert latency(live, 1.0) == 1.0


def test_a_fast_failure_does_not_look_like_a_fast_answer(live: LiveEndpoint) -> None:
    Run(live.contender("stream"), 0.0).failed(UpstreamOverloaded("m"), now=0.01, rng=Random(1))
    assert latency(live, 0.01) == PENALTY_SECONDS


def test_an_attempt_has_one_outcome_and_is_in_flight_until_then(live: LiveEndpoint) -> None:
    run = Run(live.contender("stream"), 0.0)
    assert live.picture.in_flight == 1
    run.committed(1.0)
    run.completed(2.0)
    run.abandoned(2.0)
    assert live.picture.in_flight == 0


def test_streams_and_whole_answers_are_timed_apart(live: LiveEndpoint) -> None:
    Run(live.contender("whole"), 0.0).abandoned(20.0)
    assert latency(live, 20.0) == UNKNOWN_LATENCY_SECONDS
