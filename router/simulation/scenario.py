"""A scenario: the traffic, the upstreams with their faults, and the race settings, as one TOML file.

It is read like the gateway's own configuration: whole or not at all, with every mistake told by its path.
`[race]` and `[timeouts]` are the configuration's own tables, so what was found good here can be copied there.
"""

from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import msgspec

from router.config.decode import ConfigError, Problem, convert, find_problems
from router.config.load import read_toml
from router.config.schema import Count, RaceConfig, Seconds, Section, TimeoutConfig, Weight
from router.simulator.latency import Latency

Moment = Annotated[float, msgspec.Meta(ge=0.0, le=31_536_000.0)]  # up to a year of virtual time
Factor = Annotated[float, msgspec.Meta(gt=0.0, le=1e6)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Name = Annotated[str, msgspec.Meta(min_length=1)]

_NEVER_ENDS: Final = float("inf")


class Traffic(Section, frozen=True, kw_only=True):
    """Requests that arrive at random, `rate` a second on average, whether or not others are answered.

    Poisson arrivals; so many `requests`, or as many as come in so many `seconds`. The same `seed` gives the
    same run. `sort`: what all requests prefer within a tier.
    """

    rate: Annotated[float, msgspec.Meta(gt=0.0, le=1e6)]
    requests: Count | None = None
    seconds: Moment | None = None
    seed: int = 0
    sort: Literal["price", "latency"] | None = None

    @property
    def expected_requests(self) -> float:
        """How many requests there will be; with `seconds`, on average."""
        return self.requests if self.requests is not None else self.rate * (self.seconds or 0.0)


class EndpointModel(Section, frozen=True, kw_only=True):
    """`count` equal endpoints, which differ in name only. Times are seconds.

    The time to first token is log-normal: `median`, and `sigma`, the standard deviation of its logarithm. A
    `straggler_share` of the attempts takes `straggler_factor` times as long. The rest of an answer takes
    `answer` more. An `error_share` is refused with a 503 after `refusal`.

    `limit` is how many attempts a minute the key takes; more get a 429 that names the next minute. Endpoints
    with the same `key` share it and must name the same limit; without a `key` each has its own. `price`: US
    dollars per request.
    """

    name: Name
    tier: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    weight: Weight = 1.0
    count: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1
    key: Name | None = None
    median: Seconds
    sigma: Annotated[float, msgspec.Meta(ge=0.0, le=5.0)] = 0.0
    straggler_share: Share = 0.0
    straggler_factor: Factor = 10.0
    answer: Moment = 0.0
    error_share: Share = 0.0
    refusal: Moment = 0.05
    price: Annotated[float, msgspec.Meta(ge=0.0)] = 0.0
    limit: Count | None = None

    @property
    def first_token(self) -> Latency:
        """The distribution of the time to first token, undisturbed by outages and shifts."""
        return Latency(self.median, self.sigma, self.straggler_share, self.straggler_factor)


class Outage(Section, frozen=True, kw_only=True):
    """What goes wrong with every attempt begun from `begins` until before `ends`, in seconds.

    `endpoint` is a name, or a pattern such as `east-*`; `*` is all. `error`: a 503. `silence`: never an
    answer. `slow`: `factor` times as long.
    """

    endpoint: Name
    begins: Moment = msgspec.field(name="from")
    ends: Moment = msgspec.field(name="to", default=_NEVER_ENDS)
    kind: Literal["error", "silence", "slow"] = "error"
    factor: Factor = 10.0

    def hits(self, name: str) -> bool:
        """Return whether it is about the endpoints of that name."""
        return fnmatchcase(name, self.endpoint)


class Shift(Section, frozen=True):
    """From `at` on, in seconds, all times to first token are `factor` times the model's."""

    at: Moment
    factor: Factor


class Scenario(Section, frozen=True, kw_only=True):
    """The whole file."""

    traffic: Traffic
    endpoints: Annotated[list[EndpointModel], msgspec.Meta(min_length=1)] = msgspec.field(
        name="endpoint"
    )
    race: RaceConfig = RaceConfig()
    timeouts: TimeoutConfig = TimeoutConfig()
    outages: list[Outage] = msgspec.field(name="outage", default_factory=list)
    shifts: list[Shift] = msgspec.field(name="shift", default_factory=list)

    def without_hedging(self) -> Self:
        """Return the same scenario with hedging off."""
        race = msgspec.structs.replace(self.race, hedge=False)
        return msgspec.structs.replace(self, race=race)

    def with_seed(self, seed: int) -> Self:
        """Return the same scenario with another seed."""
        traffic = msgspec.structs.replace(self.traffic, seed=seed)
        return msgspec.structs.replace(self, traffic=traffic)


def load_scenario(path: Path) -> Scenario:
    """Read a scenario. Raises `ConfigError` with every problem found."""
    return scenario_of(read_toml(path), source=str(path))


def scenario_of(tree: dict[str, Any], *, source: str) -> Scenario:
    """Return the scenario that a tree of tables describes. Raises `ConfigError`; `source` is named in it."""
    problems = list(find_problems(tree, Scenario, hook=_no_other_type))
    if problems:
        raise ConfigError(source, problems)
    scenario = convert(tree, Scenario, source=source, hook=_no_other_type)
    problems = [*_in_traffic(scenario.traffic), *_in_endpoints(scenario), *_in_outages(scenario)]
    if problems:
        raise ConfigError(source, problems)
    return scenario


def _no_other_type(kind: type[Any], _value: object) -> Any:  # noqa: ANN401 - msgspec's hook
    raise NotImplementedError(f"a scenario holds no {kind.__name__}")


def _in_traffic(traffic: Traffic) -> Iterator[Problem]:
    if (traffic.requests is None) == (traffic.seconds is None):
        yield Problem("traffic", "say how long: either `requests` or `seconds`")


def _in_endpoints(scenario: Scenario) -> Iterator[Problem]:
    limits: dict[str, int | None] = {}
    names = Counter(model.name for model in scenario.endpoints)
    for index, model in enumerate(scenario.endpoints):
        if names[model.name] > 1:
            yield Problem(f"endpoint[{index}].name", f"`{model.name}` is there more than once")
        if model.key is not None and limits.setdefault(model.key, model.limit) != model.limit:
            yield Problem(f"endpoint[{index}].limit", f"the key `{model.key}` has another limit")


def _in_outages(scenario: Scenario) -> Iterator[Problem]:
    for index, outage in enumerate(scenario.outages):
        if not any(outage.hits(model.name) for model in scenario.endpoints):
            yield Problem(f"outage[{index}].endpoint", f"no endpoint is named `{outage.endpoint}`")
        if outage.ends <= outage.begins:
            yield Problem(f"outage[{index}].to", "ends before it begins")
