"""What happens to a worker's journal behind its back: the disk syncs it, and the books take it over.

Three things go round, each at its own pace. Files are synced in groups, and the next file is made before it
is needed. Batches are booked, oldest first; while the database is away they wait on the disk, and the
journal says when that is too much. And files of workers that died are looked for. All of it blocks on disks
and databases, so all of it runs in threads, and none of it is ever waited for by a request.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

import msgspec
import trio

from router.ledger.frame import Damage
from router.ledger.journal import Journal
from router.ledger.journal_file import JournalFile, take_away
from router.ledger.live_batch import next_batch
from router.ledger.replay import Books, JournalDamaged, Replayed, replay_folder
from router.ledger.store import Batch, Stored

T = TypeVar("T")


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds between two rounds of each kind, and the longest wait after failures in a row.

    A round costs hundreds of microseconds in threads and statements, however few settlements it is for.
    """

    sync: float = 0.2
    book: float = 0.5
    adopt: float = 5.0
    longest_wait: float = 5.0


_PACE: Final = Pace()


class Listener:
    """Who wants to know how the journal gets on. Called in trio's thread; must not raise."""

    def booking(self) -> None:
        """Hear that what is written until now is booked next."""

    def booked(self, batch: Batch, stored: Stored) -> None:
        """Hear that a batch is committed, so that what is held for it may go, once all know the new balances.

        `stored.balances` is empty where an earlier try had booked it and its answer got lost.
        """

    def adopted(self, replayed: Replayed) -> None:
        """Hear that files of dead workers have been booked."""

    def trouble(self, error: Exception) -> None:
        """Hear of a failure, which will be tried again, or of damage (`JournalDamaged`), which will not."""


class JournalMover:
    """Moves one journal into the books."""

    def __init__(
        self, journal: Journal, books: Books, listener: Listener, *, pace: Pace = _PACE
    ) -> None:
        self._journal = journal
        self._books = books
        self._listener = listener
        self._pace = pace
        self._one_at_a_time = trio.Lock()
        # Threads of its own: a database that hangs must not take the disk's, nor anybody else's.
        self._disk_thread = trio.CapacityLimiter(1)
        self._books_thread = trio.CapacityLimiter(1)

    async def run(self) -> None:
        """Sync, book and adopt until cancelled. What is not booked then stays in the journal."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._forever, self._keep_files, self._pace.sync)
            nursery.start_soon(self._forever, self.drain, self._pace.book)
            nursery.start_soon(self._forever, self._adopt, self._pace.adopt)

    async def finish(self) -> None:
        """Book all and remove the files. Raises as `drain` does.

        What ends while the first round goes on can still be written; after that, nothing can.
        """
        await self.drain()
        self._journal.finish()
        await self.drain()
        async with self._one_at_a_time:
            await self._remove_done()

    async def drain(self) -> None:
        """Book all that has been written until now. Raises what disk or database raise.

        Cancelling it leaves the rest in the journal; a transaction that is under way may yet be committed.
        """
        async with self._one_at_a_time:
            for file in self._journal.files:
                end = file.end
                while file.booked < end:
                    # Right before, so that nothing is in the batch that was not owed for yet.
                    self._listener.booking()
                    await self._book(file, end)
                await self._remove_done()

    async def _book(self, file: JournalFile, end: int) -> None:
        batch, damage = await self._next_batch(file, end)
        stored = await self._in_books(partial(self._books.apply, batch))
        if damage:
            file.damaged = True
            self._listener.trouble(JournalDamaged(file.path, damage))
        # Less than the batch's end if the books were put back to an older state: then from there again.
        self._journal.note_booked(file, stored.position)
        if stored.position >= batch.end:
            self._listener.booked(batch, stored)

    async def _next_batch(self, file: JournalFile, end: int) -> tuple[Batch, list[Damage]]:
        batch = file.recent.take(file.id, file.booked)
        if batch is not None:
            return batch, []
        return await self._on_disk(partial(next_batch, file, file.until_recent(end)))

    async def _remove_done(self) -> None:
        for file in self._journal.done:
            try:
                await self._on_disk(partial(take_away, file, self._journal.disk))
            finally:
                if file.is_closed:
                    self._journal.drop(file)
            await self._in_books(partial(self._books.forget, file.id))

    async def _keep_files(self) -> None:
        for file in self._journal.files:
            end = file.end
            if file.synced < end:
                with file.in_use():
                    await self._on_disk(partial(self._journal.disk.sync, file.descriptor))
                file.synced = end
        if self._journal.wants_spare:
            self._journal.provide(await self._on_disk(self._journal.make_spare))

    async def _adopt(self) -> None:
        replayed = await self._in_books(
            partial(replay_folder, self._journal.folder, self._books, disk=self._journal.disk)
        )
        for path, damage in replayed.damage:
            self._listener.trouble(JournalDamaged(path, [damage]))
        if replayed.files:
            self._listener.adopted(replayed)

    async def _on_disk(self, work: Callable[[], T]) -> T:
        # Waited for even when cancelled: it is short, and has a descriptor in its hands.
        return await trio.to_thread.run_sync(work, limiter=self._disk_thread)

    async def _in_books(self, work: Callable[[], T]) -> T:
        # Abandoned when cancelled: a database that is away must not hold up the shutdown.
        return await trio.to_thread.run_sync(
            work, abandon_on_cancel=True, limiter=self._books_thread
        )

    async def _forever(self, step: Callable[[], Awaitable[None]], interval: float) -> None:
        wait = interval
        while True:
            try:
                await step()
                wait = interval
            except Exception as error:  # noqa: BLE001 - the mover outlives any failure, and reports it
                self._listener.trouble(error)
                wait = min(2 * wait, max(interval, self._pace.longest_wait))
            await trio.sleep(wait)
