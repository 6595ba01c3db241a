"""The limits of one machine, hammered by processes on real shared memory, some of which are killed (I1, I2).

What each process was granted is merged and held against the limits afterwards, by sums that know nothing of
buckets. Buckets are shortened, so that a few seconds see several windows; the arithmetic is the same. One run
has the windows of a minute that are served.
"""

import math
import random
import struct
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import pytest

from limiter.demand import Refusal, Standing
from limiter.fence import orders_stores
from limiter.local import LocalLimiter
from limiter.table import Table
from tests.conftest import SIZE
from tests.faults.crowd import ASKED as CROWD_ASKED
from tests.faults.crowd import USED as CROWD_USED
from tests.faults.crowd import caller as crowd_caller
from tests.faults.hammer import (
    ACCOUNT,
    CALLS,
    CREDIT,
    DEMANDS,
    KEYS,
    MOST_TOKENS,
    RECORD,
    REQUESTS,
    TOKENS,
    Change,
)

pytestmark = pytest.mark.skipif(
    not orders_stores(),
    reason="several workers need the memory order of x86-64; elsewhere the second one is refused",
)

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 4
SECONDS, BUCKET, KILL_EVERY = (20.0, 0.1, 1.0) if SIZE >= 10 else (4.0, 0.025, 0.5)
LEAST_USED = 0.97
WINDOW = 60  # buckets
ROW = 61  # buckets in which one counts, its own among them
START = 30.0  # a busy machine starts a process in seconds


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in shared memory, where the machine has it."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


class Run:
    """Processes that hammer one table until `until`, each with a log of its own."""

    def __init__(self, folder: Path, bucket_seconds: float, until: float) -> None:
        self.table = folder / "table"
        self.logs: list[Path] = []
        self.bucket_seconds = bucket_seconds
        self.until = until
        self.processes: list[subprocess.Popen[bytes]] = []
        self.kills = 0
        self._folder = folder

    def start(self) -> None:
        log = self._folder / f"{len(self.logs):03}.log"
        arguments = [self.table, log, repr(self.bucket_seconds), repr(self.until)]
        command = [sys.executable, "-m", "tests.faults.hammer", *map(str, arguments)]
        with log.with_suffix(".err").open("wb") as errors:
            self.processes.append(subprocess.Popen(command, cwd=ROOT, stderr=errors))
        self.logs.append(log)

    def kill_one(self) -> None:
        """Kill the process that hammers for longest, at whatever it is doing, and start another."""
        for number, process in enumerate(self.processes):
            log = self.logs[number]
            if process.returncode is None and log.exists():
                process.kill()
                process.wait()
                self.kills += 1
                self.start()
                return

    def finish(self) -> None:
        """Wait until all have ended; those that were not killed have ended well."""
        for process, log in zip(self.processes, self.logs, strict=True):
            if process.returncode is None:
                code = process.wait(max(0.0, self.until - time.monotonic()) + START)
                assert code == 0, log.with_suffix(".err").read_text()

    def changes(self) -> list[list[Change]]:
        """What every process wrote down."""
        return [
            [Change(*each) for each in RECORD.iter_unpack(log.read_bytes())] for log in self.logs
        ]


@contextmanager
def hammering(folder: Path, *, seconds: float, bucket_seconds: float) -> Iterator[Run]:
    """Four processes at work. The time counts from when all of them are."""
    until = time.monotonic() + seconds + 0.5
    run = Run(folder, bucket_seconds, until)
    try:
        for _ in range(PROCESSES):
            run.start()
        yield run
        run.finish()
    finally:
        for process in run.processes:
            if process.poll() is None:
                process.kill()
            process.wait()


class Amount(NamedTuple):
    at: float
    amount: int


def amounts(run: Run, kind: str, key: int) -> list[Amount]:
    """What a key was charged in the end, by the moments at which it was reserved."""
    charged: Counter[float] = Counter()
    for changes in run.changes():
        for change in changes:
            if change.key == key:
                charged[change.taken_at] += getattr(change, kind)
    return sorted(Amount(at, amount) for at, amount in charged.items())


def fullest_window(charged: list[Amount], window: float) -> int:
    """The most in any half-open span of a window's length. It ends with an admission: (at - window, at]."""
    times = [at for at, _ in charged]
    sums = [0, *accumulate(amount for _, amount in charged)]
    return max(
        (sums[end + 1] - sums[bisect_right(times, at - window)] for end, at in enumerate(times)),
        default=0,
    )


def attainable(limit: int, *, first: float, until: float, bucket_seconds: float) -> int:
    """The most that the documented windows can give from `first` to `until`, whoever asks.

    A bucket counts during the 60 that follow it, so any 61 buckets in a row hold a limit at most. The span is
    cut into such rows, the last one perhaps shorter: limit * (1 + floor(buckets between / 61)).
    """
    between = int(until // bucket_seconds) - int(first // bucket_seconds)
    return limit * (1 + between // ROW)


def most_at_once(histories: list[list[Change]]) -> int:
    """The most calls in flight at one moment. Those of a killed process ended with its last sign of life."""
    moments: list[tuple[float, int]] = []
    for changes in histories:
        moments += [(change.seen_at, change.calls) for change in changes]
        left = sum(change.calls for change in changes)
        if left:
            moments.append((math.nextafter(changes[-1].seen_at, math.inf), -left))
    return max(accumulate(calls for _, calls in sorted(moments)), default=0)


def kind_and_limit(key: int) -> tuple[str, int]:
    return ("tokens", TOKENS) if key < KEYS // 2 else ("requests", REQUESTS)


def judged_until(first: float, run: Run, rollovers: int) -> float:
    """A moment shortly before a rollover, so that what the last one freed could be used up.

    It depends on when the processes began, which a busy machine delays. At least `rollovers` lie before it.
    """
    row = ROW * run.bucket_seconds
    whole = int((run.until - first) / row - 0.9)
    assert whole >= rollovers, "the processes began too late to see several windows"
    return first + (whole + 0.9) * row if whole else run.until


def check(run: Run, *, rollovers: int) -> None:
    """No window over its limit, no call too many, and nearly everything used that could be."""
    for key in range(KEYS):
        kind, limit = kind_and_limit(key)
        charged = amounts(run, kind, key)
        assert fullest_window(charged, WINDOW * run.bucket_seconds) <= limit, key
        first = charged[0].at
        until = judged_until(first, run, rollovers)
        could = attainable(limit, first=first, until=until, bucket_seconds=run.bucket_seconds)
        used = sum(amount for at, amount in charged if at <= until) / could
        assert LEAST_USED <= used <= 1.0, (key, used)
    assert 1 < most_at_once(run.changes()) <= CALLS


def standings(run: Run, now: float) -> dict[str, Standing]:
    """What the table says when all are gone and one more worker has come."""
    with Table.open(run.table, bucket_seconds=run.bucket_seconds) as table:
        limiter = LocalLimiter(table)
        return {
            each.subject: limiter.standing(each.subject, now=now) for each in (*DEMANDS, ACCOUNT)
        }


def still_counting(run: Run, kind: str, key: int, now: float) -> int:
    """What the log says a key has in use at `now`."""
    oldest = int(now // run.bucket_seconds) - ROW + 1
    charged = amounts(run, kind, key)
    return sum(amount for at, amount in charged if int(at // run.bucket_seconds) >= oldest)


def test_four_processes_fill_no_window_over_its_limit_and_use_nearly_all_of_it(
    memory: Path,
) -> None:
    with hammering(memory, seconds=SECONDS, bucket_seconds=BUCKET) as run:
        pass
    check(run, rollovers=1)
    found = standings(run, run.until)
    assert found[ACCOUNT.subject].in_flight == found[ACCOUNT.subject].held_credit == 0
    for key, demand in enumerate(DEMANDS):
        standing = found[demand.subject]
        assert standing.used_tokens == still_counting(run, "tokens", key, run.until)
        assert standing.used_requests == still_counting(run, "requests", key, run.until)
        assert standing.in_flight == 0


def test_processes_that_are_killed_take_their_calls_with_them_and_leave_their_windows(
    memory: Path,
) -> None:
    with hammering(memory, seconds=SECONDS, bucket_seconds=BUCKET) as run:
        while time.monotonic() < run.until - KILL_EVERY:
            time.sleep(KILL_EVERY)
            run.kill_one()
    assert run.kills >= 3
    check(run, rollovers=1)
    found = standings(run, run.until)
    assert found[ACCOUNT.subject].in_flight == found[ACCOUNT.subject].held_credit == 0
    unlogged = 0
    for key, demand in enumerate(DEMANDS):
        standing = found[demand.subject]
        assert standing.in_flight == 0
        requests = still_counting(run, "requests", key, run.until)
        tokens = still_counting(run, "tokens", key, run.until)
        assert 0 <= standing.used_tokens - tokens <= run.kills * MOST_TOKENS
        assert 0 <= standing.used_requests - requests <= run.kills
        unlogged += standing.used_requests - requests
    assert unlogged <= run.kills  # a kill hits one call between the table and the log, at most


def test_the_windows_of_a_minute_are_filled_once(memory: Path) -> None:
    with hammering(memory, seconds=4.0, bucket_seconds=1.0) as run:
        pass
    check(run, rollovers=0)


def test_calls_of_a_killed_process_are_written_off_when_another_comes(memory: Path) -> None:
    command = [sys.executable, "-m", "tests.faults.holder", str(memory)]
    with Table.open(memory) as before:
        other = LocalLimiter(before)
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as holder:
            try:
                assert holder.stdout is not None
                assert int(holder.stdout.readline()) == CALLS
                now = time.monotonic()
                assert isinstance(
                    other.reserve([ACCOUNT], tokens=1, credit=CREDIT, now=now), Refusal
                )
                assert other.standing(ACCOUNT.subject, now=now).in_flight == CALLS
            finally:
                holder.kill()
        with Table.open(memory):
            standing = other.standing(ACCOUNT.subject, now=now)
            assert (standing.in_flight, standing.held_credit) == (0, 0)
            assert standing.used_requests == CALLS, "the windows go on"
            for _ in range(CALLS):
                taken = other.reserve([ACCOUNT], tokens=1, credit=CREDIT, now=now)
                assert not isinstance(taken, Refusal)


def test_a_worker_killed_while_its_directory_grows_loses_nobody(memory: Path) -> None:
    rng = random.Random()
    let_in: list[int] = []
    for generation in range(4 * min(SIZE, 5)):  # all of it within a minute
        log = memory / f"{generation}.log"
        first = (
            let_in[-1] + 2 if let_in else 0
        )  # the last one may have come in without being logged
        arguments = [str(memory / "table"), str(log), str(first)]
        command = [sys.executable, "-m", "tests.faults.crowd", *arguments]
        with subprocess.Popen(command, cwd=ROOT) as crowd:
            try:
                deadline = time.monotonic() + START
                while not (log.exists() and log.stat().st_size):
                    assert crowd.poll() is None
                    assert time.monotonic() < deadline
                    time.sleep(0.002)
                time.sleep(rng.uniform(0.0, 0.15))
                assert crowd.poll() is None
            finally:
                crowd.kill()
        let_in += [number for (number,) in struct.iter_unpack("<q", log.read_bytes())]
    with Table.open(memory / "table") as table:
        limiter = LocalLimiter(table)
        assert table.replaced == []
        now = time.monotonic()
        for number in let_in:
            standing = limiter.standing(crowd_caller(number).subject, now=now)
            assert (standing.used_requests, standing.in_flight) == (1, 0), number
            assert CROWD_USED <= standing.used_tokens <= CROWD_ASKED, number


def test_the_window_check_finds_an_excess_and_nothing_else() -> None:
    assert fullest_window([Amount(0.0, 6), Amount(5.9, 5)], 6.0) == 11
    assert fullest_window([Amount(0.0, 6), Amount(6.0, 5)], 6.0) == 6


def test_the_most_that_can_be_had_grows_with_every_61st_bucket() -> None:
    said = [
        attainable(10, first=0.5, until=until, bucket_seconds=1.0) for until in (0.9, 60.9, 61.0)
    ]
    assert said == [10, 10, 20]


def test_the_check_of_calls_ends_those_of_the_dead_with_their_last_sign() -> None:
    def call(at: float, calls: int) -> Change:
        return Change(at, at, tokens=1, requests=1, calls=calls, key=0)

    dead = [call(1.0, 1), call(2.0, 1)]
    assert most_at_once([dead, [call(3.0, 1), call(4.0, -1)]]) == 2
    assert most_at_once([dead, [call(1.5, 1), call(4.0, -1)]]) == 3
