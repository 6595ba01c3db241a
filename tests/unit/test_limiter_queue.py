"""Lines of those who wait: who is next, when it tries, who has no place, and what leaving does."""

from itertools import pairwise
from math import inf

import pytest

from limiter.queue import Full, Ticket, WaitingLines


def enter(
    lines: WaitingLines,
    key: str = "a",
    *,
    now: float = 0.0,
    fits_after: float | None = None,
    deadline: float = 3.0,
) -> Ticket:
    ticket = lines.enter(key, now=now, fits_after=fits_after, deadline=deadline)
    assert isinstance(ticket, Ticket)
    return ticket


def test_the_first_tries_when_it_was_told_and_the_others_stand_behind() -> None:
    lines = WaitingLines()
    first, second = enter(lines, now=10.0, fits_after=0.02), enter(lines, now=10.0, fits_after=0.01)
    assert lines.is_head(first)
    assert not lines.is_head(second)
    assert first.try_at == 10.02
    assert second.try_at == inf
    assert second.wake_at == 3.0


def test_a_newcomer_must_not_overtake_its_own_key_and_may_overtake_others() -> None:
    lines = WaitingLines()
    assert not lines.must_wait("a")
    ticket = enter(lines)
    assert lines.must_wait("a")
    assert not lines.must_wait("b")
    lines.leave(ticket, now=0.0)
    assert not lines.must_wait("a")


def test_keys_have_heads_of_their_own() -> None:
    lines = WaitingLines()
    a, b = enter(lines, "a"), enter(lines, "b")
    assert lines.is_head(a)
    assert lines.is_head(b)
    assert lines.leave(a, now=0.0) is None
    assert lines.is_head(b)


def test_whoever_becomes_the_head_may_try_at_once() -> None:
    lines = WaitingLines()
    first, second, third = enter(lines), enter(lines), enter(lines)
    assert lines.leave(first, now=0.7) is second
    assert second.try_at == 0.7
    assert third.try_at == inf


def test_leaving_from_the_middle_wakes_nobody() -> None:
    lines = WaitingLines()
    first, second, third = enter(lines), enter(lines), enter(lines)
    before = first.try_at
    assert lines.leave(second, now=0.01) is None
    assert first.try_at == before
    assert not lines.is_head(second)
    assert lines.leave(first, now=0.02) is third


def test_nobody_leaves_twice() -> None:
    lines = WaitingLines()
    ticket, other = enter(lines), enter(lines)
    lines.leave(ticket, now=0.0)
    with pytest.raises(KeyError):
        lines.leave(ticket, now=0.0)
    assert lines.count == 1
    lines.leave(other, now=0.0)
    with pytest.raises(KeyError):
        lines.leave(other, now=0.0)
    assert lines.count == 0


def test_the_end_of_a_call_lets_the_head_try_at_once() -> None:
    lines = WaitingLines()
    head, behind = enter(lines, fits_after=40.0), enter(lines)
    assert lines.ended("a", now=0.01) is head
    assert head.try_at == 0.01
    assert behind.try_at == inf
    assert lines.ended("b", now=0.01) is None


def test_a_refused_head_looks_again_ever_less_often() -> None:
    lines = WaitingLines()
    head = enter(lines)
    tries = [0.0, head.try_at]
    for _ in range(8):
        lines.postponed(head, now=head.try_at, fits_after=None)
        tries.append(head.try_at)
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert pauses[0] == pytest.approx(0.05)
    assert pauses == sorted(pauses)
    assert pauses[-1] == pytest.approx(0.25)
    assert lines.is_head(head)


def test_a_told_moment_is_kept_to_but_what_others_give_back_is_looked_for_before() -> None:
    lines = WaitingLines()
    head = enter(lines, fits_after=20.0)
    assert head.try_at == pytest.approx(0.05)
    lines.postponed(head, now=0.05, fits_after=0.03)
    assert head.try_at == pytest.approx(0.08)


def test_a_limit_that_says_now_and_refuses_is_not_tried_without_end() -> None:
    lines = WaitingLines()
    head = enter(lines, fits_after=0.0)
    assert head.try_at > 0.0
    lines.postponed(head, now=1.0, fits_after=0.0)
    assert head.try_at > 1.0


def test_it_wakes_to_give_up_if_nothing_comes_before() -> None:
    lines = WaitingLines()
    assert enter(lines, deadline=0.02).wake_at == 0.02
    assert enter(lines, "b", deadline=9.0).wake_at == pytest.approx(0.05)


def test_a_full_line_takes_nobody_until_somebody_leaves() -> None:
    lines = WaitingLines(most_per_key=2, most_in_all=10)
    first, _ = enter(lines), enter(lines)
    assert lines.enter("a", now=0.0, fits_after=None, deadline=3.0) == Full("key", 2)
    enter(lines, "b")
    lines.leave(first, now=0.0)
    enter(lines)
    assert lines.waiting("a") == 2


def test_all_lines_together_have_an_end() -> None:
    lines = WaitingLines(most_per_key=2, most_in_all=3)
    for key in "abc":
        enter(lines, key)
    assert lines.enter("d", now=0.0, fits_after=None, deadline=3.0) == Full("all", 3)
    assert not lines.must_wait("d")
    assert lines.count == 3


@pytest.mark.parametrize("limits", [{"most_per_key": 0}, {"most_in_all": 0}])
def test_lines_without_room_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="room"):
        WaitingLines(**limits)
