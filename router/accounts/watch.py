"""Carries changes from the store to the ring, whichever process made them.

A poll is one tiny query in a worker thread; accounts, tiers and keys are loaded only when the
revision moved. A change is in force at most one interval and one query after its commit, so under a
second at the default.

When the store fails, the ring stays as it was. That is a choice: everybody can still call, and a
key revoked meanwhile works until the store is back. The other choice would let a full disk stop
all traffic. Every failure is reported, so that somebody hears of it.
"""

from collections.abc import Callable
from typing import Protocol

import trio

from router.accounts.keyring import KeyRing
from router.accounts.snapshot import Snapshot


class KeySource(Protocol):
    """What the watch needs of a store; both calls block, and run in a worker thread."""

    def revision(self) -> int:
        """Return a number that differs after every change."""

    def load(self) -> tuple[int, Snapshot]:
        """Return the revision and what can be called with, read at one moment."""


async def watch_keys(
    store: KeySource,
    ring: KeyRing,
    *,
    interval: float = 0.5,
    on_error: Callable[[Exception], None],
) -> None:
    """Keep `ring` equal to `store` until cancelled: load at once, then poll every interval.

    `interval` is in seconds, at most about 0.5 if a revocation is to be in force within one. A
    failing poll leaves the ring alone, is passed to `on_error` (each one is) and tried again after
    the interval. Cancellation ends the watch at once, also during a query, whose result is then
    dropped.
    """
    # Its own limiter: a busy thread pool elsewhere must not delay a revocation.
    limiter = trio.CapacityLimiter(1)
    known: int | None = None
    while True:
        try:
            known = await _refresh(store, ring, known=known, limiter=limiter)
        except Exception as error:  # noqa: BLE001 - the watch outlives any failure, and reports it
            on_error(error)
        await trio.sleep(interval)


async def _refresh(
    store: KeySource, ring: KeyRing, *, known: int | None, limiter: trio.CapacityLimiter
) -> int:
    # Abandoned when cancelled: a thread held by a dead disk must not hold up the shutdown.
    if known is not None:
        revision = await trio.to_thread.run_sync(
            store.revision, abandon_on_cancel=True, limiter=limiter
        )
        if revision == known:
            return known
    revision, snapshot = await trio.to_thread.run_sync(
        store.load, abandon_on_cancel=True, limiter=limiter
    )
    ring.replace(snapshot)
    return revision
