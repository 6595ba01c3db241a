"""A worker reduced to its limiter, as a process of its own: it reserves as fast as it can and writes down
what it was given. It may be killed at any instant, and what it wrote is still there.

    python -m tests.faults.hammer FOLDER LOG BUCKET_SECONDS UNTIL

UNTIL is a moment of the machine's monotonic clock. Each record of LOG is one change, `Change`. What is taken
is written down after it was granted, and what ends before it is given back. So the log never tells of more
than the table granted: a kill between the two makes the table the stricter one.
"""

import os
import random
import sys
import time
from collections import deque
from pathlib import Path
from struct import Struct
from typing import NamedTuple

from limiter.demand import Demand, Limits, Refusal
from limiter.errors import StaleTime
from limiter.local import LocalLimiter
from limiter.local_reservation import LocalReservation
from limiter.table import Table

RECORD = Struct("<ddqbbH4x")  # 32 bytes: no record crosses a page, so none is torn by a kill
KEYS = 8
TOKENS = 2_000  # the limit of the first half of the keys
REQUESTS = 200  # the limit of the others
CALLS = 6  # at once, over all keys and processes
MOST_TOKENS = 20  # of one call
MOST_OPEN = 3  # calls of one process
CREDIT = 1_000  # held by each call

ACCOUNT = Demand(subject="account:all", limits=Limits(concurrency=CALLS), credit=CALLS * CREDIT)
DEMANDS = [
    Demand(
        subject=f"key:{number}",
        limits=Limits(tokens=TOKENS) if number < KEYS // 2 else Limits(requests=REQUESTS),
    )
    for number in range(KEYS)
]


class Change(NamedTuple):
    """What a call added to a key, or gave back: signed. `taken_at` is the time that `reserve` was given."""

    seen_at: float
    taken_at: float
    tokens: int
    requests: int
    calls: int
    key: int


class Open(NamedTuple):
    reservation: LocalReservation
    taken: Change


class Hammer:
    """One process: a limiter, a log, and the calls it has open."""

    def __init__(self, limiter: LocalLimiter, log: int) -> None:
        self.limiter = limiter
        self.log = log
        self.rng = random.Random()
        self.open: deque[Open] = deque()

    def strike(self) -> None:
        """Try one call; end an older one where that is needed, and be short of breath after a refusal."""
        key = self.rng.randrange(KEYS)
        tokens = self.rng.randint(1, MOST_TOKENS)
        now = time.monotonic()
        try:
            outcome = self.limiter.reserve(
                [DEMANDS[key], ACCOUNT], tokens=tokens, credit=CREDIT, now=now
            )
        except StaleTime:
            return  # the machine let us wait for long: read the clock again
        if isinstance(outcome, Refusal):
            if self.open:
                self.end()
            time.sleep(self.rng.uniform(0.0, 0.001))
            return
        taken = Change(time.monotonic(), now, tokens, requests=1, calls=1, key=key)
        self.write(taken)
        self.open.append(Open(outcome, taken))
        if len(self.open) == MOST_OPEN:
            self.end()

    def end(self) -> None:
        """End the oldest call: as estimated, below the estimate, or as if it had never been."""
        reservation, taken = self.open.popleft()
        used = self.rng.choice([taken.tokens, taken.tokens, taken.tokens // 2])
        released = self.rng.random() < 0.1
        now = time.monotonic()
        back = taken.tokens if released else taken.tokens - used
        self.write(taken._replace(seen_at=now, tokens=-back, requests=-released, calls=-1))
        if released:
            reservation.release(now=now)
        else:
            reservation.settle(tokens=used, now=now)

    def write(self, change: Change) -> None:
        os.write(self.log, RECORD.pack(*change))


def main(folder: Path, path: Path, bucket_seconds: float, until: float) -> None:
    """Hammer until the moment has come, and end what is open then."""
    with Table.open(folder, bucket_seconds=bucket_seconds) as table:
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        hammer = Hammer(LocalLimiter(table), log)
        while time.monotonic() < until:
            hammer.strike()
        while hammer.open:
            hammer.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
