"""Whole loads in virtual time, against the simulated provider over streams in memory."""

import json
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as Xml

import msgspec
import pytest
import trio
import trio.testing

from router.loadtest.arrivals import closed_loop, open_loop
from router.loadtest.ceiling import Ceiling
from router.loadtest.outcome import INCOMPLETE, TIMEOUT, UNFINISHED
from router.loadtest.page import page_of
from router.loadtest.plan import Plan
from router.loadtest.result import NothingMeasured, Result, result_of
from router.loadtest.run import Load
from router.loadtest.table import figure_rows, plain_lines, spread_rows, tsv_lines
from router.loadtest.target import Target
from router.loadtest.wire import Wire
from router.simulator import Behaviour, Latency, Profile
from router.simulator.simulator import Simulator
from tests.unit.memory_wire import MemoryWire

TARGET = Target("provider", 80, "/v1", "unused", "any")
CEILING = Ceiling(request_us=50.0, event_us=10.0)


class Provider:
    """A simulated provider; `dial` opens a wire to it."""

    def __init__(self, nursery: trio.Nursery, *, ttft: float = 0.3, gap: float = 0.1) -> None:
        profile = Profile(
            ttft=Latency.fixed(ttft), gap=Latency.fixed(gap), whole=Latency.fixed(ttft), tokens=5
        )
        self.simulator = Simulator(profile)
        self.wires: list[MemoryWire] = []
        self._nursery = nursery

    async def dial(self) -> Wire:
        await trio.lowlevel.checkpoint()
        ours, theirs = trio.testing.memory_stream_pair()
        self._nursery.start_soon(self.simulator.serve_stream, theirs)
        self.wires.append(MemoryWire(ours))
        return self.wires[-1]

    async def assert_left(self) -> None:
        assert all(wire.closed for wire in self.wires)
        await trio.testing.wait_all_tasks_blocked()
        assert self.simulator.open_connections == 0


def plan(**fields: Any) -> Plan:
    usual: dict[str, Any] = {"model": "any", "seconds": 10.0, "warm": 2.0, "timeout": 5.0}
    return Plan(**(usual | fields))


def ignore(_text: str) -> None:
    pass


async def played(
    provider: Provider, show: Callable[[str], None] = ignore, **fields: Any
) -> tuple[Load, Result]:
    load = Load(plan(**fields), TARGET, dial=provider.dial, watched=None, show=show)
    await load.play()
    result = result_of(load, base_url="http://provider/v1", ceiling=CEILING, watched=None)
    return load, result


async def test_an_open_loop_asks_at_its_rate_and_counts_what_was_due_after_the_warm_up(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    provider = Provider(nursery)
    _, result = await played(provider, rate=20.0)
    assert result.requests == result.good == pytest.approx(200, abs=60)
    assert result.requests_per_second == pytest.approx(result.requests / 10, rel=0.1)
    assert result.first_token is not None
    assert result.first_token.p50 == pytest.approx(0.3, abs=0.002)
    assert result.gap is not None
    assert result.gap.p50 == pytest.approx(0.1, rel=0.01)
    assert result.latency is not None
    assert result.latency.p99 == pytest.approx(0.8, rel=0.01)
    assert (result.problems, result.incomplete) == ({}, 0)
    assert provider.simulator.completed > result.requests
    await provider.assert_left()


async def test_connections_are_kept_and_used_again(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    provider = Provider(nursery)
    _, result = await played(provider, connections=3)
    # Each answer takes 0.8 s, so 3 clients get 37 in 10 s, and no more than 3 are ever under way.
    assert result.requests == pytest.approx(37, abs=3)
    assert (len(provider.wires), result.most_open) == (3, 3)
    assert any("closed loop" in warning for warning in result.warnings)


async def test_a_stall_is_felt_by_all_who_came_meanwhile(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    """One worker that is stuck for a while delays every request that is due in that time."""
    provider = Provider(nursery, ttft=0.0, gap=0.0)
    free = trio.Event()

    async def dial() -> Wire:
        await free.wait()
        return await provider.dial()

    async def unlock() -> None:
        await trio.sleep(4.0)
        free.set()

    nursery.start_soon(unlock)
    load = Load(
        plan(rate=50.0, warm=0.0, seconds=5.0), TARGET, dial=dial, watched=None, show=ignore
    )
    await load.play()
    assert load.tally.latency.percentile(0.5) > 1.0
    assert load.tally.latency.greatest == pytest.approx(4.0, abs=0.2)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 429}, "status 429"),
        ({"omit_done": True}, INCOMPLETE),
        ({"cut_after": 2}, "broken off"),
        ({"error_event_after": 1}, "error event"),
        ({"reset_before_head": True}, "no response"),
        ({"silence": True}, TIMEOUT),
        ({"stall_after": 1}, TIMEOUT),
    ],
)
async def test_each_kind_of_failure_is_counted_by_itself(
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
    fault: dict[str, Any],
    kind: str,
) -> None:
    provider = Provider(nursery)
    provider.simulator.plan(*[Behaviour(**fault)] * 3)
    _, result = await played(provider, rate=5.0, warm=0.0)
    assert result.problems == {kind: 3}
    assert result.requests - result.good == 3
    assert result.incomplete == (3 if kind == INCOMPLETE else 0)
    assert set(result.told) == {kind}
    assert any(warning.startswith("3 of ") for warning in result.warnings)
    await provider.assert_left()


async def test_a_server_that_is_not_there_is_not_called_as_fast_as_can_be(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    async def dial() -> Wire:
        await trio.lowlevel.checkpoint()
        raise ConnectionRefusedError("nobody there")

    load = Load(plan(connections=2, warm=0.0), TARGET, dial=dial, watched=None, show=ignore)
    await load.play()
    assert load.tally.problems == {"no connection": pytest.approx(200, abs=4)}


async def test_a_connection_that_the_server_closed_meanwhile_is_replaced(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    provider = Provider(nursery)
    # It ends the connection after an answer which did not announce that.
    provider.simulator.plan(*[Behaviour(hang_up=True)] * 5)
    _, result = await played(provider, connections=1, warm=0.0)
    assert result.problems == {}
    assert len(provider.wires) == 6


async def test_so_many_requests_are_measured_and_no_more(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    provider = Provider(nursery)
    started = trio.current_time()
    _, result = await played(provider, connections=4, requests=10, seconds=1000.0)
    assert result.requests == 10
    assert result.seconds == pytest.approx(trio.current_time() - started - 2.0, abs=0.1)
    assert result.seconds < 10.0


async def test_answers_in_one_piece_have_no_events(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    _, result = await played(Provider(nursery), rate=10.0, streamed=False)
    assert result.good == result.requests > 0
    assert (result.events_per_second, result.first_token, result.gap) == (0.0, None, None)


async def test_an_interrupted_load_tells_what_it_saw_until_then(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    provider = Provider(nursery)
    load = Load(plan(rate=10.0), TARGET, dial=provider.dial, watched=None, show=ignore)
    with trio.move_on_after(6.0):
        await load.play()
    result = result_of(load, base_url="http://provider/v1", ceiling=None, watched=None)
    assert result.seconds == pytest.approx(4.0, abs=0.01)
    assert set(result.problems) == {UNFINISHED}
    assert result.good > 10
    await provider.assert_left()


async def test_a_load_that_ends_in_its_warm_up_has_no_result(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    provider = Provider(nursery)
    load = Load(plan(rate=10.0), TARGET, dial=provider.dial, watched=None, show=ignore)
    with trio.move_on_after(1.0):
        await load.play()
    with pytest.raises(NothingMeasured):
        result_of(load, base_url="http://provider/v1", ceiling=None, watched=None)


async def test_how_far_it_is_can_be_followed(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    said: list[str] = []
    await played(Provider(nursery), said.append, rate=10.0)
    assert said[0].startswith("0 s (warming up): 0 answered")
    assert "p50 300" in said[-1]
    assert len(said) == pytest.approx(25, abs=3)


async def test_the_moments_of_an_open_loop_do_not_wait_for_answers(
    autojump_clock: trio.testing.MockClock,
) -> None:
    begun: list[tuple[int, float]] = []

    async def ask(number: int, due: float) -> None:
        begun.append((number, due))
        await trio.sleep(100.0)

    start = trio.current_time()
    await open_loop([0.5, 1.0, 1.0, 3.0], ask)
    assert sorted(begun) == [(0, 0.5), (1, 1.0), (2, 1.0), (3, 3.0)]
    assert trio.current_time() - start == pytest.approx(103.0)


async def test_a_closed_loop_has_each_number_asked_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    asked: list[int] = []

    async def ask(number: int, due: float) -> None:
        asked.append(number)
        await trio.sleep(1.0)

    start = trio.current_time()
    await closed_loop(3, iter(range(10)), ask)
    assert sorted(asked) == list(range(10))
    assert trio.current_time() - start == pytest.approx(4.0)


@pytest.mark.parametrize("fields", [{}, {"rate": 1.0, "connections": 1}])
def test_a_load_is_either_open_or_closed(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="either"):
        plan(**fields)


def test_every_request_is_another_one() -> None:
    one, other = (plan(rate=1.0).request(TARGET, number) for number in (1, 2))
    assert one != other
    fields = json.loads(one.partition(b"\r\n\r\n")[2])
    assert (fields["model"], fields["stream"], fields["max_tokens"]) == ("any", True, 128)


async def test_the_result_is_told_in_all_its_forms(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    provider = Provider(nursery)
    provider.simulator.plan(Behaviour(status=503, error={"message": "<script>"}))
    _, result = await played(provider, rate=20.0, warm=0.0)
    assert msgspec.json.decode(msgspec.json.encode(result), type=Result) == result
    table = "\n".join([*plain_lines(spread_rows(result)), *plain_lines(figure_rows(result))])
    assert "time to first token  300." in table
    assert "failed: status 503" in table
    facts = dict(line.split("\t") for line in tsv_lines(result))
    assert facts["requests"] == str(result.requests)
    assert float(facts["first_token_p50_seconds"]) == pytest.approx(0.3, rel=0.01)
    page = page_of(result)
    pictures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert [len(Xml.fromstring(one)) > 5 for one in pictures] == [True] * 3
    assert "&lt;script&gt;" in page
    assert not {"<script", "src=", "href="} & {
        part for part in ("<script", "src=", "href=") if part in page
    }


async def test_a_load_near_its_own_limit_says_so(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    load, result = await played(Provider(nursery), rate=20.0)
    assert not any("within" in warning for warning in result.warnings)
    slow = Ceiling(request_us=30_000.0, event_us=10.0)
    warned = result_of(load, base_url="http://provider/v1", ceiling=slow, watched=None)
    assert any("of the most that it can do" in warning for warning in warned.warnings)
    assert slow.requests_per_second == pytest.approx(33.3, rel=0.01)
