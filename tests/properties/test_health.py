"""Any order of attempts, outcomes and leaps of the clock, against what must hold of them all.

The machines keep a list of the attempts that are under way and whether each is still of interest: an attempt
is not once the health has changed its mind after it began. Everything else follows from that.
"""

from random import Random
from typing import Generic, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from router.routing.availability import Availability, Standing
from router.routing.endpoint_health import EndpointHealth, EndpointLimits
from router.routing.key_health import KeyHealth, KeyLimits, KeyTrial
from router.routing.reaction import Mark
from router.routing.trial import Trial

T = TypeVar("T", bound=Trial)

ENDPOINT = EndpointLimits()
KEY = KeyLimits()
STEPS = st.sampled_from([0.001, 0.5, 2.0, 5.0, 9.0, 20.0, 31.0, 3600.0, 1e6])
WAITS = st.none() | st.sampled_from([0.0, 0.3, 2.0, 40.0, 1000.0])
UNINTERESTING_TO_ENDPOINT = [mark for mark in Mark if mark is not Mark.PENALISE]
UNINTERESTING_TO_KEY = [Mark.NOTHING, Mark.PENALISE]
MAY_BE_ASKED = {Standing.USABLE, Standing.PROBE}
ROUNDING = 1e-6


class UnderWay(Generic[T]):
    """An attempt that has not ended. `fresh`: begun since the health last changed its mind."""

    def __init__(self, trial: T, begun: float) -> None:
        self.trial = trial
        self.begun = begun
        self.fresh = True


class EndpointMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.health = EndpointHealth(ENDPOINT)
        self.rng = Random(7)
        self.now = 0.0
        self.under_way: list[UnderWay[Trial]] = []
        self.floor = float("-inf")
        self.away = False
        self.latest_probe: UnderWay[Trial] | None = None
        self.needs_whole_answer = False
        self.in_a_row = 0
        self.outcomes: list[tuple[float, bool]] = []  # since the last change of mind

    @rule(step=STEPS)
    def time_passes(self, step: float) -> None:
        self.now += step

    @precondition(lambda self: self.standing() is not Standing.PARKED)
    @rule(crowd=st.sampled_from([1, 1, 2, 6, 30]))
    def begin(self, crowd: int) -> None:
        due = self.standing() is Standing.PROBE
        probing = [item for item in self.under_way if self.keeps_others_away(item)]
        assert not (due and probing)
        begun = [UnderWay(self.health.begin(self.now), self.now) for _ in range(crowd)]
        assert [item.trial.probe for item in begun] == [due] + [False] * (crowd - 1)
        if due:
            self.latest_probe = begun[0]
        self.under_way += begun

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), wait=WAITS)
    def fail(self, data: st.DataObject, wait: float | None) -> None:
        item = self.take(data)
        before = self.health.availability(self.now)
        ejected = self.health.failed(
            item.trial, Mark.PENALISE, now=self.now, rng=self.rng, retry_after=wait
        )
        self.floor = max(self.floor, self.now + (wait or 0.0))
        if not item.fresh:
            assert not ejected, "old news"
        elif self.away:
            assert ejected == item.trial.probe, "the probe, and nobody else, lengthens an ejection"
        else:
            self.note(failed=True)
            assert ejected == self.should_be_ejected() or self.is_borderline()
        if ejected:
            self.change_of_mind(away=True)
            self.needs_whole_answer = item.trial.committed
            ejection = self.health.availability(self.now).until - self.now + ROUNDING
            assert ejection >= 0.8 * ENDPOINT.ejection
            assert ejection <= max(ENDPOINT.ejection_cap, self.floor - self.now) + 2 * ROUNDING
        elif wait is None:
            assert self.health.availability(self.now) == before

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(self.under_way))
        came_back = self.health.committed(item.trial, self.now)
        assert came_back == (self.away and item.fresh and not self.needs_whole_answer)
        if came_back:
            self.change_of_mind(away=False)
            item.fresh = True

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def succeed(self, data: st.DataObject) -> None:
        item = self.take(data)
        came_back = self.health.succeeded(item.trial, self.now)
        assert came_back == (self.away and item.fresh)
        if came_back:
            self.change_of_mind(away=False)
        elif item.fresh:
            self.note(failed=False)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), mark=st.none() | st.sampled_from(UNINTERESTING_TO_ENDPOINT))
    def end_without_news(self, data: st.DataObject, mark: Mark | None) -> None:
        item = self.take(data)
        before = self.health.availability(self.now)
        if mark is None:
            self.health.abandoned(item.trial, self.now)
        else:
            news = self.health.failed(item.trial, mark, now=self.now, rng=self.rng, retry_after=9.0)
            assert not news
        after = self.health.availability(self.now)
        if self.away and item.fresh and item is self.latest_probe:
            assert after.standing not in MAY_BE_ASKED, "the next probe comes after a pause"
            assert after.until >= self.now + ENDPOINT.ejection
        else:
            assert after == before

    @invariant()
    def nobody_comes_before_the_retry_after(self) -> None:
        available = self.health.availability(self.now)
        assert (available.standing is Standing.PARKED) == (self.now < self.floor)
        if available.standing is Standing.PARKED:
            assert available.until >= self.floor

    @invariant()
    def it_is_away_from_the_ejection_to_the_return(self) -> None:
        if self.now >= self.floor:
            assert (self.standing() in {Standing.EJECTED, Standing.PROBE}) == self.away

    @invariant()
    def an_endpoint_never_dies(self) -> None:
        latest = max(self.now, self.floor) + ENDPOINT.ejection_cap + ENDPOINT.probe_patience
        assert self.health.availability(latest + 1.0).standing in MAY_BE_ASKED

    @invariant()
    def the_time_told_is_when_it_may_be_asked(self) -> None:
        available = self.health.availability(self.now)
        if available.standing not in MAY_BE_ASKED:
            assert available.until > self.now
            assert self.health.availability(available.until).standing in MAY_BE_ASKED
            just_before = (self.now + available.until) / 2
            assert self.health.availability(just_before).standing not in MAY_BE_ASKED

    @invariant()
    def it_is_well_when_nothing_is_held_against_it(self) -> None:
        available = self.health.availability(self.now)
        well = self.now >= self.health.well_from
        assert not (well and (self.away or self.now < self.floor))
        if available.standing is Standing.USABLE and available.share == 1.0:
            assert self.now >= self.health.well_from - ROUNDING
        elif available.share < 1.0 - ROUNDING:
            assert not well

    @invariant()
    def the_share_only_grows(self) -> None:
        if self.standing() is not Standing.USABLE:
            return
        times = (0.0, 7.0, ENDPOINT.ramp)
        shares = [self.health.availability(self.now + after).share for after in times]
        assert shares == sorted(shares)
        assert ENDPOINT.ramp_start <= shares[0]
        assert shares[-1] >= 1.0 - ROUNDING

    def keeps_others_away(self, item: UnderWay[Trial]) -> bool:
        recent = self.now < item.begun + ENDPOINT.probe_patience
        return item.trial.probe and item.fresh and recent and self.away

    def standing(self) -> Standing:
        return self.health.availability(self.now).standing

    def take(self, data: st.DataObject) -> UnderWay[Trial]:
        return self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))

    def change_of_mind(self, *, away: bool) -> None:
        self.away = away
        for item in self.under_way:
            item.fresh = False
        self.in_a_row = 0
        self.outcomes = []

    def note(self, *, failed: bool) -> None:
        self.in_a_row = self.in_a_row + 1 if failed else 0
        self.outcomes.append((self.now, failed))

    def should_be_ejected(self, *, window: float = ENDPOINT.failure_window) -> bool:
        recent = [failed for at, failed in self.outcomes if at > self.now - window]
        often = len(recent) >= ENDPOINT.failure_least and sum(recent) > len(recent) / 2
        return often or self.in_a_row >= ENDPOINT.failures_in_a_row

    def is_borderline(self) -> bool:
        """Whether the slices of the window decide."""
        answers = {
            self.should_be_ejected(window=ENDPOINT.failure_window * sixths / 6)
            for sixths in (5.0, 5.25, 5.5, 5.75, 6.0)
        }
        return len(answers) > 1


class KeyMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.health = KeyHealth(KEY)
        self.rng = Random(7)
        self.now = 0.0
        self.under_way: list[UnderWay[KeyTrial]] = []
        self.floor = float("-inf")
        self.dead = False

    @rule(step=STEPS)
    def time_passes(self, step: float) -> None:
        self.now += step

    @precondition(lambda self: self.standing() in MAY_BE_ASKED)
    @rule(crowd=st.sampled_from([1, 1, 2, 6, 30]))
    def begin(self, crowd: int) -> None:
        probe_due = self.standing() is Standing.PROBE
        begun: list[UnderWay[KeyTrial]] = []
        while len(begun) < crowd and self.standing() in MAY_BE_ASKED:
            begun.append(UnderWay(self.health.begin(self.now), self.now))
        assert len(begun) == (1 if probe_due else crowd)
        assert [item.trial.probe for item in begun] == [probe_due] * len(begun)
        self.under_way += begun

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), wait=WAITS)
    def rate_limited(self, data: st.DataObject, wait: float | None) -> None:
        item = self.take(data)
        before = self.health.availability(self.now)
        self.health.failed(item.trial, Mark.PARK_KEY, now=self.now, rng=self.rng, retry_after=wait)
        after = self.health.availability(self.now)
        self.floor = max(self.floor, self.now + (wait or 0.0))
        assert after.until >= min(before.until, self.floor), "nothing shortens a wait"
        if not self.dead and after.standing is Standing.PARKED:
            longest = max(KEY.parked_cap, self.floor - self.now, before.until - self.now)
            assert after.until - self.now <= longest + ROUNDING

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def refused(self, data: st.DataObject) -> None:
        item = self.take(data)
        before = self.health.availability(self.now)
        killed = self.health.failed(item.trial, Mark.KILL_KEY, now=self.now, rng=self.rng)
        assert killed == item.fresh
        after = self.health.availability(self.now)
        if killed:
            self.change_of_mind(dead=True)
            assert after.standing is Standing.DEAD
            assert after.until >= self.now + KEY.dead
        else:
            assert after == before

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), before_the_end=st.booleans())
    def succeed(self, data: st.DataObject, before_the_end: bool) -> None:
        item = self.take(data)
        before = self.health.availability(self.now)
        revived = before_the_end and self.health.committed(item.trial)
        revived = self.health.succeeded(item.trial) or revived
        assert revived == (self.dead and item.fresh)
        if revived:
            assert item.trial.probe, "nothing else is begun with a dead key"
            self.change_of_mind(dead=False)
        else:
            assert self.health.availability(self.now) == before

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), mark=st.none() | st.sampled_from(UNINTERESTING_TO_KEY))
    def end_without_news(self, data: st.DataObject, mark: Mark | None) -> None:
        item = self.take(data)
        before = self.health.availability(self.now)
        if mark is None:
            self.health.abandoned(item.trial, self.now)
        else:
            assert not self.health.failed(item.trial, mark, now=self.now, rng=self.rng)
        assert self.health.availability(self.now) == before or item.trial.probe

    @invariant()
    def nobody_comes_before_the_retry_after(self) -> None:
        if self.now < self.floor:
            assert self.standing() in {Standing.PARKED, Standing.DEAD}
            assert self.health.availability(self.now).until >= self.floor

    @invariant()
    def a_dead_key_lives_again_only_by_an_answer(self) -> None:
        assert (self.standing() in {Standing.DEAD, Standing.PROBE}) == self.dead

    @invariant()
    def the_time_told_is_when_it_may_be_asked(self) -> None:
        available: Availability = self.health.availability(self.now)
        if available.standing not in MAY_BE_ASKED:
            assert available.until > self.now
            assert self.health.availability(available.until).standing in MAY_BE_ASKED

    @invariant()
    def it_is_well_when_it_is_neither_parked_nor_dead(self) -> None:
        well = self.now >= self.health.well_from
        assert well == (self.standing() is Standing.USABLE)
        assert not (well and (self.dead or self.now < self.floor))

    @invariant()
    def a_key_is_never_lost_for_good(self) -> None:
        latest = max(self.now, self.floor) + KEY.dead_cap + KEY.parked_cap + KEY.probe_patience
        assert self.health.availability(latest).standing in MAY_BE_ASKED

    def standing(self) -> Standing:
        return self.health.availability(self.now).standing

    def take(self, data: st.DataObject) -> UnderWay[KeyTrial]:
        return self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))

    def change_of_mind(self, *, dead: bool) -> None:
        self.dead = dead
        for item in self.under_way:
            item.fresh = False


EndpointMachine.TestCase.settings = settings(stateful_step_count=50)
KeyMachine.TestCase.settings = settings(stateful_step_count=50)
TestEndpointHealth = EndpointMachine.TestCase
TestKeyHealth = KeyMachine.TestCase
