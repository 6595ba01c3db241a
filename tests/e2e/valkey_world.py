"""What the tests of the shared limits have in common: a clock to turn, and limiters that run for a while."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import trio

from limiter.demand import Demand, Limits, Refusal
from limiter.valkey import Settings, Store, ValkeyLimiter, ValkeyReservation

BEGIN = 1_700_000_000_000_000  # microseconds, on a whole bucket
_names = count()


class Clock:
    """Stands in for the server's clock."""

    def __init__(self) -> None:
        self.microseconds = BEGIN

    def __call__(self) -> int:
        return self.microseconds

    def advance(self, seconds: float) -> None:
        self.microseconds += round(seconds * 1_000_000)


def unused(kind: str) -> str:
    """A subject that no other test has touched."""
    return f"{kind}:{next(_names)}"


def demand(
    subject: str,
    *,
    requests: int | None = None,
    tokens: int | None = None,
    concurrency: int | None = None,
    credit: int | None = None,
) -> Demand:
    limits = Limits(requests=requests, tokens=tokens, concurrency=concurrency)
    return Demand(subject=subject, limits=limits, credit=credit)


@asynccontextmanager
async def running(
    store: str | Store, *, clock: Clock | None = None, settings: Settings | None = None
) -> AsyncIterator[ValkeyLimiter]:
    """A limiter that runs inside; closed at the end, and cancelled where that was not enough."""
    limiter = ValkeyLimiter(store, instance="test", settings=settings or PATIENT, clock=clock)
    async with trio.open_nursery() as nursery:
        await nursery.start(limiter.run)
        yield limiter
        await limiter.aclose()
        nursery.cancel_scope.cancel()


# A busy test machine must not look like a slow store.
PATIENT = Settings(patience=5.0, give_up=10.0, probe=0.05)


async def taken(
    limiter: ValkeyLimiter, *demands: Demand, tokens: int = 1, credit: int = 0
) -> ValkeyReservation:
    outcome = await limiter.reserve(demands, tokens=tokens, credit=credit, now=0.0)
    assert isinstance(outcome, ValkeyReservation), outcome
    return outcome


async def refused(
    limiter: ValkeyLimiter, *demands: Demand, tokens: int = 1, credit: int = 0
) -> Refusal:
    outcome = await limiter.reserve(demands, tokens=tokens, credit=credit, now=0.0)
    assert isinstance(outcome, Refusal), outcome
    return outcome
