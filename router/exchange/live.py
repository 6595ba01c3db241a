"""The live picture of every candidate: what the policy and the race see of it.

A `LiveEndpoint` joins what is fixed (`Endpoint`) with what is learned: its health and its key's, its expected
time to first token, its hedge delay, how many requests it has in flight. It lives as long as the process, and
so does what it knows. A `Run` is one attempt in that picture: begun once, ended by exactly one outcome.
"""

from collections.abc import Callable
from enum import StrEnum
from math import inf
from random import Random
from typing import Final, Literal

import msgspec

from adapters.dialect import Usage
from router.catalog.candidate import Candidate
from router.errors import GatewayError, UpstreamTimeout
from router.exchange.endpoint import Endpoint, make_endpoint
from router.routing.availability import USABLE, Availability, joined
from router.routing.endpoint_health import EndpointHealth
from router.routing.ewma import PeakEwma
from router.routing.hedge_delay import HedgeDelay
from router.routing.key_health import KeyHealth
from router.routing.plan import CandidateView
from router.routing.reaction import Mark, reaction_to
from router.routing.sticky import fingerprint

# A stream answers with its first token, a whole answer with its last: their times have nothing in common.
Form = Literal["stream", "whole"]
FORMS: Final[tuple[Form, ...]] = ("stream", "whole")

# What a failure counts in the expected latency, in seconds: or who refuses fast would look fast.
PENALTY_SECONDS: Final = 5.0
LATENCY_MEMORY_SECONDS: Final = 10.0
UNKNOWN_LATENCY_SECONDS: Final = 0.5


class Fate(StrEnum):
    """What became of an attempt."""

    SERVED = "served"
    REFUSED = "refused"  # it failed at once: unreachable, or an error for an answer
    SILENT = "silent"  # a limit passed before it had anything to say
    BROKEN = "broken"  # it broke after it had begun to answer
    ABANDONED = "abandoned"  # another was faster, or the client left


class HedgeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Hedge after this quantile of the time to first token, at least after `minimum` seconds."""

    quantile: float = 0.95
    minimum: float = 0.05


class Timing:
    """What is known of the time to first token, for one form of answer."""

    __slots__ = ("delay", "expected")

    def __init__(self, hedging: HedgeSettings) -> None:
        self.expected = PeakEwma(tau=LATENCY_MEMORY_SECONDS, initial=UNKNOWN_LATENCY_SECONDS)
        self.delay = HedgeDelay(quantile=hedging.quantile, minimum=hedging.minimum)


class Picture:
    """What is learned of one model at one provider behind one key, however it is asked."""

    __slots__ = ("health", "in_flight", "key", "timing")

    def __init__(self, key: KeyHealth, hedging: HedgeSettings) -> None:
        self.health = EndpointHealth()
        self.key = key
        self.in_flight = 0
        self.timing: dict[Form, Timing] = {"stream": Timing(hedging), "whole": Timing(hedging)}

    def is_well(self, now: float) -> bool:
        """Tell whether nothing is known against it: it is `USABLE`."""
        return self.health.well_from <= now >= self.key.well_from


class LiveEndpoint:
    """One candidate as it is now. Compared by identity; candidates that differ in limits share a picture."""

    __slots__ = ("_contenders", "_place", "endpoint", "picture")

    def __init__(self, endpoint: Endpoint, picture: Picture) -> None:
        self.endpoint = endpoint
        self.picture = picture
        self._contenders = {
            form: Contender(self, picture, timing.expected, timing.delay)
            for form, timing in picture.timing.items()
        }
        name = f"{endpoint.origin} {endpoint.target.upstream_model}"
        self._place = fingerprint(name.encode())

    def availability(self, now: float) -> Availability:
        """Return whether it may be asked: the worse of what endpoint and key say."""
        picture = self.picture
        if picture.health.well_from <= now >= picture.key.well_from:
            return USABLE
        return joined(picture.health.availability(now), picture.key.availability(now))

    def contender(self, form: Form) -> "Contender":
        """Return it as it competes for one form of answer: always the same."""
        return self._contenders[form]

    def view(self, form: Form, *, tier: int, now: float) -> CandidateView["LiveEndpoint"]:
        """Return its picture for the policy."""
        return CandidateView(
            candidate=self,
            tier=tier,
            availability=self.availability(now),
            weight=self.endpoint.weight,
            latency=self.picture.timing[form].expected.read(now),
            in_flight=self.picture.in_flight,
            price=self.endpoint.price,
            place=self._place,
        )


def _untimed(_run: "Run", _moment: float | None) -> None:
    """Hear from when on an attempt is timed, where nobody asks."""


class Contender(msgspec.Struct, frozen=True, eq=False):
    """A live endpoint as it competes for one form of answer: all that a race looks at, close at hand."""

    live: LiveEndpoint
    picture: Picture
    expected: PeakEwma
    delay: HedgeDelay

    def availability(self, now: float) -> Availability:
        """Return whether it may be asked now."""
        return self.live.availability(now)

    def cost(self, now: float) -> float:
        """Return the load that one more request would meet, as `CandidateView.cost` has it."""
        return self.expected.read(now) * (self.picture.in_flight + 1)

    def hedge_after(self, now: float) -> float | None:
        """Return after how many seconds an attempt is worth a hedge; `None` while too little is known."""
        return self.delay.after(now)


class Run:
    """One attempt at one endpoint, in its live picture. Begun by its making, ended by exactly one outcome.

    `fate` is that outcome, `None` while it runs; `has_asked`: its request was about to go out, so that it
    may have cost something; `has_committed`: its answer had begun. `timed(run, moment)` hears from when on it
    is timed, and `None` when it must wait for what is not its endpoint's doing; `started` is that moment.
    `spent` is what the answered pieces of a call in pieces have used, before the next one is asked for.
    `until` is when its call's time is over, where the attempt is to see to that (`router.exchange.overdue`).
    `interrupt` ends the attempt's waiting, so that it can be given up alone (`router.exchange.company`).
    `looks_at` is when its race looks after it next, infinite for never: what an attempt wants to be woken for
    later than that needs no alarm before, if `left_alone` calls `unwatched`.

    Synchronous, so that cancellation cannot come between an outcome and its entry.
    """

    __slots__ = (
        "_delay",
        "_expected",
        "_key_trial",
        "_picture",
        "_timed",
        "_trial",
        "fate",
        "has_asked",
        "has_committed",
        "interrupt",
        "is_given_up",
        "live",
        "looks_at",
        "spent",
        "started",
        "until",
        "unwatched",
    )

    def __init__(
        self,
        contender: Contender,
        now: float,
        timed: Callable[["Run", float | None], None] = _untimed,
    ) -> None:
        picture = contender.picture
        self.live = contender.live
        self._timed = timed
        self._picture = picture
        self._expected = contender.expected
        self._delay = contender.delay
        self.started = now
        self._trial = picture.health.begin(now)
        self._key_trial = picture.key.begin(now)
        self.fate: Fate | None = None
        self.has_asked = False
        self.has_committed = False
        self.spent: Usage | None = None
        self.until = inf
        self.interrupt: Callable[[], None] | None = None
        self.is_given_up = False
        self.looks_at = inf
        self.unwatched: Callable[[], None] | None = None
        picture.in_flight += 1

    def held_up(self) -> None:
        """Note that it waits for what is not its endpoint's doing, and is not late for that."""
        self._timed(self, None)

    def goes_on(self, now: float) -> None:
        """Note that it waits no more: its time begins."""
        self.started = now
        self._timed(self, now)

    def give_up(self) -> None:
        """End the attempt, and nothing else that its task does."""
        self.is_given_up = True
        if self.interrupt is not None:
            self.interrupt()

    def left_alone(self) -> None:
        """Note that its race looks after it no more before somebody has to."""
        self.looks_at = inf
        unwatched, self.unwatched = self.unwatched, None
        if unwatched is not None:
            unwatched()

    def committed(self, now: float) -> None:
        """Note that the answer has begun: the first token of a stream, or a whole answer."""
        self.has_committed = True
        self._timed = _untimed  # the race is over, and a stream may outlive it by minutes
        self.interrupt = None
        seconds = now - self.started
        self._expected.observe(seconds, now)
        self._delay.observe(seconds, now)
        self._picture.health.committed(self._trial, now)
        self._picture.key.committed(self._key_trial)

    def completed(self, now: float) -> None:
        """Note that the answer came to its end."""
        if self._end(Fate.SERVED):
            self._picture.health.succeeded(self._trial, now)
            self._picture.key.succeeded(self._key_trial)

    def failed(self, error: GatewayError, *, now: float, rng: Random) -> None:
        """Note a failure, and what it is held against."""
        if not self._end(self._fate_of(error)):
            return
        told = error.told_retry_after
        mark = reaction_to(error, retry_after=told).mark
        if mark is Mark.PENALISE:
            self._expected.observe(max(PENALTY_SECONDS, now - self.started), now)
        if isinstance(error, UpstreamTimeout) and not self.has_committed:
            self._delay.observe_lower_bound(now - self.started, now)
        self._picture.health.failed(self._trial, mark, now=now, rng=rng, retry_after=told)
        self._picture.key.failed(self._key_trial, mark, now=now, rng=rng, retry_after=told)

    def abandoned(self, now: float) -> None:
        """Note that it was given up (it lost, or the client left): all it tells is how long it ran."""
        if not self._end(Fate.ABANDONED):
            return
        if not self.has_committed:
            self._outlasted(now - self.started, now)
        self._picture.health.abandoned(self._trial, now)
        self._picture.key.abandoned(self._key_trial, now)

    def _outlasted(self, seconds: float, now: float) -> None:
        """Note that the first token took longer than this; how much longer will not be known.

        It is news for the policy only if it is worse than what was expected. Without it, an endpoint that
        never answers, and always loses, would look as good as on its best day.
        """
        self._delay.observe_lower_bound(seconds, now)
        if seconds > self._expected.read(now):
            self._expected.observe(seconds, now)

    def _fate_of(self, error: GatewayError) -> Fate:
        if self.has_committed:
            return Fate.BROKEN
        return Fate.SILENT if isinstance(error, UpstreamTimeout) else Fate.REFUSED

    def _end(self, fate: Fate) -> bool:
        """Return whether this is the first outcome."""
        first = self.fate is None
        if first:
            self.fate = fate
            self.interrupt = None
            self._picture.in_flight -= 1
        return first


class LiveEndpoints:
    """All candidates that were ever looked at. Candidates behind one key share that key's health."""

    def __init__(self, user_agent: str, hedging: HedgeSettings) -> None:
        self._user_agent = user_agent
        self._hedging = hedging
        self._made: dict[Candidate, LiveEndpoint] = {}
        self._pictures: dict[object, Picture] = {}
        self._keys: dict[object, KeyHealth] = {}

    def of(self, candidate: Candidate) -> LiveEndpoint:
        """Return the live picture of a candidate, made at its first use."""
        live = self._made.get(candidate)
        if live is None:
            picture = self._picture_of(candidate)
            live = LiveEndpoint(make_endpoint(candidate, self._user_agent), picture)
            self._made[candidate] = live
        return live

    @property
    def in_flight(self) -> int:
        """Attempts that have begun and have no outcome yet, for the leak check."""
        return sum(picture.in_flight for picture in self._pictures.values())

    def _picture_of(self, candidate: Candidate) -> Picture:
        picture = self._pictures.get(candidate.identity)
        if picture is None:
            account = (candidate.provider, candidate.base_url, candidate.key)
            key = self._keys.setdefault(account, KeyHealth())
            picture = Picture(key, self._hedging)
            self._pictures[candidate.identity] = picture
        return picture
