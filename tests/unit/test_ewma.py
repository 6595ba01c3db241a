"""The peak-sensitive average: up at once, down with time."""

from math import e

import pytest

from router.routing.ewma import PeakEwma


def test_the_initial_value_stands_until_the_first_sample() -> None:
    assert PeakEwma(tau=10.0, initial=0.3).read(1_000.0) == 0.3


def test_a_worse_sample_is_taken_at_once() -> None:
    average = PeakEwma(tau=10.0, initial=0.3)
    average.observe(4.0, 100.0)
    assert average.read(100.0) == 4.0


def test_a_better_sample_weighs_by_the_time_since_the_last() -> None:
    average = PeakEwma(tau=10.0, initial=0.0)
    average.observe(4.0, 100.0)
    average.observe(1.0, 110.0)
    assert average.read(110.0) == pytest.approx(4.0 / e + 1.0 * (1.0 - 1.0 / e))


def test_better_samples_at_the_same_instant_do_not_hide_the_worse_one() -> None:
    average = PeakEwma(tau=10.0, initial=0.0)
    average.observe(4.0, 100.0)
    for _ in range(100):
        average.observe(0.1, 100.0)
    assert average.read(100.0) == 4.0


def test_reading_fades_to_zero_so_that_the_slow_are_tried_again() -> None:
    average = PeakEwma(tau=10.0, initial=0.0)
    average.observe(4.0, 100.0)
    assert average.read(110.0) == pytest.approx(4.0 / e)
    assert average.read(1_000.0) < 1e-30


def test_reading_leaves_no_trace() -> None:
    average = PeakEwma(tau=10.0, initial=0.0)
    average.observe(4.0, 100.0)
    for now in range(101, 120):
        average.read(float(now))
    assert average.read(110.0) == pytest.approx(4.0 / e)


def test_a_memory_of_no_length_is_refused() -> None:
    with pytest.raises(ValueError, match="tau"):
        PeakEwma(tau=0.0, initial=0.3)
