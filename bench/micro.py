"""Micro: the CPU time and the memory of one reservation, with ten keys and with a million.

A limit that is checked on every request has to cost next to nothing, and as little with many keys as with
few. What two other packages take stands beside it, measured in the same run, because a microsecond of one
machine says little about another's.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from bench.machine import REPOSITORY, describe_machine
from bench.micro_contestants import ASKED, BUSY_KEYS, USED, Ours
from bench.micro_record import Cost, Micro, MicroSettings
from bench.micro_round import CONTESTANTS
from bench.processes import StandFailed
from bench.prose import paragraphs
from bench.record import Check, Origin
from router.loadtest.progress import Progress

LONGEST_SECONDS: Final = 1800.0  # of one process
_METHOD: Final = """
CPU time of the measuring process, all its threads (CLOCK_PROCESS_CPUTIME_ID), for {operations:,} operations,
divided by them; the loop around them is counted too. Any key: each operation is for a key drawn at random.
One key: all are for the same, while the others lie in memory. Medians of {rounds} rounds.
Each contestant has a fresh process for each number of keys, has met every key once, and has seen each once
more in random order.

This limiter: one subject with limits on requests, tokens and calls in flight. {asked} tokens are reserved and
{used} settled. {workers} workers hold regions in shared memory, each with a row of every key; all of them are
tables of the measuring process, and one worker's reservations are measured. Its clock is an argument, and
runs on by {tick_ms:g} ms per reservation. Up to {busy:,} keys are used by the other workers too before each
round; of more keys, the rows are idle there.

bare reads of the same lines: one word of each line of the processor's cache (64 bytes) that a reservation
needs from the shared table, as many as workers and one more, read by a loop in Python. What they take longer
for any key than for one is what this machine's memory takes.

limits: MovingWindowRateLimiter over MemoryStorage, one request a hit. It knows no tokens and no end of a
call, and remembers every request, so that with up to {busy:,} keys its windows begin anew before each round.
Its own thread, which looks for expired entries, is counted.

pyrate-limiter: a StateBucket with TokenBucket for each key, {asked} tokens drawn at once, in memory.

Neither package is asked to share anything between processes. The first reservation of a key includes what it
takes to make room for it. Memory per key is what the process, or a worker's file, grew by until all keys were
met; it means something for many keys only. This limiter gives a row to another key once it is idle for longer
than a window.
"""


def measure_micro(settings: MicroSettings, *, name: str, note: str, progress: Progress) -> Micro:
    """Measure every contestant with every number of keys. Raises StandFailed if a process fails."""
    cores = len(os.sched_getaffinity(0))
    origin = Origin.now(name=name, note=note, machine=describe_machine(cores))
    costs = []
    for kind in CONTESTANTS:
        for keys in settings.keys:
            progress.show(f"{kind} with {keys:,} keys")
            costs += _apart(kind, keys, settings)
    return Micro(
        origin=origin,
        method=_method(settings),
        settings=settings,
        costs=costs,
        checks=list(judge(costs, settings)),
    )


def _apart(kind: str, keys: int, settings: MicroSettings) -> list[Cost]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.micro_round", kind, str(keys)],
        input=msgspec.json.encode(settings),
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    if done.returncode:
        raise StandFailed(f"{kind} with {keys:,} keys ended with status {done.returncode}")
    return msgspec.json.decode(done.stdout, type=list[Cost])


def judge(costs: Sequence[Cost], settings: MicroSettings) -> Iterator[Check]:
    """Hold our medians against what a reservation may cost. The goal is told and does not decide."""
    for cost in ours(costs):
        found = f"{cost.median_us:.1f} µs, least {cost.least_us:.1f} µs"
        for limit, required in ((settings.allowed_us, True), (settings.goal_us, False)):
            yield Check(
                f"{cost.chosen} of {cost.keys:,}: at most {limit:g} µs",
                cost.median_us <= limit,
                found,
                required=required,
            )


def ours(costs: Sequence[Cost]) -> list[Cost]:
    """Those of this limiter."""
    return [cost for cost in costs if cost.contestant == Ours.name]


def _method(settings: MicroSettings) -> list[str]:
    text = _METHOD.format(
        rounds=settings.rounds,
        operations=settings.operations,
        workers=settings.workers,
        tick_ms=1000.0 / settings.rate,
        asked=ASKED,
        used=USED,
        busy=BUSY_KEYS,
    )
    return paragraphs(text)
