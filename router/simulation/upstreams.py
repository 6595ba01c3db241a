"""The modelled side: what an attempt at an endpoint comes to, known the moment it starts.

An attempt's fate is drawn once: when it ends, and with what. Whether the race lets it run so long is not the
endpoint's business. Refusals are the gateway's own errors, as its attempts raise them, so the failure table
that reads them is the real one.
"""

from collections.abc import Iterator
from math import ceil
from random import Random
from typing import Final, NamedTuple

from router.catalog.candidate import Candidate
from router.config import PathConfig, Secret
from router.errors import GatewayError, UpstreamOverloaded, UpstreamRateLimited, UpstreamTimeout
from router.simulation.scenario import EndpointModel, Outage, Scenario

_WINDOW_SECONDS: Final = 60


class Fate(NamedTuple):
    """What an attempt comes to after `seconds`: the first token, or an error.

    `paid`: whether the provider worked on it, and so bills it, even if it is stopped before its end.
    """

    seconds: float
    error: GatewayError | None
    paid: bool


class KeyWindow:
    """The rate limit of one key: so many attempts in each minute of the clock."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._minute = -1
        self._taken = 0

    def refuse(self, now: float) -> int | None:
        """Count an attempt; return the whole seconds to wait if it is one too many, else `None`."""
        if self._limit is None:
            return None
        minute = int(now // _WINDOW_SECONDS)
        if minute != self._minute:
            self._minute, self._taken = minute, 0
        if self._taken >= self._limit:
            return ceil((minute + 1) * _WINDOW_SECONDS - now)
        self._taken += 1
        return None


class Upstream:
    """One modelled endpoint, and the candidate as which the gateway's code knows it."""

    def __init__(
        self, model: EndpointModel, number: int, *, scenario: Scenario, window: KeyWindow
    ) -> None:
        self.model = model
        self.candidate = _candidate(model, number, scenario)
        self._latency = model.first_token
        self._window = window
        self._outages = [outage for outage in scenario.outages if outage.hits(model.name)]
        self._shifts = sorted(scenario.shifts, key=lambda shift: shift.at)
        self._limit = scenario.timeouts.first_byte

    def fate(self, now: float, rng: Random) -> Fate:
        """Return what an attempt that begins now comes to."""
        wait = self._window.refuse(now)
        if wait is not None:
            refused = UpstreamRateLimited("Too many requests.", retry_after=wait)
            return Fate(self.model.refusal, refused, paid=False)
        outages = [outage for outage in self._outages if outage.begins <= now < outage.ends]
        kinds = {outage.kind for outage in outages}
        share = self.model.error_share
        if "error" in kinds or (share and rng.random() < share):
            return Fate(self.model.refusal, UpstreamOverloaded("Overloaded."), paid=False)
        seconds = self._latency.draw(rng) * self._factor(now, outages)
        if "silence" in kinds or seconds > self._limit:
            silent = UpstreamTimeout(f"Nothing came within {self._limit:g} seconds.")
            return Fate(self._limit, silent, paid="silence" not in kinds)
        return Fate(seconds, None, paid=True)

    def _factor(self, now: float, outages: list[Outage]) -> float:
        factor = 1.0
        for shift in self._shifts:
            if shift.at <= now:
                factor = shift.factor
        for outage in outages:
            if outage.kind == "slow":
                factor *= outage.factor
        return factor


def upstreams_of(scenario: Scenario) -> Iterator[Upstream]:
    """Yield every endpoint of a scenario; those behind one key share its limit."""
    windows: dict[str, KeyWindow] = {}
    for model in scenario.endpoints:
        for number in range(model.count):
            window = windows.setdefault(_key(model, number), KeyWindow(model.limit))
            yield Upstream(model, number, scenario=scenario, window=window)


def _key(model: EndpointModel, number: int) -> str:
    """Return the name of a key, its own or shared; the two kinds cannot meet."""
    return f"own {model.name} {number}" if model.key is None else f"shared {model.key}"


def _candidate(model: EndpointModel, number: int, scenario: Scenario) -> Candidate:
    return Candidate(
        provider="simulated",
        dialect="openai",
        base_url="http://127.0.0.1",
        key=Secret(_key(model, number)),
        key_header="authorization",
        headers=(),
        query=(),
        paths=PathConfig(),
        stream_usage=True,
        inventory=True,
        timeouts=scenario.timeouts,
        max_connections=1,
        weight=model.weight,
        upstream_model=f"{model.name} {number}",
        served_model="simulated",
        price=model.price,
    )
