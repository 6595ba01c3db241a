"""What the workers' room decides and says without waiting: respawning, seats, lines, the page."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from router.config import Config, HeaderValue, ProviderConfig, Secret, load_config
from router.workers.channel import Assignment, decode_assignment, encode_assignment
from router.workers.exposition import merge
from router.workers.process import describe_status
from router.workers.respawn import (
    HOPELESS_STARTS,
    LONGEST_DELAY_SECONDS,
    STEADY_SECONDS,
    Life,
    Respawn,
)
from router.workers.seat import Seats

SHORT = Life(listened=True, seconds=1.0, fault="killed by SIGKILL")
LONG = Life(listened=True, seconds=STEADY_SECONDS, fault="killed by SIGKILL")
STILLBORN = Life(listened=False, seconds=0.2, fault="no such file")

lives = st.builds(
    Life,
    listened=st.booleans(),
    seconds=st.floats(0, 100),
    fault=st.sampled_from(["no such file", "exit code 1"]),
)


def delays(history: list[Life]) -> list[float]:
    respawn = Respawn()
    return [respawn.delay_after(life) for life in history]


def is_hopeless(history: list[Life]) -> bool:
    respawn = Respawn()
    for life in history:
        respawn.delay_after(life)
    return respawn.hopeless


# Respawning


def test_the_first_death_costs_no_time() -> None:
    assert delays([SHORT]) == [0.0]


def test_short_lives_wait_twice_as_long_each_time_up_to_the_bound() -> None:
    assert delays([SHORT] * 10) == [0, 0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_having_served_for_a_while_wipes_the_slate_clean() -> None:
    assert delays([SHORT, SHORT, SHORT, LONG, SHORT]) == [0, 0.5, 1, 0, 0.5]


def test_a_worker_that_hung_at_its_start_has_not_served() -> None:
    hung = Life(listened=False, seconds=60.0, fault="did not listen within 60 seconds")
    assert delays([hung, hung]) == [0, 0.5]


def test_the_same_fault_at_each_start_is_hopeless() -> None:
    assert not is_hopeless([STILLBORN] * (HOPELESS_STARTS - 1))
    assert is_hopeless([STILLBORN] * HOPELESS_STARTS)


def test_other_faults_and_starts_that_succeed_leave_hope() -> None:
    other = msgspec.structs.replace(STILLBORN, fault="exit code 1")
    assert not is_hopeless([STILLBORN, other] * HOPELESS_STARTS)
    assert not is_hopeless([STILLBORN, STILLBORN, SHORT, STILLBORN, STILLBORN])
    assert not is_hopeless([SHORT] * 100)


@given(st.lists(lives, max_size=60))
def test_no_history_waits_beyond_the_bound_or_twice_at_no_time(history: list[Life]) -> None:
    told = delays(history)
    assert all(0 <= delay <= LONGEST_DELAY_SECONDS for delay in told)
    for life, before, after in zip(history[1:], told, told[1:], strict=False):
        steady = life.listened and life.seconds >= STEADY_SECONDS
        assert after == 0 if steady else after >= max(before, 0.5)


# Seats


@given(st.lists(st.one_of(st.none(), st.integers(0, 9)), max_size=60))
def test_a_seat_is_the_lowest_number_that_nobody_has(moves: list[int | None]) -> None:
    seats, taken = Seats(), set[int]()
    for move in moves:
        if move is None:
            index = seats.take()
            assert index == min(set(range(len(taken) + 1)) - taken)
            taken.add(index)
        elif move in taken:
            seats.give_back(move)
            taken.remove(move)


def test_a_seat_is_not_given_back_twice() -> None:
    seats = Seats()
    seats.give_back(seats.take())
    with pytest.raises(KeyError):
        seats.give_back(0)


# The channel


def test_an_assignment_arrives_as_it_was_sent_secrets_included(tmp_path: Path) -> None:
    config = Config(
        providers={
            "mine": ProviderConfig(
                base_url="http://127.0.0.1:9/v1",
                key=Secret("hidden-1"),
                keys=[Secret("hidden-2")],
                headers={"x-team": HeaderValue("hidden-3")},
            )
        }
    )
    sent = Assignment(3, str(tmp_path), [5, 6], config)
    line = encode_assignment(sent)
    assert b"\n" not in line
    received = decode_assignment(line)
    assert received == sent
    assert type(received.config.providers["mine"].headers["x-team"]) is HeaderValue
    assert "hidden" not in repr(received)


def test_a_configuration_as_it_is_read_arrives_whole(tmp_path: Path) -> None:
    file = tmp_path / "syze.toml"
    file.write_text(
        '[providers.openai]\nkey = "env:K"\n'
        '[providers.mine]\nbase_url = "http://127.0.0.1:9/v1"\n'
        'models = ["a", { upstream = "b", id = "short" }]\n'
        '[models."fast"]\ntarget = "mine/a"\nfallbacks = ["openai/gpt-4o"]\n'
    )
    config = load_config(file, {"HOME": str(tmp_path), "K": "sk"})
    sent = Assignment(0, "folder", [], config)
    assert decode_assignment(encode_assignment(sent)) == sent


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "exit code 0"),
        (1, "exit code 1"),
        (-9, "killed by SIGKILL"),
        (-63, "killed by signal 63"),
    ],
)
def test_an_exit_status_is_told_in_words(status: int, words: str) -> None:
    assert describe_status(status) == words


# The page of all workers

label_values = st.text(max_size=12)


def page(requests: dict[str, float], level: float) -> bytes:
    """One worker's page, as the library writes it."""
    registry = CollectorRegistry()
    counter = Counter("c", "Counted.\nTwice.", ("model",), registry=registry)
    for model, count in requests.items():
        counter.labels(model).inc(count)
    Gauge("g", "A level {not a label}.", registry=registry).set(level)
    Histogram("h", "Times.", ("model",), buckets=(1, 2), registry=registry).labels("m").observe(1.5)
    return generate_latest(registry)


def samples(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    found: dict[Any, float] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            found[sample.name, frozenset(sample.labels.items())] = sample.value
    return found


@given(
    st.dictionaries(
        st.integers(0, 9),
        st.tuples(
            st.dictionaries(label_values, st.integers(1, 9).map(float), max_size=3),
            st.floats(-9, 9),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_every_sample_of_every_worker_is_told_once_with_its_number(
    told: dict[int, tuple[dict[str, float], float]],
) -> None:
    pages = {index: page(requests, level) for index, (requests, level) in told.items()}
    expected = {
        (name, labels | {("worker", str(index))}): value
        for index, text in pages.items()
        for (name, labels), value in samples(text).items()
    }
    expected |= {("syze_worker_up", frozenset({("worker", str(i))})): 1.0 for i in pages}
    merged = merge(pages)
    assert samples(merged) == expected
    headings = [line.split(b" ")[2] for line in merged.split(b"\n") if line.startswith(b"# TYPE")]
    assert len(headings) == len(set(headings))


def test_silent_workers_are_told_of() -> None:
    merged = merge({1: page({}, 1.0)}, silent=[2, 0])
    ups = [line for line in merged.decode().splitlines() if line.startswith("syze_worker_up")]
    assert ups == [
        'syze_worker_up{worker="0"} 0.0',
        'syze_worker_up{worker="1"} 1.0',
        'syze_worker_up{worker="2"} 0.0',
    ]
