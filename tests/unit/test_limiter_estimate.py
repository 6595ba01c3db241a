"""Estimates: a prior before anything is known, then what usage taught, by key and by model; never misled."""

from typing import NamedTuple

import pytest

from limiter.estimate import Estimator
from limiter.habits import Asked
from limiter.prompt import PromptSize
from limiter.weighted import weighted_tokens


class Request(NamedTuple):
    """Who asks which model, and what."""

    key: str
    model: str
    asked: Asked


def asked(
    *,
    key: str = "key_1",
    model: str = "m",
    text_bytes: int = 4_000,
    payloads: int = 0,
    cap: int | None = None,
    choices: int = 1,
) -> Request:
    prompt = PromptSize(text_bytes, payloads)
    return Request(key, model, Asked(prompt=prompt, cap=cap, choices=choices))


def read(estimator: Estimator, request: Request) -> int:
    return estimator.habits_of(request.key, request.model).input_tokens(request.asked.prompt)


def written(estimator: Estimator, request: Request) -> int:
    return estimator.habits_of(request.key, request.model).output_tokens(request.asked)


def taught(
    estimator: Estimator,
    request: Request,
    *,
    times: int,
    input_tokens: int = 0,
    output_tokens: int = 0,
) -> Estimator:
    for _ in range(times):
        habits = estimator.habits_of(request.key, request.model)
        habits.learn(request.asked, input_tokens=input_tokens, output_tokens=output_tokens)
    return estimator


def test_an_unknown_model_is_reserved_generously() -> None:
    assert read(Estimator(), asked(text_bytes=4_000)) == 1_334
    assert read(Estimator(), asked(text_bytes=300, payloads=2)) == 2_100
    assert written(Estimator(), asked()) == 1_000
    assert read(Estimator(bytes_per_token=4.0), asked(text_bytes=4_000)) == 1_000
    assert written(Estimator(output_tokens=250), asked(choices=2)) == 500


def test_input_follows_what_the_model_counts() -> None:
    estimator = taught(Estimator(), asked(text_bytes=4_500), times=200, input_tokens=1_000)
    assert read(estimator, asked(text_bytes=9_000)) == pytest.approx(2_000, rel=0.01)
    assert estimator.habits_of("key_2", "m").output_tokens_of(450) == pytest.approx(100, abs=1)


def test_one_model_teaches_nothing_about_another() -> None:
    estimator = taught(Estimator(), asked(), times=200, input_tokens=800, output_tokens=10)
    other = asked(model="other")
    assert read(estimator, other) == read(Estimator(), other)
    assert written(estimator, other) == 1_000


@pytest.mark.parametrize("absurd", [-7, 0, 1, 10**15])
def test_one_absurd_usage_does_not_spoil_a_model(absurd: int) -> None:
    estimator = taught(Estimator(), asked(), times=100, input_tokens=1_000, output_tokens=200)
    taught(estimator, asked(), times=1, input_tokens=absurd, output_tokens=absurd)
    assert read(estimator, asked()) == pytest.approx(1_000, rel=0.15)
    assert 200 <= written(estimator, asked()) <= 220


def test_images_are_learned_by_the_piece_and_leave_the_text_alone() -> None:
    estimator = taught(Estimator(), asked(), times=100, input_tokens=1_000)
    taught(estimator, asked(payloads=2), times=200, input_tokens=1_500)
    assert read(estimator, asked()) == pytest.approx(1_000, rel=0.02)
    assert read(estimator, asked(payloads=1)) == pytest.approx(1_250, rel=0.03)


def test_the_clients_own_cap_is_what_it_may_get_for_each_choice() -> None:
    estimator = taught(Estimator(), asked(), times=50, output_tokens=700)
    assert written(estimator, asked(cap=64)) == 64
    assert written(estimator, asked(cap=64, choices=3)) == 192
    assert written(estimator, asked(cap=0)) == 0


def test_a_cap_below_zero_is_none() -> None:
    assert written(Estimator(), asked(cap=-1)) == 1_000


def test_output_is_what_the_same_key_got_else_what_the_model_gives() -> None:
    estimator = taught(Estimator(), asked(key="brief"), times=40, output_tokens=50)
    taught(estimator, asked(key="wordy"), times=40, output_tokens=3_000)
    assert 50 <= written(estimator, asked(key="brief")) <= 55
    assert 3_000 <= written(estimator, asked(key="wordy")) <= 3_300
    assert 3_000 <= written(estimator, asked(key="new")) <= 3_300


def test_a_few_answers_are_no_history() -> None:
    estimator = taught(Estimator(), asked(), times=19, output_tokens=50)
    assert written(estimator, asked()) == 1_000
    taught(estimator, asked(), times=1, output_tokens=50)
    assert written(estimator, asked()) <= 55


def test_lengths_are_learned_and_told_by_choice() -> None:
    estimator = taught(Estimator(), asked(choices=4), times=40, output_tokens=400)
    assert 100 <= written(estimator, asked()) <= 110
    assert 200 <= written(estimator, asked(choices=2)) <= 220


def test_an_answer_that_tells_nothing_teaches_nothing() -> None:
    estimator = taught(Estimator(), asked(), times=40, output_tokens=0)
    assert written(estimator, asked()) == 1_000
    assert read(estimator, asked()) == read(Estimator(), asked())


def test_whom_we_know_well_teaches_with_one_answer_of_four() -> None:
    estimator = taught(Estimator(), asked(), times=256, input_tokens=1_000, output_tokens=100)
    learned = 0
    for _ in range(200):
        before = read(estimator, asked())
        taught(estimator, asked(), times=1, input_tokens=1_500)
        learned += read(estimator, asked()) != before
    assert 40 <= learned <= 60
    stranger = asked(key="stranger")
    before = read(estimator, stranger)
    taught(estimator, stranger, times=1, input_tokens=500)
    assert read(estimator, stranger) < before


@pytest.mark.parametrize("period", range(1, 13))
def test_a_rhythm_of_requests_hides_none_of_them(period: int) -> None:
    """One long answer comes after so many short ones, always, and is the percentile from then on."""
    estimator = taught(Estimator(), asked(), times=256, output_tokens=100)
    for _ in range(1_200 // period):
        taught(estimator, asked(), times=period - 1, output_tokens=100)
        taught(estimator, asked(), times=1, output_tokens=3_000)
    assert 3_000 <= written(estimator, asked()) <= 3_300


def test_keys_and_models_beyond_the_bound_are_forgotten() -> None:
    estimator = Estimator(most_habits=2)
    for model in ("a", "b", "c"):
        taught(estimator, asked(model=model), times=30, input_tokens=4_000, output_tokens=50)
    assert written(estimator, asked(model="a")) == 1_000
    assert read(estimator, asked(model="a")) == 1_334
    assert written(estimator, asked(model="c")) <= 55
    for key in ("k1", "k2"):
        taught(estimator, asked(key=key, model="c"), times=30, output_tokens=90)
    assert written(estimator, asked(key="key_1", model="c")) >= 90  # the model's own now


@pytest.mark.parametrize(
    "wrong",
    [{"bytes_per_token": 0.5}, {"payload_tokens": -1}, {"output_tokens": -1}, {"most_habits": 0}],
)
def test_priors_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"prior|answer|room"):
        Estimator(**wrong)


@pytest.mark.parametrize(
    ("read", "cached", "written", "weight", "expected"),
    [
        (100, 0, 20, 0.5, 120),
        (100, 40, 20, 0.5, 100),
        (100, 100, 20, 0.0, 20),
        (100, 100, 20, 1.0, 120),
        (100, 100, 0, 0.55, 55),  # the product of floats is a little above
        (31, 31, 0, 0.1, 4),
        (10, 99, 5, 0.0, 5),  # more cached than read
        (10, -9, 5, 0.5, 15),
        (-1, 0, -1, 0.5, 0),
    ],
)
def test_cached_input_counts_by_its_weight(
    read: int, cached: int, written: int, weight: float, expected: int
) -> None:
    tokens = weighted_tokens(
        input_tokens=read, output_tokens=written, cached_tokens=cached, cached_weight=weight
    )
    assert tokens == expected
