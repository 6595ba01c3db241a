"""The parts of the shared engine that need no server: where keys lie, the breaker, the notes, the URL."""

import pytest

from limiter.demand import Demand, EndedTwice, Limits
from limiter.valkey.books import Books
from limiter.valkey.breaker import Breaker
from limiter.valkey.link import store_at
from limiter.valkey.places import Part, parts, place
from limiter.valkey.reservation import Holding, Note, ValkeyReservation
from limiter.valkey.wire import read_script

NONE = Limits()


def demand(subject: str, credit: int | None = None) -> Demand:
    return Demand(subject=subject, limits=NONE, credit=credit)


def part(subject: str, credit: int | None = None) -> Part:
    return place("p:", subject, None), demand(subject, credit)


def silent_books(room: int = 10) -> Books:
    return Books(room, lambda: None)


# Where keys lie


def test_both_keys_of_a_subject_lie_in_its_tags_slot() -> None:
    found = place("syze:", "key:a", "acc_1")
    assert found.window == "syze:w{acc_1}key:a"
    assert found.gauge == "syze:g{acc_1}key:a"


@pytest.mark.parametrize("subject", ["model:{odd}", "}", "{}"])
def test_braces_in_a_subject_cannot_tear_its_keys_apart(subject: str) -> None:
    found = place("syze:", subject, None)
    inside = [key.partition("{")[2].partition("}")[0] for key in (found.window, found.gauge)]
    assert inside[0] == inside[1] == found.tag
    assert inside[0]


def test_subjects_of_one_tag_are_decided_together_where_tags_lie_apart() -> None:
    demands = [demand("key:a"), demand("tier:t"), demand("account:b")]
    tags = {"key:a": "b", "account:b": "b"}
    groups = parts(demands, tags, prefix="", apart=True)
    assert [[d.subject for _, d in group] for group in groups] == [
        ["key:a", "account:b"],
        ["tier:t"],
    ]


def test_a_single_server_decides_everything_together() -> None:
    groups = parts([demand("a"), demand("b")], {}, prefix="", apart=False)
    assert len(groups) == 1


@pytest.mark.parametrize("subjects", [[], ["a", "a"]])
def test_a_reservation_without_subjects_or_with_one_twice_is_an_error(subjects: list[str]) -> None:
    with pytest.raises(ValueError, match="demand"):
        parts([demand(subject) for subject in subjects], {}, prefix="", apart=False)


# The breaker


def test_the_breaker_is_open_until_the_first_answer() -> None:
    breaker = Breaker(tolerance=3)
    assert breaker.is_open
    breaker.succeeded()
    assert not breaker.is_open


def test_failures_open_the_breaker_only_when_they_follow_one_another() -> None:
    breaker = Breaker(tolerance=2)
    breaker.succeeded()
    for _ in range(3):
        breaker.failed("late")
        assert not breaker.is_open
        breaker.succeeded()
    breaker.failed("late")
    breaker.failed("later")
    assert breaker.is_open
    assert breaker.cause == "later"


def test_a_broken_connection_opens_the_breaker_at_once() -> None:
    breaker = Breaker(tolerance=5)
    breaker.succeeded()
    breaker.broke("refused")
    assert breaker.is_open


# Books and notes


def test_the_books_know_what_runs_and_which_credit_it_holds() -> None:
    books = silent_books()
    counted, uncounted = part("a", credit=100), part("b")
    for credit in (5, 7):
        books.begin([counted, uncounted], credit)
    places = [counted[0], uncounted[0]]
    assert books.figures(places) == [2, 12, 2, 0]
    books.end([counted, uncounted], 5)
    assert books.figures(places) == [1, 7, 1, 0]
    books.end([counted, uncounted], 7)
    assert books.figures(places) == [0, 0, 0, 0]
    assert books.running == {}


def test_debts_of_ended_calls_are_held_together_until_they_are_paid() -> None:
    books = silent_books()
    counted, uncounted = part("a", credit=100), part("b")
    places = [counted[0], uncounted[0]]
    for credit, owed in ((5, 3), (7, 9), (1, 0)):
        books.begin([counted, uncounted], credit)
        books.end([counted, uncounted], credit, owed=owed)
    debts = books.take_debts()
    assert books.take_debts() is None
    assert books.figures(places) == [0, 12, 0, 0]
    books.begin([counted], 20)
    books.end([counted], 20, owed=20)
    assert debts is not None
    debts.paid()
    debts.paid()
    assert books.figures(places) == [0, 20, 0, 0]
    assert [note.places for note in books.next_notes(10)] == [(counted[0],)]
    rest = books.take_debts()
    assert rest is not None
    rest.paid()
    assert books.running == {}


def test_too_many_notes_push_the_oldest_out_and_are_counted() -> None:
    books = silent_books(room=2)
    for bucket in range(5):
        books.note(Note([], bucket))
    assert [note.bucket for note in books.next_notes(10)] == [3, 4]
    assert books.dropped == 3


def test_all_running_subjects_are_noted_in_batches_that_one_call_can_reach() -> None:
    books = silent_books(room=100)
    group = [(place("", f"s{i}", "odd" if i % 2 else "even"), demand(f"s{i}")) for i in range(10)]
    books.begin(group, 0)
    books.note_all_running(apart=True, size=3)
    notes = books.next_notes(100)
    assert [len(note.places) for note in notes] == [3, 2, 3, 2]
    assert all(len({p.tag for p in note.places}) == 1 for note in notes)
    assert sorted(p.subject for note in notes for p in note.places) == [f"s{i}" for i in range(10)]


def test_an_unanswered_debt_is_sent_again_and_an_unanswered_gift_is_not() -> None:
    debt = Note([], 7, requests_back=0, tokens=10)
    assert debt.if_unanswered() == debt
    gift = Note([place("", "a", None)], 7, requests_back=1, tokens=-10)
    assert gift.if_unanswered() == Note(gift.places)


def ended(tokens: int) -> tuple[ValkeyReservation, list[Note]]:
    notes: list[Note] = []
    reservation = ValkeyReservation(
        [Holding([part("a")], 7)],
        tokens=tokens,
        calls=1,
        taken_at=0.0,
        end=lambda _, found, _owed: notes.extend(found),
    )
    return reservation, notes


@pytest.mark.parametrize(("used", "difference"), [(30, -70), (100, 0), (130, 30)])
def test_settling_notes_the_difference(used: int, difference: int) -> None:
    reservation, notes = ended(tokens=100)
    reservation.settle(tokens=used, now=0.0)
    assert [(note.bucket, note.requests_back, note.tokens) for note in notes] == [
        (7, 0, difference)
    ]


def test_a_release_notes_everything() -> None:
    reservation, notes = ended(tokens=100)
    reservation.release(now=0.0)
    assert [(note.bucket, note.requests_back, note.tokens) for note in notes] == [(7, 1, -100)]


def test_a_second_end_is_refused_and_notes_nothing() -> None:
    reservation, notes = ended(tokens=100)
    states = [reservation.ended]
    reservation.settle(tokens=1, now=0.0)
    states.append(reservation.ended)
    assert states == [False, True]
    with pytest.raises(EndedTwice):
        reservation.release(now=0.0)
    with pytest.raises(EndedTwice):
        reservation.settle(tokens=1, now=0.0)
    assert len(notes) == 1


def test_a_use_below_zero_is_refused_and_the_reservation_goes_on() -> None:
    reservation, notes = ended(tokens=100)
    with pytest.raises(ValueError, match="-1"):
        reservation.settle(tokens=-1, now=0.0)
    assert not reservation.ended
    assert notes == []


# The URL and the scripts


@pytest.mark.parametrize("url", ["http://x", "redis+ring://x", "x:6379", "redis+://x"])
def test_a_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected one of"):
        store_at(url, 1.0)


@pytest.mark.parametrize(
    ("url", "cluster"),
    [("valkey://host:1", False), ("rediss://host", False), ("valkeys+cluster://host", True)],
)
def test_a_url_says_whether_it_is_a_cluster(url: str, cluster: bool) -> None:
    assert store_at(url, 1.0).cluster is cluster


def test_every_script_carries_the_shared_part() -> None:
    scripts = [read_script(name) for name in ("reserve", "settle", "standing")]
    assert all("local RING = 61" in script.source for script in scripts)
    assert len({script.digest for script in scripts}) == 3
