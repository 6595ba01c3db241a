"""Whether a demand fits beside what its subject has in use, and when it will.

A window frees itself as its buckets are forgotten, so the moment at which a reservation would fit is known.
A gauge falls when running calls end, which nobody can foretell; nor does anything free what is above a limit
by itself.
"""

from collections.abc import Iterator
from typing import NamedTuple

from limiter.demand import Demand, LimitKind
from limiter.window import Usage, freed_with


class Obstacle(NamedTuple):
    """A limit that stands in the way, until `bucket` is forgotten; `None`: nobody knows until when."""

    kind: LimitKind
    limit: int
    used: int
    asked: int
    bucket: int | None


def obstacles(
    demand: Demand, usage: Usage, *, tokens: int, credit: int, calls: int = 1
) -> Iterator[Obstacle]:
    """Each limit of `demand` that so many more calls, of `tokens` and `credit`, would break."""
    limits = demand.limits
    requests_used = [(cell.bucket, cell.requests) for cell in usage.cells]
    tokens_used = [(cell.bucket, cell.tokens) for cell in usage.cells]
    yield from _window("requests", limits.requests, requests_used, asked=calls)
    yield from _window("tokens", limits.tokens, tokens_used, asked=tokens)
    yield from _gauge("concurrency", limits.concurrency, usage.in_flight, asked=calls)
    yield from _gauge("credit", demand.credit, usage.held, asked=credit)


def _window(
    kind: LimitKind, limit: int | None, amounts: list[tuple[int, int]], *, asked: int
) -> Iterator[Obstacle]:
    if limit is None:
        return
    used = sum(amount for _, amount in amounts)
    excess = used + asked - limit
    if excess > 0:
        yield Obstacle(kind, limit, used, asked, freed_with(amounts, excess))


def _gauge(kind: LimitKind, limit: int | None, used: int, *, asked: int) -> Iterator[Obstacle]:
    if limit is not None and used + asked > limit:
        yield Obstacle(kind, limit, used, asked, None)
