"""The director's decisions, as rows: what happened when, and what it wants next.

A script is a list of moments. Each names a time, what has just happened, and the decision that must follow:
`start a`, `hedge b`, `wait 3`, `lost`, or `lost <code>`.
"""

from collections.abc import Callable
from functools import partial
from random import Random

import msgspec
import pytest

from adapters.dialect import Failure, FailureKind
from router import errors
from router.routing.availability import Availability, Standing
from router.routing.director import Director, Lost, Start, Wait
from router.routing.opening import RaceLimits
from router.routing.reaction import Mark, reaction_to

NEVER = float("inf")


class Candidate:
    """One who is asked; its key is parked or dead as the test or the failures say."""

    def __init__(self, name: str, hedge_after: float | None) -> None:
        self.name = name
        self.standing = Standing.USABLE
        self.until = 0.0
        self._hedge_after = hedge_after

    def availability(self, now: float) -> Availability:
        passed = self.standing is Standing.PARKED and now >= self.until
        return Availability(Standing.USABLE if passed else self.standing, until=self.until)

    def hedge_after(self, now: float) -> float | None:
        return self._hedge_after


class LongestWait(Random):
    def uniform(self, a: float, b: float) -> float:
        return b


def refusal(kind: FailureKind, status: int) -> Failure:
    return Failure(kind=kind, status=status, message="no")


FAILURES: dict[str, Callable[[float | None], errors.GatewayError]] = {
    "reset": lambda after: errors.UpstreamUnreachable("x", retry_after=after),
    "timeout": lambda after: errors.UpstreamTimeout("x", retry_after=after),
    "429": lambda after: errors.UpstreamRateLimited("x", retry_after=after),
    "503": lambda after: errors.UpstreamOverloaded("x", retry_after=after),
    "401": lambda after: errors.UpstreamKeyRejected("x", retry_after=after),
    "invalid": lambda after: errors.UpstreamInvalid("x", retry_after=after),
    "long": lambda _: errors.ContextLengthExceeded(refusal(FailureKind.CONTEXT_LENGTH, 400)),
    "policy": lambda _: errors.ContentRefused(refusal(FailureKind.CONTENT_POLICY, 400)),
    "unfetched": lambda _: errors.FileNotFetched("it is not there", param=None),
    "404": lambda _: errors.UpstreamRefusal(refusal(FailureKind.REFUSED, 404)),
}


class Play:
    """One race, driven by the words of a script."""

    def __init__(
        self,
        tiers: str,
        limits: RaceLimits,
        budget: int,
        hedge_after: float | None,
        *,
        learns_later: bool = False,
    ) -> None:
        self.candidates = {name: Candidate(name, hedge_after) for name in tiers if name.isalpha()}
        self.left = budget
        self.running: dict[str, int] = {}
        all_tiers = [[self.candidates[name] for name in tier] for tier in tiers.split("|")]
        later = learns_later and len(self.candidates) > 1
        self.asked_for_all: list[float] = []
        self.director: Director[Candidate] = Director(
            [all_tiers[0][:1]] if later else all_tiers,
            rest=partial(self.learn, all_tiers) if later else None,
            limits=limits,
            may_spend=self.spend,
            may_hedge=lambda: self.spend(0.0),
            rng=LongestWait(1),
            now=0.0,
        )

    def learn(self, tiers: list[list[Candidate]], now: float) -> list[list[Candidate]]:
        self.asked_for_all.append(now)
        return tiers

    def spend(self, now: float) -> bool:
        self.left -= 1
        return self.left >= 0

    def happen(self, event: str, now: float) -> None:
        match event.split():
            case []:
                return
            case [name, "dead"]:
                self.candidates[name].standing = Standing.DEAD
            case [name, "ejected"]:
                self.candidates[name].standing = Standing.EJECTED
            case [name, "parked", until]:
                self.candidates[name].standing = Standing.PARKED
                self.candidates[name].until = float(until)
            case [name, "waits"]:
                self.director.timed_from(self.running[name], None)
            case [name, "asks"]:
                self.director.timed_from(self.running[name], now)
            case [name, failure]:
                self.fail(name, failure, None, now)
            case [name, failure, retry_after]:
                self.fail(name, failure, float(retry_after), now)

    def fail(self, name: str, failure: str, retry_after: float | None, now: float) -> None:
        """Note the failure where a race notes it first: in the key's and the endpoint's health."""
        error = FAILURES[failure](retry_after)
        mark = reaction_to(error, retry_after=retry_after).mark
        if mark is Mark.KILL_KEY:
            self.candidates[name].standing = Standing.DEAD
        elif mark is Mark.PARK_KEY or retry_after is not None:
            wait = 15.0 if retry_after is None else retry_after
            self.happen(f"{name} parked {now + wait}", now)
        self.director.failed(self.running.pop(name), error, now=now, retry_after=retry_after)

    def decide(self, now: float) -> str:
        """Ask, and begin at once what is to be started."""
        action = self.director.next(now)
        if isinstance(action, Start):
            number = self.director.attempts
            self.director.started(number, action.candidate, now)
            assert action.candidate.name not in self.running
            self.running[action.candidate.name] = number
            return f"{'hedge' if action.hedge else 'start'} {action.candidate.name}"
        if isinstance(action, Wait):
            assert action.until > now
            return f"wait {action.until:g}"
        assert isinstance(action, Lost)
        return "lost" if action.fatal is None else f"lost {action.fatal.to_body().code or 404}"


class Case(msgspec.Struct, frozen=True, kw_only=True):
    tiers: str
    script: list[tuple[float, str, str]]
    limits: RaceLimits = RaceLimits()
    budget: int = 100
    hedge_after: float | None = None


CASES: dict[str, Case] = {
    "a first attempt is started, then waited for until it is slow": Case(
        tiers="ab", script=[(0, "", "start a"), (0, "", "wait 10")]
    ),
    "a failure hands over to the next of the tier, then to the next tier": Case(
        tiers="ab|c",
        script=[
            (0, "", "start a"),
            (1, "a 503", "start b"),
            (2, "b timeout", "start c"),
            (3, "c timeout", "lost"),
        ],
    ),
    "who is alone in its tier is asked again after a backoff, once": Case(
        tiers="a|b",
        script=[
            (0, "", "start a"),
            (1, "a 503", "wait 1.25"),
            (1.25, "", "start a"),
            (2, "a 503", "start b"),
            (3, "b 503", "lost"),
        ],
    ),
    "the last of a tier counts as alone": Case(
        tiers="ab",
        script=[(0, "", "start a"), (0, "a reset", "start b"), (0, "b reset", "start b")],
    ),
    "who stands beside a parked one is alone": Case(
        tiers="ab",
        script=[(0, "b parked 60", "start a"), (0, "a reset", "start a"), (0, "a reset", "lost")],
    ),
    "a reset and an unreadable answer are tried again without a wait": Case(
        tiers="a", script=[(0, "", "start a"), (1, "a invalid", "start a")]
    ),
    "the time an attempt took is not held against the patience of its tier": Case(
        tiers="a|b", script=[(0, "", "start a"), (9, "a 503 2", "wait 11"), (11, "", "start a")]
    ),
    "a timeout is never asked of the same key again": Case(
        tiers="a", script=[(0, "", "start a"), (30, "a timeout", "lost")]
    ),
    "a Retry-After within the patience is waited for": Case(
        tiers="a|b", script=[(0, "", "start a"), (0, "a 429 2", "wait 2"), (2, "", "start a")]
    ),
    "patience is for all waits of a tier together": Case(
        tiers="a|b",
        script=[
            (0, "", "start a"),
            (0, "a 429 2", "wait 2"),
            (2, "", "start a"),
            (2, "a 429 2", "start b"),
        ],
    ),
    "a Retry-After beyond the patience sends to the next tier at once": Case(
        tiers="a|b",
        script=[(0, "", "start a"), (0, "a 429 60", "start b"), (0, "b 429 60", "lost")],
    ),
    "a 429 that names no time is not waited for": Case(
        tiers="a|b", script=[(0, "", "start a"), (0, "a 429", "start b")]
    ),
    "a key that was parked for longer meanwhile is not asked at the first moment": Case(
        tiers="a|b",
        script=[
            (0, "", "start a"),
            (0, "a 429 1", "wait 1"),
            (1, "a parked 2.5", "wait 2.5"),
            (2.5, "a parked 9", "start b"),
        ],
    ),
    "a key that died meanwhile is not asked at all": Case(
        tiers="a|b",
        script=[(0, "", "start a"), (0, "a 429 1", "wait 1"), (1, "a dead", "start b")],
    ),
    "an endpoint ejected by its failure is not asked again": Case(
        tiers="a",
        script=[(0, "", "start a"), (0, "a 503", "wait 0.25"), (0.25, "a ejected", "lost")],
    ),
    "a parked candidate is waited for when its time is near": Case(
        tiers="a|b", script=[(0, "a parked 2", "wait 2"), (2, "", "start a")]
    ),
    "dead and parked candidates are passed over": Case(
        tiers="ab|c", script=[(0, "a dead", "start b"), (0, "b 401", "start c")]
    ),
    "nobody is left when all are parked or dead": Case(
        tiers="a|b", script=[(0, "a dead", "start b"), (0, "b 429 60", "lost")]
    ),
    "an ejected one is the last resort, after all tiers": Case(
        tiers="a|b",
        script=[
            (0, "a ejected", "start b"),
            (0, "b timeout", "start a"),
            (0, "a 503", "lost"),
        ],
    ),
    "a last resort that is slow is joined by nobody where nobody is left": Case(
        tiers="a",
        hedge_after=1,
        script=[(0, "a ejected", "start a"), (1, "", "wait 10"), (10, "", "wait inf")],
    ),
    "a refusal ends the race": Case(
        tiers="ab", script=[(0, "", "start a"), (0, "a long", "lost context_length_exceeded")]
    ),
    "a content policy ends the race": Case(
        tiers="ab", script=[(0, "", "start a"), (0, "a policy", "lost content_policy_violation")]
    ),
    "any other 4xx ends the race": Case(
        tiers="ab", script=[(0, "", "start a"), (0, "a 404", "lost 404")]
    ),
    "a file that could not be fetched ends the race": Case(
        tiers="ab|c", script=[(0, "", "start a"), (0, "a unfetched", "lost file_not_fetched")]
    ),
    "a file that could not be fetched is told when nobody runs any more": Case(
        tiers="abc",
        hedge_after=1,
        script=[
            (0, "", "start a"),
            (1, "", "hedge b"),
            (2, "b unfetched", "hedge c"),
            (3, "c unfetched", "wait 10"),
            (4, "a 503", "lost file_not_fetched"),
        ],
    ),
    "who waits for a file is not hedged, and is timed from when it asks": Case(
        tiers="ab|c",
        hedge_after=1,
        script=[
            (0, "", "start a"),
            (0, "a waits", "wait 10"),
            (7, "a asks", "wait 8"),
            (8, "", "hedge b"),
            (8, "", "wait 17"),
        ],
    ),
    "the next tier is asked beside one that waits for a file for too long": Case(
        tiers="a|b",
        hedge_after=1,
        script=[(0, "", "start a"), (0, "a waits", "wait 10"), (10, "", "hedge b")],
    ),
    "a hedge starts when the first has outlasted its delay": Case(
        tiers="ab|c",
        hedge_after=1,
        script=[(0, "", "start a"), (0, "", "wait 1"), (1, "", "hedge b"), (1, "", "wait 10")],
    ),
    "a hedge never leaves the tier, and is not sought again": Case(
        tiers="a|b",
        hedge_after=1,
        script=[(0, "", "start a"), (1, "", "wait 10"), (10, "", "hedge b")],
    ),
    "a hedge that fails is followed by the next at once": Case(
        tiers="abc",
        hedge_after=1,
        script=[(0, "", "start a"), (1, "", "hedge b"), (1.5, "b 503", "hedge c")],
    ),
    "a hedge becomes the one that is hedged": Case(
        tiers="abc",
        hedge_after=1,
        script=[
            (0, "", "start a"),
            (1, "", "hedge b"),
            (1.5, "a 503", "wait 2"),
            (2, "", "hedge c"),
        ],
    ),
    "without hedging only the slow are joined": Case(
        tiers="ab",
        hedge_after=1,
        limits=RaceLimits(hedge=False, slow=4),
        script=[(0, "", "start a"), (1, "", "wait 4"), (4, "", "hedge b"), (4, "", "wait 8")],
    ),
    "the one asked because the first is slow is followed if it fails": Case(
        tiers="a|b|c",
        script=[
            (0, "", "start a"),
            (10, "", "hedge b"),
            (11, "b 503", "hedge c"),
            (12, "c 503", "wait inf"),
            (20, "a timeout", "lost"),
        ],
    ),
    "a budget that is empty stops retries": Case(
        tiers="ab", budget=0, script=[(0, "", "start a"), (0, "a 503", "lost")]
    ),
    "a budget that is empty stops hedges, but not the race": Case(
        tiers="ab",
        budget=0,
        hedge_after=1,
        script=[(0, "", "start a"), (1, "", "wait 10"), (10, "", "wait inf")],
    ),
    "a race has only so many attempts": Case(
        tiers="abc",
        limits=RaceLimits(max_attempts=2),
        script=[(0, "", "start a"), (0, "a 503", "start b"), (0, "b 503", "lost")],
    ),
    "nobody is waited for once the attempts are used up": Case(
        tiers="a",
        limits=RaceLimits(max_attempts=1),
        script=[(0, "", "start a"), (0, "a 429 2", "lost")],
    ),
}


@pytest.mark.parametrize("learns_later", [False, True], ids=["of all", "later"])
@pytest.mark.parametrize("name", CASES)
def test_what_happened_leads_to_what_is_done_next(name: str, learns_later: bool) -> None:
    """The decisions are the same where the others are learned of only once they matter."""
    case = CASES[name]
    play = Play(case.tiers, case.limits, case.budget, case.hedge_after, learns_later=learns_later)
    decided = []
    for now, event, _ in case.script:
        play.happen(event, now)
        decided.append((now, event, play.decide(now)))
    assert decided == case.script
    assert len(play.asked_for_all) <= 1


def test_the_others_are_not_asked_for_before_they_matter() -> None:
    play = Play("abc|d", RaceLimits(), 10, 1.0, learns_later=True)
    assert [play.decide(now) for now in (0.0, 0.5)] == ["start a", "wait 1"]
    assert play.asked_for_all == []
    assert play.decide(1.0) == "hedge b"
    assert play.asked_for_all == [1.0]


def test_the_soonest_moment_is_that_of_the_first_who_is_away() -> None:
    play = Play("ab|c", RaceLimits(), 10, None)
    assert play.director.soonest(0.0) is None
    play.happen("a parked 40", 0.0)
    play.happen("c parked 20", 0.0)
    assert play.director.soonest(0.0) == 20
    assert play.director.soonest(30.0) == 40


def test_every_failure_is_remembered_with_who_failed() -> None:
    play = Play("ab", RaceLimits(), 10, None)
    for event in ("", "a 503", "b timeout"):
        play.happen(event, 0.0)
        play.decide(0.0)
    assert [(one.name, error.code) for one, error in play.director.failures] == [
        ("a", "upstream_overloaded"),
        ("b", "upstream_timeout"),
    ]
