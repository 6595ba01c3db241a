"""Latencies: their draws, their sums, their text form, and the moments made of them."""

import itertools
import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.simulator.behaviour import Behaviour
from router.simulator.latency import Latency
from router.simulator.profile import Profile
from router.simulator.timing import Timing


def test_a_fixed_latency_is_always_the_same() -> None:
    rng = random.Random(1)
    assert {Latency.fixed(0.3).draw(rng) for _ in range(10)} == {0.3}


def test_lognormal_draws_have_the_median_and_spread_asked_for() -> None:
    rng = random.Random(1)
    draws = [Latency.lognormal(0.3, 0.5).draw(rng) for _ in range(20_000)]
    assert statistics.median(draws) == pytest.approx(0.3, rel=0.03)
    assert statistics.stdev(map(math.log, draws)) == pytest.approx(0.5, rel=0.03)


def test_stragglers_are_a_share_and_slower_by_a_factor() -> None:
    rng = random.Random(1)
    latency = Latency.lognormal(0.1, 0.0, straggler_share=0.1, straggler_factor=20.0)
    draws = [latency.draw(rng) for _ in range(20_000)]
    assert set(draws) == {0.1, 2.0}
    assert draws.count(2.0) / len(draws) == pytest.approx(0.1, rel=0.1)


def test_offsets_of_a_fixed_latency_are_exact_products() -> None:
    offsets = Latency.fixed(0.1).offsets(random.Random(1))
    assert list(itertools.islice(offsets, 30)) == [0.1 * number for number in range(30)]


@given(st.integers(), st.floats(0, 10), st.floats(0, 1))
def test_offsets_start_at_zero_and_never_go_back(seed: int, median: float, sigma: float) -> None:
    latency = Latency(median, sigma, straggler_share=0.2)
    offsets = list(itertools.islice(latency.offsets(random.Random(seed)), 20))
    assert offsets[0] == 0.0
    assert offsets == sorted(offsets)


@pytest.mark.parametrize(
    ("text", "latency"),
    [
        ("0.3", Latency.fixed(0.3)),
        ("0.3:0.5", Latency.lognormal(0.3, 0.5)),
        ("1:0.5:0.01:6", Latency.lognormal(1, 0.5, straggler_share=0.01, straggler_factor=6)),
    ],
)
def test_the_text_form_is_read(text: str, latency: Latency) -> None:
    assert Latency.parse(text) == latency


@pytest.mark.parametrize("text", ["", "fast", "-1", "nan", "inf", "1:2:3", "1:1:0.5:2:9"])
def test_a_text_that_is_no_latency_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Latency.parse(text)


def test_an_ordered_pace_replaces_the_drawn_one_part_by_part() -> None:
    profile = Profile(ttft=Latency.fixed(1), gap=Latency.fixed(2), whole=Latency.fixed(50))
    plain = Timing.of(profile, Behaviour(), random.Random(1))
    assert list(itertools.islice(plain.tokens(), 3)) == [1, 3, 5]
    assert plain.ready(3) == 50
    ordered = Timing.of(profile, Behaviour(gap=0.5), random.Random(1))
    assert list(itertools.islice(ordered.tokens(), 3)) == [1, 1.5, 2]
    assert ordered.ready(4) == 3
