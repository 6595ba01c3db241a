"""Durations in buckets: nothing is lost, and percentiles are those of the durations themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.loadtest.histogram import Histogram


def filled(durations: list[float]) -> Histogram:
    histogram = Histogram()
    for seconds in durations:
        histogram.add(seconds)
    return histogram


def test_an_empty_one_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="nothing"):
        Histogram().percentile(0.5)


@given(
    st.lists(st.floats(min_value=0.0, max_value=10_000.0), min_size=1),
    st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]),
)
def test_a_percentile_is_the_nearest_rank_within_a_half_percent(
    durations: list[float], share: float
) -> None:
    ordered = sorted(durations)
    rank = next(at for at in range(len(ordered)) if (at + 1) / len(ordered) >= share)
    found = filled(durations).percentile(share)
    assert found == pytest.approx(ordered[rank], rel=0.005, abs=2e-6)


@given(st.lists(st.floats(min_value=0.0, max_value=100.0), min_size=1))
def test_its_steps_rise_to_all_of_them_and_to_the_greatest(durations: list[float]) -> None:
    steps = list(filled(durations).steps())
    assert steps == sorted(steps)
    assert steps[-1] == (1.0, max(durations))


def test_many_at_once_are_as_many_one_by_one() -> None:
    once, often = Histogram(), filled([0.25] * 7)
    once.add(0.25, 7)
    assert (once.count, once.mean) == (often.count, often.mean) == (7, 0.25)
    assert list(once.steps()) == list(often.steps())


def test_a_clock_that_went_back_counts_as_no_time() -> None:
    assert filled([-1.0, 0.5]).percentile(0.5) == pytest.approx(0.0, abs=1e-6)
