"""Reserving for one request: at once, after a short wait, or not, and then with a moment to come back at.

A request that waits holds a promise (`limiter.turns`), so that whoever is refused meanwhile is told a moment
at which there is room behind it. If it is served the promise is withdrawn, for what it stood for is in the
window by then; if it waited in vain, the promise is what it is told.

Whether a request that lacks tokens will fit soon is not only a matter of its window. Calls reserve more than
most of them use, and give the rest back as they end: where running calls could give back what is lacking, it
waits for them.

A request waits in the line of its key. Only where the limit of a model is in its way it waits in a line of
that key and model: requests for other models shall not stand behind it.
"""

from collections.abc import Sequence
from typing import Final

from limiter.demand import Demand, Refusal, Reservation
from limiter.queue import WaitingLines
from limiter.turns import Promise, Shortage, Turns
from router.admission.engine import Engine
from router.admission.refusing import refused, shortages
from router.admission.taking import Taking
from router.admission.waiting import WaitingRoom
from router.errors import CreditHeld, LimitExceeded

# Nobody knows when a running call will end; this is when it is worth asking again.
CALL_SECONDS: Final = 1.0
# How late a client may come back and still find its place.
LATE_SECONDS: Final = 1.0


class Reserving:
    """Takes reservations from an engine. A request waits for `wait_seconds` at most; 0: not at all."""

    def __init__(self, engine: Engine, lines: WaitingLines, *, wait_seconds: float) -> None:
        self._engine = engine
        self._lines = lines
        self._wait_seconds = wait_seconds
        self._room = WaitingRoom(lines, clock=engine.now)
        self._turns = Turns(late_seconds=LATE_SECONDS)
        self._running: dict[str, int] = {}  # tokens that calls of this process reserved, by subject

    @property
    def waiting(self) -> int:
        """Requests that wait now."""
        return self._lines.count

    def take_at_once(self, taking: Taking) -> Reservation | Refusal | None:
        """Return what a request reserves, or what is in its way; `None` where it may have to wait.

        Nothing is taken then; that, and a refusal, is for `take`. Raises as `Taking.attempt_at_once` does.
        """
        if self._lines.count:
            return None  # somebody may stand before it
        outcome = taking.attempt_at_once()
        if outcome is not None and not isinstance(outcome, Refusal):
            self._began(taking)
        return outcome

    async def take(self, key: str, taking: Taking, refusal: Refusal | None) -> Reservation:
        """Return what a request of `key` reserves, which was refused at once or not tried.

        Raises `LimitExceeded`, `CreditHeld` and as `Taking.attempt` does. When cancelled, nothing stays taken
        and no place in a line either.
        """
        demands = taking.draw.demands
        line = self._line_before(key, demands) if self._lines.count else None
        outcome: Reservation | Refusal | None = refusal
        if line is None and refusal is None:
            outcome = await taking.attempt()
        if isinstance(outcome, Refusal) and not self._may_fit_soon(outcome):
            raise await self._refused(outcome, demands, taking.tokens)
        if outcome is None or isinstance(outcome, Refusal):
            outcome = await self._wait(line or _line_of(key, outcome), outcome, taking)
        self._began(taking)
        return outcome

    def _began(self, taking: Taking) -> None:
        running = self._running
        for subject in taking.draw.limited_in_tokens:
            running[subject] = running.get(subject, 0) + taking.tokens

    def ended(self, taking: Taking) -> None:
        """Hear that a call has ended, its reservation too: whoever waits for that may try."""
        running, draw = self._running, taking.draw
        for subject in draw.limited_in_tokens:
            left = running[subject] - taking.tokens
            if left:
                running[subject] = left
            else:
                del running[subject]
        if self._lines.count:
            key = draw.caller.key.id
            self._room.ended(key)
            for demand in draw.demands:
                if _is_of_model(demand.subject):
                    self._room.ended(_model_line(key, demand.subject))

    async def _wait(self, line: str, refusal: Refusal | None, taking: Taking) -> Reservation:
        demands, tokens = taking.draw.demands, taking.tokens
        windows = await self._windows(demands, tokens)
        promise = self._turns.promise(windows, now=self._engine.now())
        fits_after = None if refusal is None else refusal.fits_after
        try:
            outcome = await self._room.wait(
                line, taking.attempt, fits_after=fits_after, seconds=self._wait_seconds
            )
        except BaseException:
            promise.withdraw()
            raise
        if outcome is not None and not isinstance(outcome, Refusal):
            promise.withdraw()
            return outcome
        raise await self._refused(outcome or refusal, demands, tokens, promise=promise)

    async def _refused(
        self,
        refusal: Refusal | None,
        demands: Sequence[Demand],
        tokens: int,
        *,
        promise: Promise | None = None,
    ) -> LimitExceeded | CreditHeld:
        """Return the error. What it tells is the promise, unless that has turned out too early to be kept."""
        windows = await self._windows(demands, tokens)
        now = self._engine.now()
        short = any(window.free < window.asked for window in windows)
        fits_after = refusal.fits_after if refusal is not None else None
        fits_at = now + (fits_after or (0.0 if short else CALL_SECONDS))
        if promise is None or promise.moment + LATE_SECONDS < fits_at:
            if promise is not None:
                promise.withdraw()
            promise = self._turns.promise(windows if short else (), now=now, not_before=fits_at)
        return refused(refusal, windows, seconds=max(promise.moment, fits_at) - now)

    async def _windows(self, demands: Sequence[Demand], tokens: int) -> list[Shortage]:
        schedules = [
            (demand, await self._engine.schedule(demand.subject))
            for demand in demands
            if demand.limits.requests is not None or demand.limits.tokens is not None
        ]
        return shortages(schedules, tokens=tokens)

    def _may_fit_soon(self, refusal: Refusal) -> bool:
        seconds = self._wait_seconds
        if seconds <= 0 or refusal.fits_after is None or refusal.fits_after <= seconds:
            return seconds > 0
        lacking = refusal.used + refusal.asked - refusal.limit
        return refusal.kind == "tokens" and lacking <= self._running.get(refusal.subject, 0)

    def _line_before(self, key: str, demands: Sequence[Demand]) -> str | None:
        """Return the line in which somebody waits whom this request would overtake."""
        models = (_model_line(key, d.subject) for d in demands if _is_of_model(d.subject))
        return next((line for line in (key, *models) if self._room.must_wait(line)), None)


def _line_of(key: str, refusal: Refusal | None) -> str:
    of_model = refusal is not None and _is_of_model(refusal.subject)
    return _model_line(key, refusal.subject) if refusal is not None and of_model else key


def _model_line(key: str, subject: str) -> str:
    return f"{key} {subject}"


def _is_of_model(subject: str) -> bool:
    return subject.startswith("model:")
