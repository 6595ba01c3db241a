"""Turns: the refused are told different moments, those that fit; promises end, and so does the memory."""

import pytest

from limiter.demand import LimitKind
from limiter.turns import Coming, Promise, Shortage, Turns, spread_evenly

# A thousand tokens were taken in each of ten seconds, and the first of these expires in a second.
TEN_SECONDS: Coming = [(float(second), 1_000) for second in range(1, 11)]


def short(
    amount: int,
    *,
    free: int = 0,
    coming: Coming = TEN_SECONDS,
    subject: str = "key:a",
    kind: LimitKind = "tokens",
) -> Shortage:
    return Shortage(subject=subject, kind=kind, asked=amount, free=free, coming=coming)


def told(turns: Turns, *amounts: int, now: float = 0.0, free: int = 0) -> list[float]:
    return [turns.promise([short(amount, free=free)], now=now).moment - now for amount in amounts]


def test_those_refused_at_once_are_told_one_after_the_other() -> None:
    assert told(Turns(), 1_000, 1_000, 1_000) == [1.0, 2.0, 3.0]


def test_as_many_are_told_the_same_moment_as_fit_in_it() -> None:
    assert told(Turns(), 400, 400, 400, 400, 400) == [1.0, 1.0, 2.0, 2.0, 2.0]


def test_a_small_one_does_not_overtake_a_large_one() -> None:
    assert told(Turns(), 5_000, 100) == [5.0, 6.0]


def test_what_is_free_now_and_what_is_overdrawn_count() -> None:
    assert told(Turns(), 1_000, free=500) == [1.0]
    assert told(Turns(), 500, free=500) == [0.0]
    assert told(Turns(), 1_000, free=-1_500) == [3.0]


def test_beyond_the_window_turns_come_when_the_promised_have_expired_in_turn() -> None:
    turns = Turns(occupied_seconds=60.0, late_seconds=0.0)
    assert told(turns, *[1_000] * 12)[9:] == [10.0, 61.0, 62.0]


def test_the_lateness_of_others_is_waited_for() -> None:
    turns = Turns(occupied_seconds=60.0, late_seconds=2.0)
    assert told(turns, *[1_000] * 11)[10] == 63.0


def test_limits_are_lines_of_their_own() -> None:
    turns = Turns()
    told(turns, 5_000)
    for other in (short(1_000, subject="key:b"), short(1_000, kind="requests")):
        assert turns.promise([other], now=0.0).moment == 1.0


def test_every_limit_must_have_room() -> None:
    turns = Turns()
    both = [
        short(1_000),
        short(1, subject="account:a", kind="requests", coming=[(7.0, 1), (9.0, 1)]),
    ]
    assert turns.promise(both, now=0.0).moment == 7.0
    assert turns.promise([short(1_000)], now=0.0).moment == 7.0
    assert turns.promise(both, now=0.0).moment == 9.0


def test_a_promise_that_nobody_came_for_is_dropped() -> None:
    turns = Turns(late_seconds=1.0)
    coming = [(10.0, 1_000)]
    assert turns.promise([short(1_000, free=1_000, coming=coming)], now=0.0).moment == 0.0
    assert turns.promise([short(1_000, free=1_000, coming=coming)], now=1.0).moment == 11.0
    fresh = Turns(late_seconds=1.0)
    fresh.promise([short(1_000, free=1_000, coming=coming)], now=0.0)
    assert fresh.promise([short(1_000, free=1_000, coming=coming)], now=1.5).moment == 1.5


def test_a_promise_withdrawn_is_somebody_elses_turn() -> None:
    turns = Turns()
    first = turns.promise([short(1_000)], now=0.0)
    second = turns.promise([short(1_000)], now=0.0)
    second.withdraw()
    second.withdraw()
    assert not second.kept
    assert told(turns, 1_000) == [2.0]
    first.withdraw()
    assert told(turns, 1_000) == [2.0]  # the one after it still stands


def test_a_promise_may_be_withdrawn_after_it_was_dropped() -> None:
    turns = Turns()
    old = turns.promise([short(1_000)], now=0.0)
    assert told(turns, 1_000, now=50.0) == [1.0]
    old.withdraw()
    assert told(turns, 1_000, now=50.0) == [2.0]


def test_nobody_is_told_a_moment_before_another_reason_to_wait() -> None:
    assert Turns().promise([short(1_000)], now=0.0, not_before=4.5).moment == 4.5


def test_what_never_fits_is_told_when_all_else_has_expired() -> None:
    assert told(Turns(), 99_000) == [10.0]
    assert Turns().promise([short(5, coming=())], now=3.0).moment == 3.0


def test_nothing_is_promised_beyond_the_horizon() -> None:
    turns = Turns(horizon_seconds=3.0)
    assert told(turns, 1_000, 1_000, 1_000, 1_000, 1_000) == [1.0, 2.0, 3.0, 3.0, 3.0]
    assert not turns.promise([short(1_000)], now=0.0).kept
    assert told(turns, 1_000, now=0.5) == [3.0]


def test_the_memory_of_a_limit_is_bounded() -> None:
    turns = Turns(most_moments=2)
    assert told(turns, 1_000, 1_000, 1_000, 1_000) == [1.0, 2.0, 3.0, 3.0]
    assert told(Turns(most_moments=1), 400, 400, 400, 400) == [1.0, 1.0, 2.0, 2.0]


def test_limits_beyond_the_bound_are_forgotten() -> None:
    turns = Turns(most_limits=1)
    told(turns, 1_000)
    turns.promise([short(1_000, subject="key:b")], now=0.0)
    assert told(turns, 1_000) == [1.0]


def test_use_of_unknown_age_is_spread_over_the_window() -> None:
    schedule = spread_evenly(6_000)
    assert schedule[0] == (1.0, 100)
    assert schedule[-1] == (60.0, 100)
    assert spread_evenly(2) == [(59.0, 1), (60.0, 1)]
    assert sum(amount for _, amount in spread_evenly(12_345)) == 12_345
    assert spread_evenly(-3) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"occupied_seconds": 0.0},
        {"late_seconds": -1.0},
        {"horizon_seconds": 0.0},
        {"most_moments": 0},
    ],
)
def test_promises_without_length_or_room_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="promises"):
        Turns(**wrong)


def test_promises_are_kept_by_default() -> None:
    promise = Turns().promise([short(1_000)], now=0.0)
    assert isinstance(promise, Promise)
    assert promise.kept
