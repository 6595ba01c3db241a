"""A worker that takes as many calls as it gets and holds them until it is killed.

    python -m tests.faults.holder FOLDER

It writes a line with their number once it has them.
"""

import sys
import time
from pathlib import Path

from limiter.demand import Refusal
from limiter.local import LocalLimiter
from limiter.table import Table
from tests.faults.hammer import ACCOUNT, CREDIT


def main(folder: Path) -> None:
    """Take, tell, and hold."""
    limiter = LocalLimiter(Table.open(folder))
    held = 0
    while not isinstance(
        limiter.reserve([ACCOUNT], tokens=1, credit=CREDIT, now=time.monotonic()), Refusal
    ):
        held += 1
    print(held, flush=True)
    time.sleep(3600.0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
