"""The one task that talks to the server.

Everything that is asked and noted goes out in rounds, one at a time: a round carries all that has gathered
while the last one was under way, so the busier it gets, the fewer round trips a request costs. Between two
rounds it is known what the server has counted, and that is what makes cancellation harmless: callers never
touch the connection, they only stop waiting.

Nothing else below the exchange takes a time-out, because the deadline belongs to whoever serves the client.
Here it is the engine's own patience with its store: it says when an answer that could still come is worth
less than going on without the store, whatever the client's deadline.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec
import trio

from limiter.valkey.books import Books
from limiter.valkey.breaker import Breaker
from limiter.valkey.link import Broken, Link, Store, with_link
from limiter.valkey.places import place
from limiter.valkey.reservation import Note
from limiter.valkey.waiting import StoreAway, Waiting
from limiter.valkey.wire import Call, Caller

QUESTIONS_A_ROUND: Final = 64
NOTES_A_ROUND: Final = 256
SUBJECTS_A_NOTE: Final = 16

LOOP_PASSES: Final = 10


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How the engine treats its store. Durations are in seconds.

    `patience`: how long a caller waits for an answer. `give_up`: after which an unanswered round costs the
    connection. `tolerance`: so many late answers in a row, and nobody asks any more. `probe`: how often an
    idle server is asked for a sign of life, and an absent one whether it is back. `alive`: how long the
    running calls of a gateway count that gives no sign any more. `questions` and `notes`: how many may wait.
    `bucket`: a sixtieth of the window. `prefix`: what all keys begin with.
    """

    patience: float = 0.1
    give_up: float = 1.0
    tolerance: int = 3
    probe: float = 1.0
    alive: float = 10.0
    questions: int = 1_000
    notes: int = 10_000
    bucket: float = 1.0
    prefix: str = "syze:"


class Rounds:
    """Questions and notes on one side, the server on the other."""

    def __init__(self, store: Store, caller: Caller, settings: Settings) -> None:
        self.books = Books(settings.notes, self._wake)
        self.breaker = Breaker(settings.tolerance)
        self._store = store
        self._caller = caller
        self._settings = settings
        self._questions: deque[Waiting] = deque()
        self._work = trio.Event()
        self._tried = trio.Event()
        self._ended = trio.Event()
        self._closing = False
        self._refreshed = 0.0

    async def ask(self, waiting: Waiting) -> None:
        """Wait for the answer, which `waiting` then holds. Raises `StoreAway`."""
        if self.breaker.is_open or self._closing:
            raise StoreAway(f"the store of the limits is away: {self.breaker.cause}")
        if len(self._questions) >= self._settings.questions:
            raise StoreAway(f"{len(self._questions)} others wait for the store of the limits")
        self._questions.append(waiting)
        self._wake()
        answered = False
        try:
            with trio.move_on_after(self._settings.patience):
                await waiting.answered.wait()
            answered = waiting.answered.is_set() or await _has_come_meanwhile(waiting)
        finally:
            if not answered:
                waiting.leave()
        if not answered:
            self.breaker.failed(f"no answer within {self._settings.patience:g} seconds")
            raise StoreAway(f"the store of the limits is away: {self.breaker.cause}")
        if waiting.away is not None:
            raise StoreAway(f"the store of the limits is away: {waiting.away}")

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        """Play rounds until cancelled or closed; started after the first try, whether it succeeded or not."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._talk)
                await self._tried.wait()
                task_status.started()
        finally:
            self._fail_all("the limiter is not running")
            self._ended.set()

    async def close(self) -> None:
        """Send what is noted and let `run` end; without its answer, wait no longer than `give_up`."""
        self._closing = True
        self._wake()
        with trio.move_on_after(self._settings.give_up):
            await self._ended.wait()

    async def _talk(self) -> None:
        while not self._closing:
            try:
                await with_link(self._store, self._caller.scripts, self._serve)
            except Broken as error:
                self._fail_all(str(error))
                self._tried.set()
                with trio.move_on_after(self._settings.probe):
                    await self._until_closing()
        self._tried.set()

    async def _until_closing(self) -> None:
        while not self._closing:
            await self._work.wait()
            self._work = trio.Event()

    async def _serve(self, link: Link) -> None:
        with trio.move_on_after(self._settings.give_up) as bound:
            await link.load()
        if bound.cancelled_caught:
            raise Broken(self._no_answer)
        self._refreshed = 0.0
        while True:
            self._refresh()
            await self._play(link)
            self._tried.set()
            if self._questions or self.books.notes:
                continue
            if self._closing:
                return
            with trio.move_on_after(self._settings.probe):
                await self._work.wait()
            self._work = trio.Event()

    def _refresh(self) -> None:
        """Note anew what is running, often enough that it never counts as a dead gateway's."""
        now = trio.current_time()
        if not self._refreshed or now - self._refreshed > self._settings.alive / 3:
            self._refreshed = now
            self.books.note_all_running(apart=self._store.cluster, size=SUBJECTS_A_NOTE)

    async def _play(self, link: Link) -> None:
        # Figures and answers belong together: nothing is begun or ended between this and sending.
        notes = self.books.next_notes(NOTES_A_ROUND)
        asked = [(waiting, waiting.calls(self._caller)) for waiting in self._next_questions()]
        calls = [self._caller.settle(note, self.books.figures(note.places)) for note in notes]
        calls += [call for _, own in asked for call in own]
        began = trio.current_time()
        answers: list[object] | None = None
        cause = "it was cancelled"
        try:
            answers = await self._send(link, calls or [self._sign_of_life()])
        except Broken as error:
            cause = str(error)
            raise
        finally:
            if answers is None:
                self._lose(notes, [waiting for waiting, _ in asked], cause)
        self._judge(trio.current_time() - began)
        start = len(notes)
        for waiting, own in asked:
            waiting.read(answers[start : start + len(own)])
            start += len(own)

    async def _send(self, link: Link, calls: Sequence[Call]) -> list[object]:
        with trio.move_on_after(self._settings.give_up):
            return await link.send(calls)
        raise Broken(self._no_answer)

    def _next_questions(self) -> list[Waiting]:
        found: list[Waiting] = []
        while self._questions and len(found) < QUESTIONS_A_ROUND:
            waiting = self._questions.popleft()
            if not waiting.left:
                found.append(waiting)
        return found

    def _judge(self, seconds: float) -> None:
        if seconds > self._settings.patience:
            self.breaker.failed(f"it took {seconds:.3f} seconds to answer")
        else:
            self.breaker.succeeded()

    def _lose(self, notes: Sequence[Note], asked: Sequence[Waiting], cause: str) -> None:
        self.breaker.broke(cause)
        for note in notes:
            self.books.note(note.if_unanswered())
        for waiting in asked:
            waiting.lose(cause)

    def _fail_all(self, cause: str) -> None:
        self.breaker.broke(cause)
        while self._questions:
            self._questions.popleft().fail(cause)

    def _sign_of_life(self) -> Call:
        return self._caller.standing(place(self._settings.prefix, "sign of life", None))

    def _wake(self) -> None:
        self._work.set()

    @property
    def _no_answer(self) -> str:
        return f"no answer within {self._settings.give_up:g} seconds"


async def _has_come_meanwhile(waiting: Waiting) -> bool:
    """Whether the answer is there and only this process was too busy to see it.

    A few passes of the event loop read what has arrived and hand it on; a store that is slow gains nothing by
    them.
    """
    for _ in range(LOOP_PASSES):
        await trio.lowlevel.checkpoint()
        if waiting.answered.is_set():
            return True
    return False
