"""Any tiers, any failures, any times: what a race must never do, whoever it is asked to decide for.

A race is played out in a small world of its own. Its candidates become parked, dead or ejected, by what they
fail with and from outside; its budget grants what it likes. The rules are checked at every start.
"""

from random import Random
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from router import errors
from router.routing.availability import Availability, Standing
from router.routing.director import Director, Lost, Start, Wait
from router.routing.opening import RaceLimits
from router.routing.reaction import Mark, NextCandidate, SameKey, reaction_to

MOST_STEPS = 500
SECONDS = st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0, 2.5, 5.0, 9.0, 30.0])
FAILURES = [
    errors.UpstreamUnreachable,
    errors.UpstreamTimeout,
    errors.UpstreamRateLimited,
    errors.UpstreamOverloaded,
    errors.UpstreamKeyRejected,
    errors.UpstreamInvalid,
]
LIMITS = st.builds(
    RaceLimits,
    patience=SECONDS,
    slow=st.sampled_from([0.5, 4.0, 10.0]),
    max_attempts=st.integers(1, 8),
    hedge=st.booleans(),
)
STANDINGS = st.sampled_from([Standing.USABLE] * 4 + list(Standing))


class Candidate:
    """One who may be asked, and what is known against it."""

    def __init__(self, tier: int, standing: Standing, until: float, hedge: float | None) -> None:
        self.tier = tier
        self.standing = standing
        self.until = until
        self.hedge = hedge
        self.starts = 0
        self.failures: list[SameKey] = []

    def availability(self, now: float) -> Availability:
        over = self.standing in {Standing.PARKED, Standing.EJECTED} and now >= self.until
        return Availability(Standing.USABLE if over else self.standing, until=self.until)

    def hedge_after(self, now: float) -> float | None:
        return self.hedge


class Attempt(msgspec.Struct):
    number: int
    candidate: Candidate
    ends_at: float


class Game:
    """One race from its beginning to its end."""

    def __init__(self, data: st.DataObject) -> None:
        self.draw = data.draw
        self.now = 100.0
        sizes = self.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4), label="tiers")
        self.tiers = [[self.candidate(level) for _ in range(n)] for level, n in enumerate(sizes)]
        self.limits = self.draw(LIMITS, label="limits")
        self.grants: list[float] = []
        self.running: list[Attempt] = []
        self.starts = 0
        self.waited = 0.0
        self.director: Director[Candidate] = Director(
            self.tiers,
            limits=self.limits,
            may_spend=self.may_spend,
            may_hedge=lambda: self.may_spend(self.now),
            rng=Random(1),
            now=self.now,
        )

    def candidate(self, tier: int) -> Candidate:
        return Candidate(
            tier,
            self.draw(STANDINGS),
            self.now + self.draw(SECONDS),
            self.draw(st.none() | st.sampled_from([0.1, 1.0, 5.0])),
        )

    def may_spend(self, now: float) -> bool:
        assert now == self.now
        granted = self.draw(st.sampled_from([True] * 5 + [False]), label="granted")
        if granted:
            self.grants.append(now)
        return granted

    def play(self) -> Lost:
        """Play until it is lost; an attempt here never succeeds, for a success ends every race."""
        for _ in range(MOST_STEPS):
            action = self.director.next(self.now)
            match action:
                case Start():
                    self.start(action)
                case Wait():
                    self.wait(action.until)
                case Lost():
                    assert action.fatal is not None or not self.running
                    return action
        raise AssertionError("this race does not end")

    def start(self, action: Start[Candidate]) -> None:
        candidate = action.candidate
        self.starts += 1
        assert self.starts <= self.limits.max_attempts
        assert len(self.grants) == self.starts - 1
        assert candidate.availability(self.now).standing <= Standing.EJECTED
        assert candidate not in [attempt.candidate for attempt in self.running]
        assert action.hedge == bool(self.running)
        allowed = [key for key in candidate.failures if key is not SameKey.NEVER]
        assert candidate.starts <= len(allowed)
        assert candidate.failures.count(SameKey.ONCE_IF_ALONE) < 2 or not self.is_repeat(candidate)
        if not self.running:
            self.check_tier(candidate)
        candidate.starts += 1
        joined_at = self.director.started(self.starts, candidate, self.now)
        if not self.running and joined_at > self.now:
            assert self.director.next(self.now) == Wait(joined_at)
        lasts = self.draw(st.sampled_from([0.0, 0.2, 1.0, 3.0, 12.0]), label="lasts")
        self.running.append(Attempt(self.starts, candidate, self.now + lasts))

    def is_repeat(self, candidate: Candidate) -> bool:
        return bool(candidate.failures) and candidate.failures[-1] is SameKey.ONCE_IF_ALONE

    def check_tier(self, candidate: Candidate) -> None:
        """Nobody new above it can be asked now; an ejected one is asked when nobody new can be."""
        above = self.tiers[: candidate.tier]
        if candidate.availability(self.now).standing is Standing.EJECTED:
            above = self.tiers
        for tier in above:
            assert not [one for one in tier if not one.starts and self.is_usable(one)]

    def is_usable(self, candidate: Candidate) -> bool:
        return candidate.availability(self.now).standing <= Standing.PROBE

    def wait(self, until: float) -> None:
        """Let time pass until the next attempt ends, or to the moment that was named."""
        assert until > self.now
        ends = min(self.running, key=lambda attempt: attempt.ends_at, default=None)
        if ends is None:
            tier_has_patience = until - self.now <= self.limits.patience + 1e-9
            assert tier_has_patience
            self.waited += until - self.now
            assert self.waited <= len(self.tiers) * self.limits.patience + 1e-6
        if ends is not None and ends.ends_at <= until:
            self.now = max(self.now, ends.ends_at)
            self.fail(ends)
        else:
            self.now = until
        if self.draw(st.booleans(), label="others interfere"):
            one = self.draw(st.sampled_from([one for tier in self.tiers for one in tier]))
            one.standing, one.until = self.draw(STANDINGS), self.now + self.draw(SECONDS)

    def fail(self, attempt: Attempt) -> None:
        self.running.remove(attempt)
        kind = self.draw(st.sampled_from(FAILURES), label="failure")
        told = self.draw(st.none() | SECONDS, label="retry_after")
        error: errors.GatewayError = kind("x", retry_after=told)
        reaction = reaction_to(error, retry_after=told)
        assert reaction.next_candidate is NextCandidate.AT_ONCE
        candidate = attempt.candidate
        candidate.failures.append(reaction.same_key)
        self.mark(candidate, reaction.mark, told)
        self.director.failed(attempt.number, error, now=self.now, retry_after=told)

    def mark(self, candidate: Candidate, mark: Mark, told: float | None) -> None:
        if mark is Mark.KILL_KEY:
            candidate.standing = Standing.DEAD
        elif mark is Mark.PARK_KEY:
            candidate.standing = Standing.PARKED
            candidate.until = self.now + (15.0 if told is None else told)


@given(st.data())
def test_a_race_keeps_every_rule_and_ends(data: st.DataObject) -> None:
    game = Game(data)
    game.play()
    asked = [one for tier in game.tiers for one in tier if one.starts]
    assert game.director.attempts == game.starts == sum(one.starts for one in asked)


@given(st.data())
def test_i6_without_a_budget_a_race_is_one_attempt(data: st.DataObject) -> None:
    game = Game(data)
    game.may_spend = lambda now: False  # type: ignore[method-assign]
    game.director._may_spend = game.may_spend  # the game has handed its own one over already
    game.play()
    assert game.starts <= 1


@given(st.data())
def test_nothing_is_lost_while_somebody_new_may_be_asked(data: st.DataObject) -> None:
    game = Game(data)

    def always(now: float) -> bool:
        game.grants.append(now)
        return True

    game.director._may_spend = always  # as above
    game.director._may_hedge = lambda: always(game.now)
    lost: Any = game.play()
    if game.starts < game.limits.max_attempts and lost.fatal is None:
        new = [one for tier in game.tiers for one in tier if not one.starts]
        assert not [one for one in new if one.availability(game.now).standing <= Standing.EJECTED]
