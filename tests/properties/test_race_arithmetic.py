"""The race's arithmetic against models that are too simple to be wrong.

The quantile is held against Efron's reading of the product-limit estimate (each stopped sample hands its
weight to all that lasted longer), and, without stopped samples, against a sorted list; the budget against
a count.
"""

from math import ceil

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from router.routing.budget import AttemptBudget
from router.routing.ewma import PeakEwma
from router.routing.quantile import SlidingQuantile

RESOLUTION = 0.02
ONE_BUCKET = 1.0 + RESOLUTION + 1e-9
SHARES = st.floats(min_value=0.01, max_value=0.99)
SECONDS = st.floats(min_value=0.001, max_value=100.0)
# Far enough apart for each to have a bucket of its own.
DISTINCT_SECONDS = st.integers(min_value=0, max_value=40).map(lambda power: 0.01 * 1.2**power)
SAMPLES = st.lists(st.tuples(DISTINCT_SECONDS, st.booleans()), min_size=1, max_size=49)
PAUSES = st.floats(min_value=0.0, max_value=30.0)


def quantile_of(samples: list[tuple[float, bool]]) -> SlidingQuantile:
    """One slice that holds (seconds, whether answered)."""
    quantile = SlidingQuantile(resolution=RESOLUTION, least_samples=1)
    for seconds, answered in samples:
        if answered:
            quantile.observe(seconds, 0.0)
        else:
            quantile.observe_lower_bound(seconds, 0.0)
    return quantile


def efron(samples: list[tuple[float, bool]], q: float) -> tuple[float | None, float]:
    """The quantile by handing weights to the right, and how near `q` came to a step."""
    ranked = sorted(samples, key=lambda sample: (sample[0], not sample[1]))
    weights = [1.0 / (len(ranked) + 1)] * (len(ranked) + 1)
    so_far, nearest, slowest, found = 0.0, 1.0, None, None
    for index, (seconds, answered) in enumerate(ranked):
        if answered:
            so_far += weights[index]
            slowest = seconds
            nearest = min(nearest, abs(so_far - q))
            if found is None and so_far >= q:
                found = seconds
        else:
            later = len(weights) - index - 1
            for heir in range(index + 1, len(weights)):
                weights[heir] += weights[index] / later
    return (slowest if found is None else found), nearest


@given(SAMPLES, SHARES)
def test_the_quantile_is_efrons(samples: list[tuple[float, bool]], q: float) -> None:
    expected, nearest = efron(samples, q)
    value = quantile_of(samples).read(q, 0.0)
    if expected is None:
        assert value is None
    elif nearest > 1e-9:
        assert value is not None
        assert expected / ONE_BUCKET <= value <= expected * ONE_BUCKET


@given(st.lists(SECONDS, min_size=1, max_size=49), SHARES)
def test_without_stopped_samples_the_quantile_is_the_ranked_one(
    seconds: list[float], q: float
) -> None:
    rank = q * (len(seconds) + 1)
    assume(abs(rank - round(rank)) > 1e-9)
    expected = sorted(seconds)[min(len(seconds), ceil(rank)) - 1]
    value = quantile_of([(sample, True) for sample in seconds]).read(q, 0.0)
    assert value is not None
    assert expected / ONE_BUCKET <= value <= expected * ONE_BUCKET


@given(SAMPLES, st.lists(DISTINCT_SECONDS, max_size=49), SHARES)
def test_a_stopped_sample_never_lowers_the_quantile(
    samples: list[tuple[float, bool]], stopped: list[float], q: float
) -> None:
    samples, stopped = samples[:25], stopped[:24]
    before = quantile_of(samples).read(q, 0.0)
    after = quantile_of([*samples, *((seconds, False) for seconds in stopped)]).read(q, 0.0)
    if before is not None:
        assert after is not None
        assert after >= before * (1.0 - 1e-9)


@given(st.lists(SECONDS, min_size=1, max_size=25), st.integers(1, 24), SHARES)
def test_samples_stopped_before_any_answer_change_nothing(
    seconds: list[float], count: int, q: float
) -> None:
    answers = [(sample, True) for sample in seconds]
    early = [(min(seconds) / 2.0, False)] * count
    assert quantile_of([*answers, *early]).read(q, 0.0) == quantile_of(answers).read(q, 0.0)


@given(
    st.lists(st.tuples(SECONDS, st.booleans(), st.floats(0.0, 5.0)), max_size=200), SHARES, SHARES
)
def test_a_higher_share_never_reads_lower_and_expiry_forgets_all(
    samples: list[tuple[float, bool, float]], one: float, other: float
) -> None:
    quantile = SlidingQuantile(least_samples=1, window_samples=64)
    now = 0.0
    for seconds, answered, pause in samples:
        now += pause
        (quantile.observe if answered else quantile.observe_lower_bound)(seconds, now)
        low, high = quantile.read(min(one, other), now), quantile.read(max(one, other), now)
        assert (low is None) == (high is None)
        if low is not None and high is not None:
            assert low <= high * (1.0 + 1e-9)
    assert quantile.read(one, now + 60.001) is None


@given(st.lists(st.tuples(PAUSES, st.booleans()), max_size=400), st.floats(0.0, 1.0))
def test_extra_attempts_never_exceed_the_share_and_the_floor(
    steps: list[tuple[float, bool]], ratio: float
) -> None:
    budget = AttemptBudget(ratio=ratio, floor_per_second=0.1, burst=3.0, savings_seconds=10.0)
    now, requests, extra = 0.0, 0, 0
    for pause, is_request in steps:
        now += pause
        if is_request:
            budget.deposit(now)
            requests += 1
        else:
            extra += budget.try_spend(now)
        assert extra <= ratio * requests + 3.0 + 0.1 * now + 1e-6


@given(st.lists(st.integers(0, 5), min_size=1, max_size=300))
def test_with_steady_traffic_the_floor_adds_only_its_burst(tries: list[int]) -> None:
    budget = AttemptBudget(ratio=0.05, floor_per_second=0.1, burst=3.0)
    extra = 0
    for index, count in enumerate(tries):
        now = index / 10.0
        budget.deposit(now)
        extra += sum(budget.try_spend(now) for _ in range(count))
        assert extra <= 0.05 * (index + 1) + 3.0 + 1e-6


@given(st.lists(st.tuples(PAUSES, st.booleans()), max_size=100))
def test_whatever_was_spent_ten_seconds_later_one_attempt_is_possible(
    steps: list[tuple[float, bool]],
) -> None:
    budget = AttemptBudget(floor_per_second=0.1, burst=3.0)
    now = 0.0
    for pause, is_request in steps:
        now += pause
        if is_request:
            budget.deposit(now)
        else:
            budget.try_spend(now)
    assert budget.try_spend(now + 10.001)


@given(st.lists(st.tuples(SECONDS, PAUSES), min_size=1, max_size=100))
def test_the_peak_average_stays_between_its_newest_and_its_worst_sample(
    samples: list[tuple[float, float]],
) -> None:
    average = PeakEwma(tau=10.0, initial=0.0)
    now = 0.0
    for sample, pause in samples:
        now += pause
        average.observe(sample, now)
        worst = max(seen for seen, _ in samples)
        assert sample * (1.0 - 1e-9) <= average.read(now) <= worst * (1.0 + 1e-9)


@given(SECONDS, SECONDS, SECONDS, PAUSES)
def test_a_worse_sample_never_gives_a_better_average(
    first: float, one: float, other: float, pause: float
) -> None:
    def after(sample: float) -> float:
        average = PeakEwma(tau=10.0, initial=0.0)
        average.observe(first, 0.0)
        average.observe(sample, pause)
        return average.read(pause)

    assert after(min(one, other)) <= after(max(one, other)) * (1.0 + 1e-9)


@given(SECONDS, st.lists(PAUSES, max_size=20))
def test_reading_the_average_often_changes_nothing(sample: float, pauses: list[float]) -> None:
    watched, alone = PeakEwma(tau=10.0, initial=0.3), PeakEwma(tau=10.0, initial=0.3)
    watched.observe(sample, 0.0)
    alone.observe(sample, 0.0)
    now = 0.0
    for pause in pauses:
        now += pause
        watched.read(now)
    assert watched.read(now) == pytest.approx(alone.read(now))
