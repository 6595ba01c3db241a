"""Sliding percentiles: exact to the bucket, forgetful by time, count and shift, fair to the stopped."""

from random import Random

import pytest

from router.routing.quantile import SlidingQuantile

SETTLED = 1_000


def fed(quantile: SlidingQuantile, seconds: list[float], *, start: float = 0.0) -> float:
    """Observe the samples a hundredth of a second apart; return the time after the last."""
    now = start
    for sample in seconds:
        quantile.observe(sample, now)
        now += 0.01
    return now


def read(quantile: SlidingQuantile, q: float, now: float) -> float:
    value = quantile.read(q, now)
    assert value is not None
    return value


def log_normal(count: int, *, median: float = 0.3, seed: int = 1) -> list[float]:
    rng = Random(seed)
    return [median * rng.lognormvariate(0.0, 0.5) for _ in range(count)]


def test_nothing_is_read_before_enough_samples() -> None:
    quantile = SlidingQuantile(least_samples=20)
    now = fed(quantile, [0.3] * 19)
    assert quantile.read(0.95, now) is None
    quantile.observe(0.3, now)
    assert quantile.read(0.95, now) is not None


def test_percentiles_are_those_of_the_samples() -> None:
    quantile = SlidingQuantile()
    samples = log_normal(SETTLED)
    now = fed(quantile, samples)
    ranked = sorted(samples)
    for q in (0.05, 0.5, 0.95, 0.99):
        assert read(quantile, q, now) == pytest.approx(ranked[int(q * SETTLED)], rel=0.05)


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 0.005, 0.3, 60.0, 86_400.0])
def test_every_duration_has_a_bucket(seconds: float) -> None:
    quantile = SlidingQuantile()
    now = fed(quantile, [seconds] * 100)
    assert read(quantile, 0.5, now) == pytest.approx(max(seconds, 1e-4), rel=0.021)


@pytest.mark.parametrize("seconds", [-0.1, float("inf"), float("nan")])
def test_what_is_no_duration_is_refused(seconds: float) -> None:
    quantile = SlidingQuantile()
    with pytest.raises(ValueError, match="duration"):
        quantile.observe(seconds, 0.0)
    with pytest.raises(ValueError, match="duration"):
        quantile.observe_lower_bound(seconds, 0.0)


def test_samples_older_than_the_window_are_forgotten() -> None:
    quantile = SlidingQuantile(window_seconds=60.0)
    fed(quantile, [0.3] * 100)
    assert quantile.read(0.5, 30.0) is not None
    assert quantile.read(0.5, 61.0) is None
    now = fed(quantile, [0.7] * 20, start=61.0)
    assert read(quantile, 0.5, now) == pytest.approx(0.7, rel=0.02)


@pytest.mark.parametrize("known", [1, 10])
def test_what_was_only_observed_since_the_last_reading_counts_for_the_next(known: int) -> None:
    quantile = SlidingQuantile(least_samples=1)
    now = fed(quantile, [0.3] * known)
    assert read(quantile, 0.5, now) == pytest.approx(0.3, rel=0.02)
    now = fed(quantile, [0.4] * (known + 2), start=now)
    assert read(quantile, 0.5, now) == pytest.approx(0.4, rel=0.02)
    assert read(quantile, 0.05, now) == pytest.approx(0.3, rel=0.02)


def test_samples_beyond_the_windows_count_are_forgotten() -> None:
    quantile = SlidingQuantile(window_samples=320)
    now = fed(quantile, log_normal(400, median=0.30))
    now = fed(quantile, log_normal(320, median=0.33, seed=2), start=now)
    alone = SlidingQuantile(window_samples=320)
    fed(alone, log_normal(320, median=0.33, seed=2))
    assert read(quantile, 0.95, now) == pytest.approx(read(alone, 0.95, now), rel=0.01)


@pytest.mark.parametrize("factor", [3.0, 1.0 / 3.0])
def test_a_shift_by_a_factor_of_three_is_followed_within_two_hundred_samples(factor: float) -> None:
    quantile = SlidingQuantile()
    now = fed(quantile, log_normal(5_000))
    before = read(quantile, 0.95, now)
    now = fed(quantile, log_normal(200, median=0.3 * factor, seed=2), start=now)
    assert read(quantile, 0.95, now) == pytest.approx(before * factor, rel=0.25)


def test_a_steady_distribution_keeps_its_whole_window() -> None:
    quantile = SlidingQuantile(window_samples=320)
    now = fed(quantile, [9.0] * 10)
    now = fed(quantile, log_normal(300), start=now)
    assert read(quantile, 0.98, now) == pytest.approx(9.0, rel=0.03)
    now = fed(quantile, log_normal(20, seed=2), start=now)
    assert read(quantile, 0.98, now) < 2.0


def test_equal_durations_are_no_shift() -> None:
    quantile = SlidingQuantile(window_samples=320)
    now = fed(quantile, [2.0] * 32 + [0.3] * 288)
    assert read(quantile, 0.95, now) == pytest.approx(2.0, rel=0.03)


def test_a_hedge_stopped_early_does_not_drag_the_percentile_down() -> None:
    quantile = SlidingQuantile()
    now = fed(quantile, log_normal(SETTLED))
    before = read(quantile, 0.95, now)
    for _ in range(200):
        quantile.observe_lower_bound(0.001, now)
    assert read(quantile, 0.95, now) == pytest.approx(before, rel=0.03)


def test_a_primary_that_lost_is_remembered_as_slow() -> None:
    quantile = SlidingQuantile()
    now = fed(quantile, log_normal(SETTLED))
    before = read(quantile, 0.9, now)
    for _ in range(80):
        quantile.observe_lower_bound(1.5, now)
    assert read(quantile, 0.9, now) > 1.2 * before


def test_when_nobody_answered_there_is_no_percentile() -> None:
    quantile = SlidingQuantile()
    for index in range(100):
        quantile.observe_lower_bound(2.0, index / 100.0)
    assert quantile.read(0.95, 1.0) is None


def test_when_too_few_answer_the_slowest_answer_stands_for_the_percentile() -> None:
    quantile = SlidingQuantile()
    for index in range(100):
        quantile.observe(0.3, index / 100.0)
        quantile.observe_lower_bound(2.0, index / 100.0)
    assert read(quantile, 0.95, 1.0) == pytest.approx(0.3, rel=0.03)


def test_a_window_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="window"):
        SlidingQuantile(window_seconds=0.0)
    with pytest.raises(ValueError, match="window"):
        SlidingQuantile(resolution=0.0)
    with pytest.raises(ValueError, match="window"):
        SlidingQuantile(slices=0)
    with pytest.raises(ValueError, match="window"):
        SlidingQuantile(window_samples=8, slices=16)
