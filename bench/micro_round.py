"""One contestant with so many keys, in a process of its own, so that none inherits another's memory.

    python -m bench.micro_round CONTESTANT KEYS < SETTINGS

Settings come as JSON on standard input, the costs leave as JSON on standard output. Progress is told by the
process that asked.
"""

import gc
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from bench.machine import field_of
from bench.micro_contestants import (
    CPU,
    BareReads,
    Contestant,
    LimitsPackage,
    Measured,
    Ours,
    PyrateLimiter,
)
from bench.micro_record import Chosen, Cost, MicroSettings

SHARED: Final = Path("/dev/shm")
CONTESTANTS: Final[Mapping[str, Callable[[Path, MicroSettings], Contestant]]] = {
    "ours": Ours,
    "limits": lambda _folder, _settings: LimitsPackage(),
    "pyrate-limiter": lambda _folder, _settings: PyrateLimiter(),
}


def measure(kind: str, keys: int, settings: MicroSettings) -> list[Cost]:
    """Meet all keys, see each of them again in random order, and measure round after round."""
    workers = settings.workers if kind == "ours" else 1
    with tempfile.TemporaryDirectory(dir=SHARED if SHARED.is_dir() else None) as folder:
        contestant = CONTESTANTS[kind](Path(folder), settings)
        before, began = _private_bytes(), CPU()
        contestant.meet(keys)
        first_us = (CPU() - began) * 1e6 / keys / workers
        grown = _private_bytes() - before
        rng = random.Random(keys)
        contestant.round(rng.sample(range(keys), keys))

        cost = Cost(
            contestant=contestant.name,
            keys=keys,
            chosen="any key",
            first_us=first_us,
            runs_us=[],
            shared_bytes=contestant.shared_bytes() / keys,
            private_bytes=grown / keys / workers,
        )
        return [
            replace(
                cost,
                contestant=measured.name,
                chosen=chosen,
                runs_us=list(_rounds(measured, pool, rng, settings)),
            )
            for measured, chosen, pool in _measured(contestant, keys)
        ]


def _measured(contestant: Contestant, keys: int) -> Iterator[tuple[Measured, Chosen, range]]:
    """What is measured, and of which keys. Only ours can bear one key in use all the time."""
    yield contestant, "any key", range(keys)
    if isinstance(contestant, Ours):
        one = range(keys // 2, keys // 2 + 1)
        reads = BareReads(contestant)
        yield contestant, "one key", one
        yield reads, "any key", range(keys)
        yield reads, "one key", one


def _rounds(
    measured: Measured, pool: range, rng: random.Random, settings: MicroSettings
) -> Iterator[float]:
    for _ in range(settings.rounds):
        measured.rest()
        chosen = rng.choices(pool, k=settings.operations)
        gc.collect()
        yield measured.round(chosen) * 1e6 / settings.operations


def _private_bytes() -> int:
    """The memory of this process that belongs to no file."""
    gc.collect()
    return int(field_of(Path("/proc/self/status").read_text(), "RssAnon").split()[0]) * 1024


def main() -> None:
    """Read, measure, tell."""
    settings = msgspec.json.decode(sys.stdin.buffer.read(), type=MicroSettings)
    costs = measure(sys.argv[1], int(sys.argv[2]), settings)
    sys.stdout.buffer.write(msgspec.json.encode(costs))


if __name__ == "__main__":
    main()
