"""The race: attempts run side by side, the first success wins, and nobody is left running.

The shape is that of happy eyeballs in trio's TCP connect: an ownership set of one, and one loop. The director
is asked what to do whenever an attempt has ended, and at the moment until which it wanted to wait. A failure
only hastens the next start. The winner leaves as a value; the losers are cancelled, each closing its own
connection synchronously, and a success that comes too late is thrown away.

Most races are won by the first attempt, so that one runs in the request's own task, and costs no other. If
somebody could join it, an alarm is set for when that would be: only what joins gets tasks of its own, in a
nursery (`router.exchange.company`) that is closed before the first byte goes to the client.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from functools import partial
from math import inf
from random import Random
from typing import Generic, Protocol, TypeVar

import msgspec
import trio

from router.errors import GatewayError, UpstreamUnreachable
from router.exchange.alarms import Alarm, Alarms
from router.exchange.choice import Tiers
from router.exchange.company import Company, GivenUp
from router.exchange.live import Contender, Run
from router.exchange.overdue import Overdue
from router.routing.director import Director, Lost, Wait
from router.routing.opening import RaceLimits, opener

T = TypeVar("T")


class Won(msgspec.Struct, Generic[T], frozen=True):
    """The first success: what it brought, the run that brought it, whether that was a hedge, and when."""

    value: T
    run: Run
    hedge: bool
    at: float


class Begun(Protocol):
    """Hears of an attempt as it begins."""

    def __call__(self, run: Run, *, hedge: bool) -> None:
        """Take note of it."""


class Race(ABC, Generic[T]):
    """One race for one answer, among those whom `_line_up` says.

    `attempt(run)` tries to get the answer from the run's endpoint, raising `GatewayError`, in such a way that
    the run can interrupt it: `GivenUp` then. `discard(value)` lets go of an answer that came too late,
    synchronously. `begun(run, hedge=...)` hears of every attempt as it begins. `alarms` tell when somebody is
    to join. `until`: the trio time at which the race must be over, `inf` where whoever runs it sees to that.
    """

    __slots__ = (
        "_alarm",
        "_alarms",
        "_attempt",
        "_began",
        "_begun",
        "_bug",
        "_company",
        "_director",
        "_discard",
        "_first",
        "_hedge_at",
        "_limits",
        "_opener",
        "_rest",
        "_rng",
        "_tiers",
        "_until",
        "_won",
    )

    def __init__(  # noqa: PLR0913 - all that one race is run with comes in here
        self,
        *,
        limits: RaceLimits,
        attempt: Callable[[Run], Awaitable[T]],
        discard: Callable[[T], None],
        begun: Begun,
        alarms: Alarms,
        rng: Random,
        until: float = inf,
    ) -> None:
        self._limits = limits
        self._attempt = attempt
        self._discard = discard
        self._begun = begun
        self._alarms = alarms
        self._rng = rng
        self._until = until
        self._tiers: Tiers = []
        self._rest: Callable[[float], Tiers] | None = None
        self._began = 0.0
        self._director: Director[Contender] | None = None  # once there is something to decide
        self._opener: Run | None = None  # who ran before there was
        self._hedge_at = inf  # and when that one is worth a hedge
        self._first: Run | None = None  # while it may be joined
        self._company: Company | None = None
        self._alarm: Alarm | None = None
        self._won: Won[T] | None = None
        self._bug: Exception | None = None

    @abstractmethod
    def _line_up(self, now: float) -> None:
        """Set `_tiers` to those who may serve, and `_rest` as a director has it."""

    @abstractmethod
    def _follow(self, director: Director[Contender], lost: Lost, now: float) -> None:
        """Line up others for whom the race goes on, or raise how it ends."""

    @abstractmethod
    def _directed(self, now: float) -> Director[Contender]:
        """Return who decides about those who are lined up."""

    async def run(self, now: float) -> Won[T]:
        """Race to the end, from `now` on.

        Raises `GatewayError`, `Overdue`, or a bug of ours. Cancellation ends every attempt at once; each is
        entered as given up.
        """
        self._began = now
        self._line_up(now)
        try:
            best = opener(self._tiers, now)
            if best is not None:
                is_everybody = self._rest is None and len(self._tiers) == len(self._tiers[0]) == 1
                await self._run_here(best, now, hedge=False, alone=is_everybody)
            while self._won is None:
                if self._bug is not None:
                    raise self._bug  # noqa: TRY301 - as what else goes wrong
                now = trio.current_time()
                director = self._decider()
                action = director.next(now)
                if isinstance(action, Lost):
                    self._follow(director, action, now)
                    self._director = self._directed(now)
                elif isinstance(action, Wait):
                    await self._wait(action.until)
                else:
                    await self._run_here(
                        action.candidate, now, hedge=action.hedge, alone=action.alone
                    )
        except BaseException:
            if self._won is not None:  # won in the very moment in which the client left
                self._won.run.abandoned(trio.current_time())
                self._discard(self._won.value)
            raise
        return self._won

    def _decider(self) -> Director[Contender]:
        """Return who decides. Nobody has to before the opener has failed, or may be joined."""
        if self._director is None:
            self._director = self._directed(self._began)
            if self._opener is not None:
                self._director.opened(
                    self._opener, self._tiers[0][0], hedge_at=self._hedge_at, now=self._began
                )
        return self._director

    async def _wait(self, moment: float) -> None:
        await trio.sleep_until(min(moment, self._until))
        if trio.current_time() >= self._until:
            raise Overdue

    async def _run_here(
        self, contender: Contender, now: float, *, hedge: bool, alone: bool
    ) -> None:
        """Run an attempt in this task, and whoever joins it in others, until none of them runs."""
        run, joined_at = self._begin(contender, now, hedge=hedge, alone=alone)
        run.until = self._until
        try:
            if not alone:
                self._first = run
                if joined_at > now:
                    run.looks_at = joined_at
                    self._alarm = self._alarms.set(joined_at, self._rung)
                else:
                    self._look(now)
            try:
                value = await self._attempt(run)
            except BaseException as error:
                if not self._note_loss(run, error):
                    raise
            else:
                self._note_answer(run, value, hedge=hedge)
            if alone:
                return
            if self._company is not None and self._is_on:
                await self._wait_for(self._company)
            await trio.lowlevel.checkpoint_if_cancelled()  # a client that left wins nothing
        finally:
            self._first = None
            if self._alarm is not None:
                self._alarms.call_off(self._alarm)
                self._alarm = None
                run.left_alone()  # an attempt may outlive its race: see `drains`
            if self._company is not None:
                await self._company.end()
                self._company = None

    async def _wait_for(self, company: Company) -> None:
        """Wait until those who have joined have won, or are not waited for any more."""
        with trio.CancelScope(deadline=self._until):
            await company.decided.wait()
        if not self._is_on:
            return
        if trio.current_time() >= self._until:
            raise Overdue
        raise UpstreamUnreachable("The gateway is shutting down.")

    @property
    def _is_on(self) -> bool:
        """Whether there are attempts whose end is still of interest."""
        return self._won is None and self._bug is None and self._decider().is_open

    def _look(self, now: float) -> None:
        """Let those join whose moment has come, or end whoever is left when the race is decided."""
        if self._alarm is not None:
            self._alarms.call_off(self._alarm)
            self._alarm = None
        if self._first is not None:
            self._first.left_alone()
        while self._first is not None and self._is_on:
            action = self._decider().next(now)
            if isinstance(action, Wait):
                self._alarm = self._alarms.set(action.until, self._rung)
                return
            if isinstance(action, Lost):
                break
            if self._company is None:
                self._company = Company(self._alarms.start)
            elif self._company.decided.is_set():  # the process stops
                break
            run, _ = self._begin(action.candidate, now, hedge=action.hedge, alone=False)
            self._company.join(partial(self._run_beside, run, hedge=action.hedge))
        self._give_up_others()

    def _give_up_others(self) -> None:
        """End whoever still runs in a race that is decided."""
        if self._company is not None:
            self._company.cancel()
            if self._first is not None:
                self._first.give_up()

    def _rung(self, now: float) -> None:
        """Look, in the alarms' task, where a bug of one request's must not be raised."""
        try:
            self._look(now)
        except Exception as bug:  # noqa: BLE001 - raised again in the request's task
            self._fail_with(bug)

    async def _run_beside(self, run: Run, *, hedge: bool) -> None:
        """Run an attempt in a task of its own, where a bug must not be raised either."""
        try:
            try:
                value = await self._attempt(run)
            except BaseException as error:
                if not self._note_loss(run, error):
                    raise
            else:
                self._note_answer(run, value, hedge=hedge)
        except Exception as bug:  # noqa: BLE001 - raised again in the request's task
            self._fail_with(bug)

    def _fail_with(self, bug: Exception) -> None:
        self._bug = bug
        if self._first is not None:
            self._first.give_up()
        self._give_up_others()

    def _begin(
        self, contender: Contender, now: float, *, hedge: bool, alone: bool
    ) -> tuple[Run, float]:
        """Enter an attempt before its task runs, so that whatever comes finds it entered.

        Return it, and when it may be joined.
        """
        run = Run(contender, now, self._timed)
        joined_at = inf
        if self._director is not None:
            joined_at = self._director.started(run, contender, now)
        else:
            self._opener = run
            if not alone:
                self._hedge_at = self._limits.hedge_at(contender, now)
                joined_at = min(self._hedge_at, now + self._limits.slow)
        self._begun(run, hedge=hedge)
        return run, joined_at

    def _timed(self, run: Run, moment: float | None) -> None:
        self._decider().timed_from(run, moment)
        self._look(trio.current_time())

    def _note_answer(self, run: Run, value: T, *, hedge: bool) -> None:
        """Take in the answer of an attempt: the first wins."""
        now = trio.current_time()
        if self._won is None:
            run.committed(now)
            self._won = Won(value, run, hedge, now)
        else:
            run.abandoned(now)
            self._discard(value)
        if self._first is not None and self._company is not None:
            self._look(now)

    def _note_loss(self, run: Run, error: BaseException) -> bool:
        """Take in the end of an attempt without an answer; whether that is all there is to do about it."""
        now = trio.current_time()
        if isinstance(error, GatewayError):
            run.failed(error, now=now, rng=self._rng)
            told = error.told_retry_after
            self._decider().failed(run, error, now=now, retry_after=told)
        else:
            run.abandoned(now)
            if isinstance(error, Overdue) or not isinstance(error, Exception):
                return False
            if not isinstance(error, GivenUp):
                self._bug = error  # raised again outside the nursery, which would wrap it
        if self._first is not None and self._company is not None:
            self._look(now)
        return True
