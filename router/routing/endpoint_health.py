"""The health of one endpoint: ejected when it keeps failing, asked again by one request, let back by degrees.

An endpoint that fails several times in a row, or more often than not, is *ejected* for a few seconds. When
they are over, one request may *probe* it, while all others go elsewhere. If the probe fails, the endpoint
stays away for twice as long. If it succeeds, the endpoint returns with a small share of its traffic, and has
all of it after half a minute: what was down is often cold, and what fell over under load would do so again.

The longest ejection is short, 25 s, because it is also how long a recovered provider may stay unused, and
one request every 25 s hammers nobody. For the same reason a probe has proved its point as soon as the answer
begins, long before a stream of minutes ends; unless the endpoint was ejected for streams that broke midway,
for then only a whole one proves anything.

Three things keep the count honest. Only the probe can lengthen an ejection, so a crowd that has nowhere else
to go and fails together counts once. Any attempt begun after the ejection can end it, so a lone endpoint
that is asked all the same is back with its first success. And an attempt begun before the endpoint was
ejected, or before it returned, counts for nothing (see `trial`).

A provider that names a Retry-After with its 503 is left alone for that long in any case.
"""

from random import Random
from typing import Final

import msgspec

from router.routing.availability import USABLE, Availability, Standing
from router.routing.backoff import doubled
from router.routing.failure_share import FailureShare
from router.routing.reaction import Mark
from router.routing.trial import Trial

_NEVER: Final = float("-inf")
_UNKNOWN: Final = float("inf")


class EndpointLimits(msgspec.Struct, frozen=True, kw_only=True):
    """When an endpoint is ejected, and how it comes back. Durations in seconds.

    Ejected after `failures_in_a_row`, or when more than `failure_share` of at least `failure_least` attempts
    failed within `failure_window`. The ejection lasts `ejection`, doubled each time up to `ejection_cap`,
    and up to a fifth less, at random. A probe that tells nothing for `probe_patience` gives up its
    privilege. `ramp` is how long the return takes, beginning with `ramp_start` of the traffic.
    """

    failures_in_a_row: int = 5
    failure_share: float = 0.5
    failure_least: int = 20
    failure_window: float = 30.0
    ejection: float = 5.0
    ejection_cap: float = 25.0
    probe_patience: float = 20.0
    ramp: float = 30.0
    ramp_start: float = 0.1


class EndpointHealth:
    """Judges one endpoint. Every attempt is a `Trial`: begun once, then ended by exactly one outcome.

    `now` is in monotonic seconds and never goes back. From `well_from` on the endpoint is usable without
    reservation, unless something else happens; it is infinite where that is not known.
    """

    __slots__ = (
        "_ejected_until",
        "_ejections",
        "_epoch",
        "_floor",
        "_in_a_row",
        "_limits",
        "_needs_whole_answer",
        "_probe",
        "_probe_lapses",
        "_recent",
        "_returned",
        "well_from",
    )

    def __init__(self, limits: EndpointLimits | None = None) -> None:
        self.well_from = _NEVER
        self._limits = limits or EndpointLimits()
        self._recent = FailureShare(self._limits.failure_window)
        self._in_a_row = 0
        self._epoch = 0
        self._ejections = 0
        self._ejected_until: float | None = None
        self._needs_whole_answer = False
        self._probe: Trial | None = None
        self._probe_lapses = _NEVER
        self._returned = _NEVER
        self._floor = _NEVER

    def availability(self, now: float) -> Availability:
        """Return whether the endpoint may be asked: usable, probe, ejected or parked."""
        if now >= self.well_from:
            return USABLE
        if self._ejected_until is None:
            if now < self._floor:
                return Availability(Standing.PARKED, until=self._floor)
            return Availability(Standing.USABLE, share=self._share(now))
        again = self._next_probe()
        if now < self._floor:
            return Availability(Standing.PARKED, until=max(self._floor, again))
        return Availability(Standing.PROBE if now >= again else Standing.EJECTED, until=again)

    def begin(self, now: float) -> Trial:
        """Start an attempt. It is the probe if one is due; the next one then is not."""
        trial = Trial(epoch=self._epoch)
        if self._ejected_until is not None and now >= self._next_probe():
            trial.probe = True
            self._probe = trial
            self._probe_lapses = now + self._limits.probe_patience
        return trial

    def committed(self, trial: Trial, now: float) -> bool:
        """Note that the answer has begun; return whether that brings the endpoint back."""
        trial.committed = True
        if self._ejected_until is None or trial.epoch != self._epoch or self._needs_whole_answer:
            return False
        self._return(trial, now)
        return True

    def succeeded(self, trial: Trial, now: float) -> bool:
        """Note a complete answer; return whether that brings the endpoint back."""
        trial.end()
        if trial.epoch != self._epoch:
            return False
        if self._ejected_until is not None:
            self._return(trial, now)
            return True
        self._in_a_row = 0
        self._recent.observe(now, failed=False)
        return False

    def failed(
        self,
        trial: Trial,
        mark: Mark,
        *,
        now: float,
        rng: Random,
        retry_after: float | None = None,
    ) -> bool:
        """Note a failure; return whether the endpoint is ejected for it (anew or for longer).

        A `mark` other than `PENALISE` is not about the endpoint: the attempt then tells nothing.
        `retry_after`: seconds for which the provider wants to be left alone.
        """
        trial.end()
        if mark is not Mark.PENALISE:
            self._release(trial, now)
            return False
        if retry_after is not None:
            self._floor = max(self._floor, now + retry_after)
            self.well_from = max(self.well_from, self._floor)
        if trial.epoch != self._epoch or not self._is_enough(trial, now):
            return False
        self._eject(now, rng)
        self._needs_whole_answer = trial.committed
        return True

    def abandoned(self, trial: Trial, now: float) -> None:
        """Note that the attempt was given up and tells nothing; no effect on one that has ended."""
        if not trial.ended:
            trial.end()
            self._release(trial, now)

    def _is_enough(self, trial: Trial, now: float) -> bool:
        """Count a failure; return whether it ejects."""
        if self._ejected_until is not None:
            return trial.probe
        limits = self._limits
        self._in_a_row += 1
        self._recent.observe(now, failed=True)
        total, failed = self._recent.read(now)
        too_often = total >= limits.failure_least and failed > limits.failure_share * total
        return too_often or self._in_a_row >= limits.failures_in_a_row

    def _eject(self, now: float, rng: Random) -> None:
        limits = self._limits
        if self._ejected_until is None and now - self._returned >= limits.ramp:
            self._ejections = 0
        seconds = doubled(limits.ejection, self._ejections, cap=limits.ejection_cap)
        self._ejected_until = now + seconds * rng.uniform(0.8, 1.0)
        self._ejections += 1
        self._epoch += 1
        self._probe = None
        self.well_from = _UNKNOWN

    def _return(self, trial: Trial, now: float) -> None:
        self._ejected_until = None
        self._probe = None
        self._returned = now
        self.well_from = max(self._floor, now + self._limits.ramp)
        self._epoch += 1
        trial.epoch = self._epoch  # how this answer goes on still counts
        self._in_a_row = 0
        self._recent.clear()

    def _release(self, trial: Trial, now: float) -> None:
        """Let another probe follow one that told nothing; not at once, or each client in turn would wait."""
        if trial is self._probe:
            self._probe = None
            self._ejected_until = now + self._limits.ejection

    def _next_probe(self) -> float:
        due = _NEVER if self._ejected_until is None else self._ejected_until
        return due if self._probe is None else max(due, self._probe_lapses)

    def _share(self, now: float) -> float:
        limits = self._limits
        since = now - self._returned
        if since >= limits.ramp:
            return 1.0
        return limits.ramp_start + (1.0 - limits.ramp_start) * since / limits.ramp
