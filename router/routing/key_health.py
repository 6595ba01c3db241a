"""The health of one provider key: parked while its rate limit lasts, dead while the provider refuses it.

A 429 is about the key, not about the machine that said so: all endpoints behind the key are parked with it.
Where the provider says for how long, that is a floor, and nothing shortens it. Where it does not, the key is
parked for 15 s, and for twice as long each time the first answer afterwards is a 429 again. A floor that is
named again and again, and is too short each time, is lengthened in the same way, from half a second on.

A 401, 402 or 403 means that the key does not work until its owner acts, so nothing is to be gained by trying
often: the key is dead, and one request a minute may find out, then one every two minutes, up to an hour. A
changed configuration makes a new `KeyHealth`.

A crowd that is refused together counts once (see `trial`), so a hundred 429s do not park a key for longer
than one would.
"""

from random import Random
from typing import Final

import msgspec

from router.routing.availability import USABLE, Availability, Standing
from router.routing.backoff import doubled
from router.routing.reaction import Mark
from router.routing.trial import Trial

_NEVER: Final = float("-inf")
_UNKNOWN: Final = float("inf")


class KeyLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How long a key is left alone. Durations in seconds.

    `parked`: after a 429 that names no time, doubled up to `parked_cap`, and up to a fifth more, at random
    (still within the cap). `repeat`: at least so long after a second 429 in a row that does name one,
    doubled likewise. `dead`: until a refused key is probed, doubled up to `dead_cap`. A probe that tells
    nothing for `probe_patience` gives up its privilege.
    """

    parked: float = 15.0
    parked_cap: float = 300.0
    repeat: float = 0.5
    dead: float = 60.0
    dead_cap: float = 3600.0
    probe_patience: float = 20.0


class KeyTrial(Trial, kw_only=True):
    """An attempt as its key sees it; `epoch` is about dying, `parking` about being parked."""

    parking: int


class KeyHealth:
    """Judges one key. Every attempt is a `KeyTrial`: begun once, then ended by exactly one outcome.

    `now` is in monotonic seconds and never goes back. From `well_from` on the key may be used, unless
    something else happens; it is infinite where that is not known.
    """

    __slots__ = (
        "_dead_until",
        "_deaths",
        "_epoch",
        "_limits",
        "_parked_in_a_row",
        "_parked_until",
        "_parking",
        "_probe",
        "_probe_lapses",
        "well_from",
    )

    def __init__(self, limits: KeyLimits | None = None) -> None:
        self.well_from = _NEVER
        self._limits = limits or KeyLimits()
        self._parked_until = _NEVER
        self._parking = 0
        self._parked_in_a_row = 0
        self._epoch = 0
        self._deaths = 0
        self._dead_until: float | None = None
        self._probe: Trial | None = None
        self._probe_lapses = _NEVER

    def availability(self, now: float) -> Availability:
        """Return whether the key may be used: usable, probe, parked or dead."""
        if self._dead_until is not None:
            again = max(self._next_probe(), self._parked_until)
            return Availability(Standing.PROBE if now >= again else Standing.DEAD, until=again)
        if now < self._parked_until:
            return Availability(Standing.PARKED, until=self._parked_until)
        return USABLE

    def begin(self, now: float) -> KeyTrial:
        """Start an attempt, with a key that may be used. It is the probe if one is due."""
        trial = KeyTrial(epoch=self._epoch, parking=self._parking)
        if self._dead_until is not None and now >= self._next_probe():
            trial.probe = True
            self._probe = trial
            self._probe_lapses = now + self._limits.probe_patience
        return trial

    def committed(self, trial: KeyTrial) -> bool:
        """Note that the provider took the key; return whether that brings the key back to life."""
        trial.committed = True
        if trial.parking == self._parking:
            self._parked_in_a_row = 0
        revived = self._dead_until is not None and trial.epoch == self._epoch
        if revived:
            self._dead_until = None
            self._deaths = 0
            self._probe = None
            self._epoch += 1
            trial.epoch = self._epoch
            self.well_from = self._parked_until
        return revived

    def succeeded(self, trial: KeyTrial) -> bool:
        """Note a complete answer; return whether that brings the key back to life."""
        trial.end()
        return not trial.committed and self.committed(trial)

    def failed(
        self,
        trial: KeyTrial,
        mark: Mark,
        *,
        now: float,
        rng: Random,
        retry_after: float | None = None,
    ) -> bool:
        """Note a failure; return whether the key is parked or dead for it (anew or for longer).

        A `mark` other than `PARK_KEY` and `KILL_KEY` is not about the key: the attempt then tells nothing.
        `retry_after`: seconds, as the provider named them.
        """
        trial.end()
        before = self._parked_until, self._epoch
        if mark is Mark.PARK_KEY:
            self._park(trial, now=now, rng=rng, retry_after=retry_after)
        if mark is Mark.KILL_KEY and trial.epoch == self._epoch:
            self._kill(now)
        else:
            self._release(trial, now)
        return before != (self._parked_until, self._epoch)

    def abandoned(self, trial: KeyTrial, now: float) -> None:
        """Note that the attempt was given up and tells nothing; no effect on one that has ended."""
        if not trial.ended:
            trial.end()
            self._release(trial, now)

    def _park(self, trial: KeyTrial, *, now: float, rng: Random, retry_after: float | None) -> None:
        limits = self._limits
        fresh = trial.parking == self._parking
        if now - self._parked_until > limits.parked_cap:
            self._parked_in_a_row = 0  # so long ago that it says nothing about today
        before = self._parked_in_a_row
        seconds = retry_after or 0.0
        if fresh and retry_after is None:
            grown = doubled(limits.parked, before, cap=limits.parked_cap)
            seconds = min(limits.parked_cap, grown * rng.uniform(1.0, 1.2))
        elif fresh and before:
            seconds = max(seconds, doubled(limits.repeat, before - 1, cap=limits.parked_cap))
        self._parked_until = max(self._parked_until, now + seconds)
        self.well_from = max(self.well_from, self._parked_until)
        if fresh:
            self._parked_in_a_row += 1
            self._parking += 1

    def _kill(self, now: float) -> None:
        limits = self._limits
        self._dead_until = now + doubled(limits.dead, self._deaths, cap=limits.dead_cap)
        self._deaths += 1
        self._epoch += 1
        self._probe = None
        self.well_from = _UNKNOWN

    def _release(self, trial: Trial, now: float) -> None:
        """Let another probe follow one that told nothing, after the shortest wait."""
        if trial is self._probe:
            self._probe = None
            self._dead_until = now + self._limits.dead

    def _next_probe(self) -> float:
        due = _NEVER if self._dead_until is None else self._dead_until
        return due if self._probe is None else max(due, self._probe_lapses)
