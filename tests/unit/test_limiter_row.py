"""What another worker may read of a row after each single store of its writer.

The writer's words are replaced by ones that call a check after every store. At no moment may a running total
lie below its cells, nor may a reader whose clock is fresh enough see less than was taken before the
operation, or is left after it, whichever is less.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from limiter.demand import Demand, Limits, Refusal
from limiter.known_subject import digest_of
from limiter.local import LocalLimiter
from limiter.local_reservation import LocalReservation
from limiter.row import LAST, REQUESTS, TOKENS, cells_since
from limiter.table import Table
from limiter.window import BUCKETS, SLACK
from tests.conftest import SIZE
from tests.properties.limiter_oracle import Call, Oracle

KEY = Demand(subject="key:a", limits=Limits())
STEPS = [0, 0, 0, 1, 1, 2, 5, 30, 58, 59, 60, 61, 62, 63, 64, 65, 70, 500]


class Watched:
    """Words that have `check` called after every store."""

    def __init__(self, words: memoryview, check: Callable[[], None]) -> None:
        self.words = words
        self.check = check

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, at: Any) -> Any:
        return self.words[at]

    def __setitem__(self, at: Any, value: Any) -> None:
        self.words[at] = value
        self.check()


class Play:
    """One worker that takes and gives back at random, while somebody reads after each store."""

    def __init__(self, table: Table, seed: int) -> None:
        assert table.own is not None
        self.own = table.own
        self.limiter = LocalLimiter(table)
        self.rng = Random(seed)
        self.oracle = Oracle()
        self.now = 1000.0
        self.running: list[tuple[LocalReservation, Call]] = []
        self.words = self.own.words
        self.reserve()
        self.row = self.own.row_of(*digest_of(KEY.subject))
        self.before = self.truth()
        self.after = self.truth()
        self.checks = 0

    def reserve(self) -> None:
        answer = self.limiter.reserve([KEY], tokens=10, now=self.now)
        assert not isinstance(answer, Refusal)
        call = self.oracle.take(self, [KEY], tokens=10, credit=0, now=self.now)
        self.running.append((answer, call))

    def truth(self) -> list[tuple[float, int, int]]:
        return [(entry.time, entry.requests, entry.tokens) for entry in self.oracle.entries]

    def step(self) -> None:
        """Do one operation, knowing what will be true after it while it is under way."""
        self.now += self.rng.choice(STEPS)
        self.before = self.truth()
        if self.running and self.rng.random() < 0.6:
            reservation, call = self.running.pop(self.rng.randrange(len(self.running)))
            used = self.rng.choice([0, 4, 10, 25])
            if self.rng.random() < 0.3:
                self.oracle.release(call)
                self.watched(lambda: reservation.release(now=self.now))
            else:
                self.oracle.settle(call, tokens=used, now=self.now)
                self.watched(lambda: reservation.settle(tokens=used, now=self.now))
        else:
            self.watched(self.reserve)

    def watched(self, operation: Callable[[], None]) -> None:
        self.after = self.truth()
        self.own.words = Watched(self.words, self.look)  # type: ignore[assignment]
        operation()
        self.own.words = self.words

    def look(self) -> None:
        self.checks += 1
        last = self.words[self.row + LAST]
        cells = cells_since(self.words, self.row, last - BUCKETS)
        assert self.words[self.row + REQUESTS] >= sum(cell.requests for cell in cells)
        assert self.words[self.row + TOKENS] >= sum(cell.tokens for cell in cells)
        for bucket in range(last - SLACK, last + 2):
            cells = cells_since(self.words, self.row, bucket - BUCKETS)
            requests_seen = sum(cell.requests for cell in cells)
            tokens_seen = sum(cell.tokens for cell in cells)
            for which, seen in ((1, requests_seen), (2, tokens_seen)):
                counting = [
                    sum(entry[which] for entry in truth if entry[0] // 1 >= bucket - BUCKETS)
                    for truth in (self.before, self.after)
                ]
                assert seen >= min(counting), f"a reader in bucket {bucket} saw {seen}"

    def totals_are_exact(self) -> None:
        last = self.words[self.row + LAST]
        cells = cells_since(self.words, self.row, last - BUCKETS)
        assert self.words[self.row + REQUESTS] == sum(cell.requests for cell in cells)
        assert self.words[self.row + TOKENS] == sum(cell.tokens for cell in cells)


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    with Table.open(tmp_path) as table:
        yield table


@pytest.mark.parametrize("seed", range(3))
def test_i2_after_no_store_does_a_reader_see_less_than_is_taken(table: Table, seed: int) -> None:
    play = Play(table, seed)
    for _ in range(400 * SIZE):
        play.step()
        play.totals_are_exact()
        play.oracle.entries = [
            entry for entry in play.oracle.entries if entry.time > play.now - 100
        ]
    assert play.checks > 1000
