"""Scenarios over sockets: the upstreams' side, the gateway's configuration, the load, and one small run."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from bench.agreement import SCENARIO
from bench.load import Tally, run_streams_at
from bench.modelled import TOKENS, Stopwatch, Street, behaviour_of
from bench.processes import StandFailed
from bench.race_stand import by_endpoint, race_config
from bench.races import arrivals, play_over_sockets
from bench.work import MODEL, unordered_work
from router.catalog.catalog import Catalog
from router.config import load_config
from router.errors import UpstreamOverloaded, UpstreamRateLimited, UpstreamTimeout
from router.loadtest.target import Target
from router.loadtest.wire import Wire
from router.simulation.scenario import load_scenario
from router.simulation.upstreams import Fate
from router.simulator import Behaviour
from tests.unit.memory_wire import MemoryWire
from tests.unit.simulated_play import endpoint, scenario

UPSTREAMS = Target("127.0.0.1", 4711, "", "unused", MODEL)
RATE_LIMITED = UpstreamRateLimited("no", retry_after=7)


@pytest.mark.parametrize(
    ("fate", "behaviour"),
    [
        (Fate(0.3, None, paid=True), Behaviour(ttft=0.3)),
        (Fate(5.0, UpstreamTimeout("no"), paid=True), Behaviour(silence=True)),
        (Fate(0.1, UpstreamOverloaded("no"), paid=False), Behaviour(status=503, delay_head=0.1)),
        (
            Fate(0.1, RATE_LIMITED, paid=False),
            Behaviour(status=429, retry_after=7, delay_head=0.1),
        ),
    ],
)
def test_a_provider_carries_out_what_was_drawn(fate: Fate, behaviour: Behaviour) -> None:
    assert behaviour_of(fate) == behaviour


def test_a_scenario_begins_with_its_first_request() -> None:
    times = iter([100.0, 100.0, 103.5])
    watch = Stopwatch(lambda: next(times))
    assert [watch.read(), watch.read(), watch.read()] == [0.0, 0.0, 3.5]


class Neighbours:
    """A street in memory. `dial` leads to its endpoint number `number`."""

    def __init__(self, street: Street, nursery: trio.Nursery, number: int) -> None:
        self.target = Target("street", 80, f"/{number}/v1", "unused", MODEL)
        self._street = street
        self._nursery = nursery

    async def dial(self) -> Wire:
        await trio.lowlevel.checkpoint()
        ours, theirs = trio.testing.memory_stream_pair()
        self._nursery.start_soon(self._street.serve_stream, theirs)
        return MemoryWire(ours)


async def test_each_endpoint_of_a_street_has_its_own_pace_and_count(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    slow = endpoint("slow", median=4.0, answer=2.0)
    street = Street(scenario(endpoint("quick", median=0.5), slow), Stopwatch(trio.current_time))
    for number, (first_token, whole) in enumerate([(0.5, 0.5), (4.0, 6.0)]):
        door = Neighbours(street, nursery, number)
        works = [unordered_work(door.target, n, tokens=TOKENS) for n in range(number + 1)]
        due = [0.0] * len(works)
        begun = trio.current_time()
        outcomes = await run_streams_at(due, door.dial, works, Tally(), limit=60.0)
        assert [one.problem for one in outcomes] == [None] * len(works)
        assert [one.first_token for one in outcomes] == [pytest.approx(first_token)] * len(works)
        assert trio.current_time() - begun == pytest.approx(whole)
    assert street.asked == [1, 2]


async def test_an_outage_of_the_model_is_one_of_the_provider(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    outage = [{"endpoint": "a", "from": 1, "to": 2}]
    street = Street(scenario(endpoint("a"), outage=outage), Stopwatch(trio.current_time))
    door = Neighbours(street, nursery, 0)
    works = [unordered_work(door.target, n, tokens=TOKENS) for n in range(3)]
    outcomes = await run_streams_at([0.0, 1.5, 2.5], door.dial, works, Tally(), limit=60.0)
    assert [one.problem is None for one in outcomes] == [True, False, True]
    assert "status 503" in str(outcomes[1].problem)


async def test_an_open_loop_waits_for_nobody_and_counts_from_when_a_stream_was_due(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    street = Street(scenario(endpoint("a", median=10.0)), Stopwatch(trio.current_time))
    door = Neighbours(street, nursery, 0)
    dialled: list[float] = []

    async def dial_slowly() -> Wire:
        dialled.append(trio.current_time())
        await trio.sleep(1.0)
        return await door.dial()

    begun = trio.current_time()
    works = [unordered_work(door.target, n, tokens=TOKENS) for n in range(3)]
    outcomes = await run_streams_at([1.0, 2.0, 2.5], dial_slowly, works, Tally(), limit=60.0)
    assert [moment - begun for moment in dialled] == [1.0, 2.0, 2.5]
    assert [one.first_token for one in outcomes] == [pytest.approx(11.0)] * 3
    assert [one.late for one in outcomes] == [0.0] * 3


async def test_a_stream_without_text_has_no_first_token(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    silent = [{"endpoint": "a", "from": 0, "kind": "silence"}]
    street = Street(scenario(endpoint("a"), outage=silent), Stopwatch(trio.current_time))
    door = Neighbours(street, nursery, 0)
    works = [unordered_work(door.target, 0, tokens=TOKENS)]
    (only,) = await run_streams_at([0.0], door.dial, works, Tally(), limit=5.0)
    assert (only.first_token, only.problem) == (None, "did not end in time")


def test_a_scenario_becomes_a_configuration_that_races_alike(tmp_path: Path) -> None:
    played = scenario(
        endpoint("a", count=2, weight=3),
        endpoint("spare", tier=7),
        endpoint("b", tier=1),
        race={"hedge": False, "budget_ratio": 0.02, "hedge_quantile": 0.9},
        timeouts={"first_byte": 9},
    )
    path = tmp_path / "syze.toml"
    path.write_text(race_config(played, UPSTREAMS, 8123))
    config = load_config(path, {})
    assert config.race == played.race
    assert config.server.bind == ["127.0.0.1:8123"]
    route = Catalog(config, []).resolve("tier-0")
    assert route is not None
    assert [[one.base_url for one in tier] for tier in route.tiers] == [
        ["http://127.0.0.1:4711/0/v1", "http://127.0.0.1:4711/1/v1"],
        ["http://127.0.0.1:4711/3/v1"],
        ["http://127.0.0.1:4711/2/v1"],
    ]
    assert [one.weight for tier in route.tiers for one in tier] == [3, 3, 1, 1]
    assert {one.timeouts.first_byte for tier in route.tiers for one in tier} == {9}


@pytest.mark.parametrize(
    "tables",
    [
        {"traffic": {"rate": 1, "requests": 1, "sort": "price"}},
        {"endpoint": [endpoint(key="shared", limit=5)]},
    ],
)
def test_what_would_be_played_otherwise_is_refused(tables: dict[str, Any]) -> None:
    endpoints = tables.pop("endpoint", [endpoint()])
    with pytest.raises(StandFailed, match="not played over sockets"):
        race_config(scenario(*endpoints, **tables), UPSTREAMS, 8123)


def test_equal_endpoints_are_counted_together() -> None:
    played = scenario(endpoint("b", count=2), endpoint("a"), endpoint("c"))
    assert by_endpoint(played, [1, 2, 4, 8]) == {"a": 4, "b": 3, "c": 8}


def test_arrivals_are_as_many_as_asked_for_and_random_at_the_rate() -> None:
    traffic = scenario(traffic={"rate": 50, "requests": 5000, "seed": 3}).traffic
    moments = arrivals(traffic, "one")
    assert len(moments) == 5000
    assert moments == sorted(moments)
    assert moments[-1] == pytest.approx(100, rel=0.1)
    assert moments == arrivals(traffic, "one")
    assert moments != arrivals(traffic, "another")
    per_second = Counter(int(moment) for moment in moments)
    assert max(per_second.values()) > 60  # random, not even


def test_arrivals_end_with_the_time() -> None:
    traffic = scenario(traffic={"rate": 50, "seconds": 20}).traffic
    moments = arrivals(traffic, "one")
    assert max(moments) < 20
    assert len(moments) == pytest.approx(1000, rel=0.2)


def test_the_kept_scenario_can_be_played_both_ways() -> None:
    race_config(load_scenario(SCENARIO), UPSTREAMS, 8123)


def test_a_scenario_is_played_by_real_processes() -> None:
    written = """
[traffic]
rate = 200
requests = 40
[[endpoint]]
name = "a"
count = 2
median = 0.1
"""
    shown: list[str] = []
    played = play_over_sockets({"only": written}, shown.append)
    seen = played.seen["only"]
    assert played.problems == []
    assert (seen.requests, seen.answered) == (40, 40)
    assert seen.p50 >= 0.1
    assert 40 <= seen.upstream_requests["a"] <= 42
    assert played.window.units == 40
    assert shown[0] == "0 of 40 answers"
