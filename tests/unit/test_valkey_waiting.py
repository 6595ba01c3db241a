"""Answers and those who asked for them: whoever leaves, and whenever, nothing stays taken."""

import pytest

from limiter.demand import Demand, Limits, Refusal
from limiter.valkey.books import Books
from limiter.valkey.places import Part, place
from limiter.valkey.reservation import Note, ValkeyReservation
from limiter.valkey.waiting import WaitingForReservation

TAKEN = [1, 7, 1_700_000_000_500_000]
LATER = [1, 8, 1_700_000_000_600_000]


def group(*subjects: str) -> list[Part]:
    return [
        (place("", subject, None), Demand(subject=subject, limits=Limits(), credit=100))
        for subject in subjects
    ]


def refusal(wait_microseconds: int) -> list[bytes | int]:
    return [0, 1, b"tokens", 10, 8, 5, wait_microseconds]


@pytest.fixture
def books() -> Books:
    return Books(100, lambda: None)


def waiting(books: Books, *groups: list[Part]) -> WaitingForReservation:
    return WaitingForReservation(groups, tokens=5, credit=3, calls=1, books=books)


def test_an_answer_that_is_waited_for_is_a_reservation_that_runs(books: Books) -> None:
    asked = waiting(books, group("a", "b"))
    asked.read([TAKEN])
    assert asked.answered.is_set()
    assert isinstance(asked.outcome, ValkeyReservation)
    assert asked.outcome.taken_at == 1_700_000_000.5
    assert books.running == {"a": (1, 3), "b": (1, 3)}
    assert not books.notes


def test_more_credit_for_a_running_call_is_no_other_call(books: Books) -> None:
    waiting(books, group("a")).read([TAKEN])
    more = WaitingForReservation([group("a")], tokens=0, credit=4, calls=0, books=books)
    more.read([LATER])
    assert books.running == {"a": (1, 7)}
    assert isinstance(more.outcome, ValkeyReservation)
    with pytest.raises(ValueError, match="no call was taken"):
        more.outcome.settle(tokens=0, now=0.0)
    more.outcome.release(now=0.0)
    assert books.running == {"a": (1, 3)}
    assert [(note.requests_back, note.tokens) for note in books.notes] == [(0, 0)]


@pytest.mark.parametrize("early", [True, False])
def test_an_answer_whose_asker_has_left_is_given_back(books: Books, early: bool) -> None:
    asked = waiting(books, group("a"), group("b"))
    if early:
        asked.leave()
    asked.read([TAKEN, LATER])
    if not early:
        asked.leave()
    assert books.running == {}
    assert [(note.bucket, note.requests_back, note.tokens) for note in books.notes] == [
        (7, 1, -5),
        (8, 1, -5),
    ]


def test_what_some_groups_gave_goes_back_when_another_refused(books: Books) -> None:
    first, second, third = group("a"), group("b"), group("c")
    asked = waiting(books, first, second, third)
    asked.read([refusal(2_000_000), TAKEN, refusal(5_000_000)])
    assert asked.outcome == Refusal(
        subject="c", kind="tokens", limit=10, used=8, asked=5, fits_after=5.0
    )
    assert books.running == {}
    assert list(books.notes) == [Note([second[0][0]], 7, requests_back=1, tokens=-5)]


def test_a_wait_for_running_calls_outlasts_every_other(books: Books) -> None:
    asked = waiting(books, group("a"), group("b"))
    asked.read([refusal(-1), refusal(5_000_000)])
    assert isinstance(asked.outcome, Refusal)
    assert (asked.outcome.subject, asked.outcome.fits_after) == ("a", None)


def test_leaving_after_a_refusal_gives_nothing_back(books: Books) -> None:
    asked = waiting(books, group("a"))
    asked.read([refusal(1)])
    asked.leave()
    assert not books.notes


def test_a_lost_question_has_its_gauges_put_right_and_its_windows_left_alone(books: Books) -> None:
    first = group("a")
    asked = waiting(books, first)
    asked.lose("cut")
    assert asked.away == "cut"
    assert asked.answered.is_set()
    assert list(books.notes) == [Note([first[0][0]])]


def test_a_question_that_was_never_sent_leaves_nothing(books: Books) -> None:
    asked = waiting(books, group("a"))
    asked.fail("closed")
    assert asked.away == "closed"
    assert not books.notes
