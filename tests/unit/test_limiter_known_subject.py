"""What a worker remembers of subjects: a help that may be forgotten at any time, and never misleads."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from limiter.demand import Demand, Limits, Refusal
from limiter.known_subject import OTHERS, OWN, SHELVES, UNKNOWN, KnownSubjects, digest_of
from limiter.local import LocalLimiter
from limiter.table import Table

KEY = Demand(subject="key:a", limits=Limits(requests=2))
NOW = 1000.0


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[list[Table]]:
    opened = [Table.open(tmp_path, first_capacity=8) for _ in range(2)]
    yield opened
    for table in opened:
        table.close()


def use(limiter: LocalLimiter, demand: Demand, now: float = NOW) -> None:
    answer = limiter.reserve([demand], tokens=1, now=now)
    assert not isinstance(answer, Refusal)
    answer.settle(tokens=1, now=now)


def test_at_least_the_digest_is_known_and_rows_are_added_as_they_are_found() -> None:
    known = KnownSubjects()
    known.expect(2, version=1)
    assert known.get("key:a") == (*digest_of("key:a"), 0, UNKNOWN, UNKNOWN)
    known.keep("key:a", OWN, 64)
    known.keep("key:a", OTHERS + 1, ~7)
    assert known.get("key:a") == (*digest_of("key:a"), 64, UNKNOWN, ~7)
    assert known.get("key:b")[OWN] == 0


def test_rows_are_forgotten_when_there_are_other_regions() -> None:
    known = KnownSubjects()
    known.keep("key:a", OWN, 64)
    for subject in ("key:a", "key:b"):
        known.get(subject)
        known.keep(subject, OWN, 64)
    known.expect(1, version=1)
    assert known.get("key:a") == (*digest_of("key:a"), 0, UNKNOWN)
    assert known.get("key:b") == (*digest_of("key:b"), 0, UNKNOWN)


def test_those_that_were_met_first_make_room_for_more() -> None:
    known = KnownSubjects(remembered=2 * SHELVES)
    subjects = [f"key:{number}" for number in range(10 * SHELVES)]
    for subject in subjects:
        known.get(subject)
        known.keep(subject, OWN, 64)
    remembered = [known.get(subject)[OWN] == 64 for subject in reversed(subjects)]
    assert all(remembered[:2])
    assert sum(remembered) <= 2 * SHELVES


def test_a_row_that_was_forgotten_meanwhile_is_not_kept() -> None:
    known = KnownSubjects(remembered=SHELVES)
    known.get("key:a")
    for number in range(50 * SHELVES):
        known.get(f"key:{number}")
    known.keep("key:a", OWN, 64)
    assert known.get("key:a")[OWN] == 0


def test_an_absence_is_looked_up_again_after_an_arrival(tables: list[Table]) -> None:
    ours, theirs = map(LocalLimiter, tables)
    use(ours, KEY)
    use(ours, KEY, now=NOW + 100)
    use(theirs, KEY, now=NOW + 100)
    assert isinstance(ours.reserve([KEY], tokens=1, now=NOW + 100), Refusal)


def test_a_row_that_passed_to_another_subject_is_looked_up_again(tables: list[Table]) -> None:
    ours, theirs = map(LocalLimiter, tables)
    use(theirs, KEY)
    use(ours, KEY)
    later = NOW + 100
    for number in range(20):  # of which one gets their idle row
        stranger = Demand(subject=f"key:{number}", limits=Limits(requests=1))
        use(theirs, stranger, now=later)
    assert tables[1].own is not None
    assert tables[1].own.row_of(*digest_of(KEY.subject)) < 0
    use(ours, KEY, now=later)
    use(theirs, KEY, now=later)
    assert isinstance(ours.reserve([KEY], tokens=1, now=later), Refusal)


def test_a_worker_that_comes_later_is_counted_at_once(tables: list[Table], tmp_path: Path) -> None:
    ours = LocalLimiter(tables[0])
    use(ours, KEY)
    with Table.open(tmp_path) as third:
        use(LocalLimiter(third), KEY)
        assert isinstance(ours.reserve([KEY], tokens=1, now=NOW), Refusal)
