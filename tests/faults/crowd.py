"""A worker to whom every caller is new, until it is killed: its directory grows all the time.

    python -m tests.faults.crowd FOLDER LOG FIRST

The callers are numbered from FIRST on. The number of each is written to LOG, 8 bytes, once it was let in.
"""

import os
import sys
import time
from itertools import count
from pathlib import Path

from limiter.demand import Demand, Limits, Refusal
from limiter.local import LocalLimiter
from limiter.table import Table

ONCE = Limits(requests=1)
ASKED = 3
USED = 2


def caller(number: int) -> Demand:
    """Somebody who may call once."""
    return Demand(subject=f"key:{number}", limits=ONCE)


def main(folder: Path, path: Path, first: int) -> None:
    """Let everybody in."""
    limiter = LocalLimiter(Table.open(folder))
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in count(first):
        taken = limiter.reserve([caller(number)], tokens=ASKED, now=time.monotonic())
        if isinstance(taken, Refusal):
            raise SystemExit(f"{number} is new and was refused: {taken}")
        os.write(log, number.to_bytes(8, "little"))
        taken.settle(tokens=USED, now=time.monotonic())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
