"""What estimates learn with: means that nobody spoils, lengths of answers, and a memory with an end."""

from random import Random

import pytest

from limiter.history import LengthHistory, step_of
from limiter.mean import LearnedMean
from limiter.recent import Recent


def ratio() -> LearnedMean:
    return LearnedMean(3.0, prior_weight=1_000.0, least=1.0, most=8.0)


def test_a_mean_starts_at_its_prior_and_follows_what_it_sees() -> None:
    mean = ratio()
    assert mean.value == 3.0
    mean.learn(4.5, 500.0)
    assert 3.0 < mean.value < 3.2
    for _ in range(100):
        mean.learn(4.5, 500.0)
    assert mean.value == pytest.approx(4.5, rel=0.01)


def test_a_mean_forgets() -> None:
    mean = ratio()
    for _ in range(2_000):
        mean.learn(6.0, 500.0)
    for _ in range(1_000):
        mean.learn(2.0, 500.0)
    assert mean.value == pytest.approx(2.0, abs=0.1)


def test_large_observations_weigh_more_than_small_ones() -> None:
    mean = ratio()
    for _ in range(2_000):
        mean.learn(2.0, 100.0)
        mean.learn(5.0, 300.0)
    assert mean.value == pytest.approx(4.25, abs=0.05)


@pytest.mark.parametrize("absurd", [0.0, 1e-9, 1e12, float("inf")])
def test_one_absurd_observation_hardly_moves_a_mean(absurd: float) -> None:
    mean = ratio()
    for _ in range(300):
        mean.learn(4.0, 50.0)
    before = mean.value
    mean.learn(absurd, 1e15)
    assert abs(mean.value - before) <= 7.0 / 17.0 + 1e-9
    for _ in range(300):
        mean.learn(4.0, 50.0)
    assert mean.value == pytest.approx(4.0, abs=0.1)


def test_a_mean_never_leaves_its_range() -> None:
    mean = ratio()
    for _ in range(1_000):
        mean.learn(1e9, 1e9)
    assert mean.value == pytest.approx(8.0)
    for _ in range(2_000):
        mean.learn(-1e9, 1e9)
    assert mean.value == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(("prior", "weight"), [(0.5, 1.0), (9.0, 1.0), (3.0, 0.0)])
def test_an_impossible_prior_is_refused(prior: float, weight: float) -> None:
    with pytest.raises(ValueError, match="prior"):
        LearnedMean(prior, prior_weight=weight, least=1.0, most=8.0)


def test_the_length_is_exceeded_by_one_answer_in_twenty() -> None:
    rng = Random(1)
    history = LengthHistory()
    lengths = [int(300 * rng.lognormvariate(0.0, 1.0)) for _ in range(256)]
    for length in lengths * 2:  # the second time round it holds the same, whenever it looks
        history.take(step_of(length))
    exact = sorted(lengths)[243]
    assert exact <= history.p95 <= exact * 1.1


@pytest.mark.parametrize("length", [1, 2, 7, 100, 1_000, 131_072, 1_000_000])
def test_a_constant_length_is_hardly_overestimated(length: int) -> None:
    history = LengthHistory()
    for _ in range(30):
        history.take(step_of(length))
    assert length <= history.p95 <= length * 1.1 + 1


@pytest.mark.parametrize("absurd", [0, -5, 10**18])
def test_one_absurd_length_is_not_the_percentile(absurd: int) -> None:
    history = LengthHistory()
    for length in [100] * 19 + [absurd]:
        history.take(step_of(length))
    assert 100 <= history.p95 <= 110


def test_a_length_follows_a_new_habit_within_few_answers() -> None:
    history = LengthHistory()
    for length in [100] * 1_000 + [2_000] * 30:
        history.take(step_of(length))
    assert history.p95 >= 2_000
    for _ in range(300):
        history.take(step_of(100))
    assert history.p95 <= 110
    assert len(history) == 256


def test_a_short_history_has_no_length() -> None:
    history = LengthHistory()
    for _ in range(19):
        history.take(step_of(100))
        assert history.p95 == 0
    history.take(step_of(100))
    assert 100 <= history.p95 <= 110


def test_the_memory_forgets_what_was_used_longest_ago() -> None:
    made: list[str] = []

    def make(key: str) -> str:
        made.append(key)
        return key.upper()

    memory: Recent[str, str] = Recent(2, make)
    assert [memory.obtain(key) for key in "abacabc"] == [*"ABACABC"]
    assert made == [
        *"abcbc"
    ]  # asked for again, `a` stays while `b` makes room for `c`, and `c` for `b`
    assert len(memory) == 2
    with pytest.raises(ValueError, match="room"):
        Recent(0, make)
