"""Those who wait for an answer of the server, and what becomes of an answer whose asker has left.

A caller may leave at any moment: it was cancelled, or its patience ended. Whoever has left before its
question is sent is skipped. Whoever leaves later has its reservation given back as soon as the answer comes.
So no answer is ever nobody's.
"""

from collections.abc import Sequence

import trio

from limiter.demand import Refusal, Standing
from limiter.valkey.books import Books
from limiter.valkey.places import Part, Place
from limiter.valkey.reservation import Holding, Note, ValkeyReservation
from limiter.valkey.wire import Call, Caller, read_reserve, read_standing


class StoreAway(Exception):
    """The store cannot be asked now, so nothing is known about the limits. The caller holds nothing.

    What then is the caller's to decide, by its configuration.
    """


class Waiting:
    """A question to the server, and its asker."""

    def __init__(self) -> None:
        self.answered = trio.Event()
        self.left = False
        self.away: str | None = None

    def calls(self, caller: Caller) -> list[Call]:
        """What to ask."""
        raise NotImplementedError

    def read(self, answers: Sequence[object]) -> None:
        """Take the answers to `calls`, in their order."""
        raise NotImplementedError

    def leave(self) -> None:
        """Say that the asker has gone without an answer, or will not use it."""
        self.left = True

    def fail(self, cause: str) -> None:
        """Take notice that no answer will come."""
        self.away = cause
        self.answered.set()

    def lose(self, cause: str) -> None:
        """Take notice that the question was sent, and no answer will come."""
        self.fail(cause)


class WaitingForReservation(Waiting):
    """A reservation that was asked for: one call for each group, and all groups or none."""

    def __init__(
        self,
        groups: Sequence[Sequence[Part]],
        *,
        tokens: int,
        credit: int,
        calls: int,
        books: Books,
    ) -> None:
        super().__init__()
        self._calls = calls
        self._groups = groups
        self._tokens = tokens
        self._credit = credit
        self._books = books
        self._outcome: ValkeyReservation | Refusal | None = None

    @property
    def outcome(self) -> ValkeyReservation | Refusal:
        """What was answered. Only for who has waited."""
        if self._outcome is None:
            raise RuntimeError("nothing has been answered")
        return self._outcome

    def calls(self, caller: Caller) -> list[Call]:
        """Ask for each group by itself."""
        return [
            caller.reserve(group, tokens=self._tokens, credit=self._credit, calls=self._calls)
            for group in self._groups
        ]

    def read(self, answers: Sequence[object]) -> None:
        """Take what all groups gave, or give back what some did."""
        holdings: list[Holding] = []
        refusals: list[Refusal] = []
        taken_at = 0.0
        for group, answer in zip(self._groups, answers, strict=True):
            outcome = read_reserve(answer, group)
            if isinstance(outcome, Refusal):
                refusals.append(outcome)
            else:
                holdings.append(Holding(group, outcome.bucket))
                taken_at = outcome.at
        if refusals:
            self._take_back(holdings)
            self._outcome = max(refusals, key=_wait)
        else:
            self._hand_over(holdings, taken_at)
        self.answered.set()

    def leave(self) -> None:
        """Say that the asker has gone. What it was given, or will be, goes back."""
        super().leave()
        if isinstance(self._outcome, ValkeyReservation):
            self._outcome.release(now=0.0)

    def lose(self, cause: str) -> None:
        """Have the gauges put right: the server may have counted it. What is in the windows expires."""
        for group in self._groups:
            self._books.note(Note([place for place, _ in group]))
        super().lose(cause)

    def _hand_over(self, holdings: Sequence[Holding], taken_at: float) -> None:
        for group in self._groups:
            self._books.begin(group, self._credit, calls=self._calls)
        self._outcome = ValkeyReservation(
            holdings,
            tokens=self._tokens,
            calls=self._calls,
            taken_at=taken_at,
            end=self._end,
        )
        if self.left:
            self._outcome.release(now=0.0)

    def _end(self, holdings: Sequence[Holding], notes: Sequence[Note], owed: int) -> None:
        for holding in holdings:
            self._books.end(holding.group, self._credit, owed=owed, calls=self._calls)
        for note in notes:
            self._books.note(note)

    def _take_back(self, holdings: Sequence[Holding]) -> None:
        for holding in holdings:
            self._books.note(
                Note(
                    holding.places,
                    holding.bucket,
                    requests_back=self._calls,
                    tokens=-self._tokens,
                )
            )


class WaitingForStanding(Waiting):
    """A subject's standing that was asked for."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place
        self._outcome: Standing | None = None

    @property
    def outcome(self) -> Standing:
        """What was answered. Only for who has waited."""
        if self._outcome is None:
            raise RuntimeError("nothing has been answered")
        return self._outcome

    def calls(self, caller: Caller) -> list[Call]:
        """Ask about the subject."""
        return [caller.standing(self._place)]

    def read(self, answers: Sequence[object]) -> None:
        """Take the one answer."""
        self._outcome = read_standing(answers[0])
        self.answered.set()


def _wait(refusal: Refusal) -> float:
    return float("inf") if refusal.fits_after is None else refusal.fits_after
