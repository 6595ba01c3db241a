"""When what is in use comes free: the local engine's exact answer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from limiter.demand import Demand, Limits
from limiter.local import LocalLimiter
from limiter.local_reservation import LocalReservation
from limiter.table import Table

SUBJECT = "key:k"
DEMANDS = [Demand(subject=SUBJECT, limits=Limits(tokens=1_000_000))]


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[list[Table]]:
    with Table.open(tmp_path) as first, Table.open(tmp_path) as second:
        first.look()
        yield [first, second]


def take(limiter: LocalLimiter, *, tokens: int, now: float) -> LocalReservation:
    taken = limiter.reserve(DEMANDS, tokens=tokens, now=now)
    assert isinstance(taken, LocalReservation)
    return taken


def test_what_was_never_used_has_nothing_coming(tables: list[Table]) -> None:
    assert LocalLimiter(tables[0]).schedule(SUBJECT, now=5.0) == ([], [])


def test_use_comes_free_bucket_by_bucket_the_soonest_first(tables: list[Table]) -> None:
    limiter = LocalLimiter(tables[0])
    for now, tokens in ((100.9, 7), (103.0, 20), (103.5, 1)):
        take(limiter, tokens=tokens, now=now)
    requests, tokens_coming = limiter.schedule(SUBJECT, now=110.0)
    assert requests == [(51.0, 1), (54.0, 2)]
    assert tokens_coming == [(51.0, 7), (54.0, 21)]
    assert limiter.schedule(SUBJECT, now=161.0) == ([(3.0, 2)], [(3.0, 21)])


def test_the_rows_of_all_workers_are_added_up(tables: list[Table]) -> None:
    first, second = (LocalLimiter(table) for table in tables)
    take(first, tokens=7, now=100.0)
    take(second, tokens=5, now=100.0)
    take(second, tokens=1, now=101.0)
    assert first.schedule(SUBJECT, now=110.0)[1] == [(51.0, 12), (52.0, 1)]


def test_what_was_given_back_does_not_come(tables: list[Table]) -> None:
    limiter = LocalLimiter(tables[0])
    take(limiter, tokens=7, now=100.0).release(now=101.0)
    take(limiter, tokens=9, now=102.0).settle(tokens=0, now=103.0)
    assert limiter.schedule(SUBJECT, now=110.0) == ([(53.0, 1)], [])


def test_it_tells_the_use_of_the_standing(tables: list[Table]) -> None:
    limiter = LocalLimiter(tables[0])
    for now in range(100, 190, 7):
        take(limiter, tokens=now, now=now)
        standing = limiter.standing(SUBJECT, now=now)
        requests, tokens = limiter.schedule(SUBJECT, now=now)
        assert sum(amount for _, amount in requests) == standing.used_requests
        assert sum(amount for _, amount in tokens) == standing.used_tokens
        assert tokens[-1][0] == standing.tokens_reset
