"""A gateway reduced to its limiter, as a process of its own: it reserves as fast as it can and writes down
what it was given.

    python -m tests.e2e.valkey_hammer URL LOG SECONDS BUCKET LIMIT SUBJECT...

Each line of LOG is `taken SUBJECT TOKENS AT`, with the server's time and the tokens that were settled, or
`away SECONDS AT`, how long it took to hear that the store is away and when (Unix seconds). A file beside the
log that ends in `.ready` says that it has begun.
"""

import random
import sys
import time
from pathlib import Path

import trio

from limiter.demand import Demand, Limits, Refusal
from limiter.valkey import Settings, StoreAway, ValkeyLimiter

TASKS = 8


async def hammer(limiter: ValkeyLimiter, demand: Demand, log: list[str], ready: trio.Path) -> None:
    """Reserve, settle, and start over, until cancelled."""
    rng = random.Random(str(id(log)))
    while True:
        tokens = rng.randint(1, 20)
        began = time.monotonic()
        try:
            outcome = await limiter.reserve([demand], tokens=tokens, now=began)
        except StoreAway:
            log.append(f"away {time.monotonic() - began} {time.time()}")
            await trio.sleep(0.02)
            continue
        if isinstance(outcome, Refusal):
            await trio.sleep(min(outcome.fits_after or 0.0, 0.02))
            continue
        used = rng.randint(tokens // 2, tokens)
        if not log:
            await ready.touch()
        log.append(f"taken {demand.subject} {used} {outcome.taken_at:.6f}")
        outcome.settle(tokens=used, now=time.monotonic())


async def main(url: str, path: Path, seconds: float, demands: list[Demand], bucket: float) -> None:
    """Hammer all demands for a while, then write the log."""
    settings = Settings(bucket=bucket, probe=0.2)
    limiter = ValkeyLimiter(url, instance=path.stem, settings=settings)
    log: list[str] = []
    ready = trio.Path(path.with_suffix(".ready"))
    async with trio.open_nursery() as nursery:
        await nursery.start(limiter.run)
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as hammers:
                for number in range(TASKS):
                    hammers.start_soon(hammer, limiter, demands[number % len(demands)], log, ready)
        await limiter.aclose()
        nursery.cancel_scope.cancel()
    await trio.Path(path).write_text("\n".join(log) + "\n", "ascii")


if __name__ == "__main__":
    url, path, seconds, bucket, limit, *subjects = sys.argv[1:]
    limits = Limits(tokens=int(limit))
    demands = [Demand(subject=subject, limits=limits) for subject in subjects]
    trio.run(main, url, Path(path), float(seconds), demands, float(bucket))
