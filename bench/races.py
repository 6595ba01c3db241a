"""Scenarios played over real sockets, and the same ones in virtual time.

Several are played side by side: each has processes of its own, and all meet the same minutes of the machine,
so what disturbs one disturbs the others and their ratios keep their meaning. Requests arrive at random at the
scenario's rate, whether or not others are answered.
"""

import os
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from math import inf
from pathlib import Path
from random import Random
from typing import Final

import msgspec
import trio

from bench.load import StreamOutcome, Tally, run_streams_at
from bench.modelled import TOKENS
from bench.race_record import Seen
from bench.race_stand import RaceStand, asked, by_endpoint, race_stand
from bench.windows import Show, pause
from bench.work import unordered_work
from router.loadtest.measure import Probe, Window, between, process_tree
from router.loadtest.pump import Pump, open_pump
from router.simulation.figures import Figures
from router.simulation.scenario import Scenario, Traffic
from router.simulation.world import World

GRACE_SECONDS: Final = 60.0
SHOWN_PROBLEMS: Final = 20


class Played(msgspec.Struct, frozen=True):
    """What scenarios came to over sockets, by their names.

    `late` is the load's own lateness in seconds, 99th percentile. The window holds the work of all of
    them: its units are answers, its roles `gateway`, `upstreams` and `load`.
    """

    seen: dict[str, Seen]
    late: float
    window: Window
    problems: list[str]


def play_over_sockets(scenarios: Mapping[str, str], show: Show) -> Played:
    """Play scenarios, given as TOML, side by side.

    Raises StandFailed when processes do not come up, ConfigError for mistakes in a scenario, ValueError if
    nothing was answered. A stream that was not answered, or wrongly, counts as a failed request.
    """
    with tempfile.TemporaryDirectory(prefix="syze-bench-") as folder:
        with ExitStack() as stack:
            stands = {
                name: stack.enter_context(race_stand(written, Path(folder) / str(number)))
                for number, (name, written) in enumerate(scenarios.items())
            }
            courses, window = trio.run(_load, stands, show)
        seen = {
            name: Seen.of(_figures(one.scenario, courses[name], asked(one.upstreams)))
            for name, one in stands.items()
        }
    outcomes = [outcome for course in courses.values() for outcome in course]
    late = sorted(outcome.late for outcome in outcomes)
    problems = [one.problem for one in outcomes if one.problem is not None]
    return Played(seen, late[int(0.99 * len(late))], window, problems[:SHOWN_PROBLEMS])


def play_in_virtual_time(scenario: Scenario) -> Seen:
    """Play one scenario as `syze simulate` does. Raises ValueError if nothing was answered."""
    return Seen.of(World(scenario).play())


def arrivals(traffic: Traffic, purpose: str) -> list[float]:
    """Return when the requests of a run are due, in seconds; `purpose` keeps runs side by side apart."""
    chance = Random(f"{traffic.seed} arrivals {purpose}")
    end = inf if traffic.seconds is None else traffic.seconds
    most = inf if traffic.requests is None else traffic.requests
    moments: list[float] = []
    moment = chance.expovariate(traffic.rate)
    while len(moments) < most and moment < end:
        moments.append(moment)
        moment += chance.expovariate(traffic.rate)
    return moments


async def _load(
    stands: Mapping[str, RaceStand], show: Show
) -> tuple[dict[str, list[StreamOutcome]], Window]:
    """Load all gateways at once until every stream is over."""
    courses: dict[str, list[StreamOutcome]] = {}
    tally = Tally()
    due = {name: arrivals(one.scenario.traffic, name) for name, one in stands.items()}
    total = sum(map(len, due.values()))

    async def run(name: str, pump: Pump) -> None:
        target = stands[name].through
        works = [unordered_work(target, n, tokens=TOKENS) for n in range(len(due[name]))]
        courses[name] = await run_streams_at(
            due[name], pump.dialer(target), works, tally, limit=due[name][-1] + GRACE_SECONDS
        )

    probe = _probe(stands.values())
    first = probe.read(0)
    async with open_pump() as pump, trio.open_nursery() as watching:
        watching.start_soon(_watch, lambda: show(f"{tally.completed:,} of {total:,} answers"))
        async with trio.open_nursery() as nursery:
            for name in stands:
                nursery.start_soon(run, name, pump)
        watching.cancel_scope.cancel()
    return courses, between(first, probe.read(tally.completed))


async def _watch(tick: Callable[[], None]) -> None:
    await pause(inf, tick)


def _probe(stands: Collection[RaceStand]) -> Probe:
    roles = {
        "gateway": [pid for one in stands for pid in process_tree(one.gateway.pid)],
        "upstreams": [pid for one in stands for pid in process_tree(one.upstreams.pid)],
        "load": [os.getpid()],
    }
    return Probe(roles)


def _figures(scenario: Scenario, course: Sequence[StreamOutcome], counts: Sequence[int]) -> Figures:
    """Return a run as a simulated one leaves it behind."""
    figures = Figures()
    figures.requests = len(course)
    figures.attempts = sum(counts)
    figures.attempts_by_endpoint.update(by_endpoint(scenario, counts))
    figures.first_token.extend(
        one.first_token for one in course if one.problem is None and one.first_token is not None
    )
    return figures
