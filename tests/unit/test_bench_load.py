"""The load against the simulated provider over streams in memory: right, wrong, broken and late answers."""

import json
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from bench.load import UNFINISHED, StreamOutcome, Tally, ask_repeatedly, run_streams
from bench.windows import LoadFailed, Span, check_streams, request_window, stream_window
from bench.work import MODEL, Work, stream_work, whole_work
from router.loadtest.exchange import WrongAnswer
from router.loadtest.measure import Probe
from router.loadtest.target import Target
from router.loadtest.wire import Take, Wire
from router.simulator.simulator import Simulator
from tests.unit.memory_wire import MemoryWire

TARGET = Target("provider", 80, "/v1", "unused", MODEL)


class Provider:
    """A simulated provider that counts the wires to it. `dial` opens one."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.simulator = Simulator()
        self.wires: list[MemoryWire] = []
        self._nursery = nursery

    async def dial(self) -> Wire:
        await trio.lowlevel.checkpoint()
        ours, theirs = trio.testing.memory_stream_pair()
        self._nursery.start_soon(self.simulator.serve_stream, theirs)
        self.wires.append(MemoryWire(ours))
        return self.wires[-1]

    async def assert_left(self) -> None:
        """The leak check: every wire closed by us, and the provider noticed."""
        assert all(wire.closed for wire in self.wires)
        await trio.testing.wait_all_tasks_blocked()
        assert self.simulator.open_connections == 0


def ordered(work: Work, **behaviour: Any) -> Work:
    """The same work, with more orders for the simulated provider."""
    fields = json.loads(work.request.partition(b"\r\n\r\n")[2])
    fields["simulate"] |= behaviour
    return msgspec.structs.replace(work, request=TARGET.request(fields))


def streams(count: int, *, tokens: int = 6, gap: float = 1.0) -> list[Work]:
    return [stream_work(TARGET, number, tokens=tokens, gap=gap) for number in range(count)]


async def test_streams_are_read_to_their_end_and_counted(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    provider, tally = Provider(nursery), Tally()
    outcomes = await run_streams(provider.dial, streams(10), tally, spread=2.0, limit=60.0)
    assert [outcome.problem for outcome in outcomes] == [None] * 10
    # Role, six tokens, finish and [DONE]; every other one also usage.
    assert [outcome.events for outcome in outcomes] == [9, 10] * 5
    assert (tally.events, tally.completed, tally.peak_open, tally.open) == (95, 10, 10, 0)
    await provider.assert_left()


async def test_streams_start_evenly_over_the_spread(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    provider = Provider(nursery)
    starts: list[float] = []
    begun = trio.current_time()

    async def dial() -> Wire:
        starts.append(trio.current_time() - begun)
        return await provider.dial()

    await run_streams(dial, streams(4), Tally(), spread=2.0, limit=60.0)
    assert starts == [0.0, 0.5, 1.0, 1.5]


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ({"cut_after": 3}, "closed in the middle of the body"),
        ({"omit_done": True}, "without [DONE]"),
        ({"malformed_at": 2}, "not a chunk"),
        ({"error_event_after": 2}, "not a chunk"),
        ({"usage_on_last_chunk": True}, "usage"),
        ({"status": 503}, "status 503"),
        ({"reset_before_head": True}, "closed in the middle of the head"),
        ({"stall_after": 2}, UNFINISHED),
        ({"silence": True}, UNFINISHED),
    ],
)
async def test_a_broken_stream_is_reported_and_the_others_go_on(
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
    fault: dict[str, Any],
    problem: str,
) -> None:
    provider, works = Provider(nursery), streams(5)
    works[1] = ordered(works[1], **fault)
    outcomes = await run_streams(provider.dial, works, Tally(), spread=0.0, limit=60.0)
    assert [outcome.number for outcome in outcomes if outcome.problem is not None] == [1]
    assert problem in str(outcomes[1].problem)
    await provider.assert_left()


async def test_a_server_that_cannot_be_reached_is_a_problem_of_each_stream(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def dial() -> Wire:
        await trio.lowlevel.checkpoint()
        raise ConnectionRefusedError("nobody there")

    outcomes = await run_streams(dial, streams(2), Tally(), spread=0.0, limit=1.0)
    assert all("nobody there" in str(outcome.problem) for outcome in outcomes)


async def test_requests_go_on_over_one_connection_each_until_they_are_told_to_stop(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    provider, tally = Provider(nursery), Tally()
    works = [whole_work(TARGET, number, tokens=5) for number in range(3)]

    async def stop() -> None:
        while tally.completed < 12:
            await trio.lowlevel.checkpoint()
        tally.stopping = True

    nursery.start_soon(stop)
    await ask_repeatedly(provider.dial, works, tally)
    assert tally.completed >= 12
    assert len(provider.wires) == 3
    await provider.assert_left()


async def test_a_wrong_answer_ends_the_requests(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    provider = Provider(nursery)
    works = [whole_work(TARGET, 1, tokens=5)]
    wrong = [msgspec.structs.replace(work, text="something else") for work in works]
    with pytest.RaisesGroup(WrongAnswer):
        await ask_repeatedly(provider.dial, wrong, Tally())
    await provider.assert_left()


@pytest.fixture
def probe() -> Probe:
    return Probe({"gateway": []})


def ignore(_text: str) -> None:
    pass


async def test_a_window_over_streams_counts_what_falls_into_it(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, probe: Probe
) -> None:
    provider, span = Provider(nursery), Span(warm=1.2, seconds=5.0, spread=1.0)
    works = streams(4, tokens=12, gap=1.0)
    window = await stream_window(provider.dial, works, probe, span=span, show=ignore)
    # One event a second of each of four streams.
    assert window.units == 20


async def test_a_window_that_a_stream_does_not_outlast_is_refused(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, probe: Probe
) -> None:
    provider, span = Provider(nursery), Span(warm=1.0, seconds=5.0)
    works = streams(4, tokens=3, gap=1.0)
    with pytest.raises(LoadFailed, match="of 4 streams 4 and 0 were open"):
        await stream_window(provider.dial, works, probe, span=span, show=ignore)


async def test_a_window_over_requests_counts_what_falls_into_it(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, probe: Probe
) -> None:
    provider = Provider(nursery)
    works = [ordered(whole_work(TARGET, number, tokens=5), ttft=0.3) for number in range(2)]
    window = await request_window(provider.dial, works, probe, span=Span(1.0, 3.0), show=ignore)
    assert window.units == 20
    await provider.assert_left()


async def test_a_window_without_answers_ends(
    autojump_clock: trio.testing.MockClock, probe: Probe
) -> None:
    class Deaf:
        async def send(self, data: bytes) -> None:
            await trio.lowlevel.checkpoint()

        async def receive(self, take: Take) -> None:
            await trio.sleep_forever()

        def close(self) -> None:
            pass

    async def dial() -> Wire:
        await trio.lowlevel.checkpoint()
        return Deaf()

    works = [whole_work(TARGET, 1, tokens=5)]
    with pytest.raises(trio.TooSlowError):
        await request_window(dial, works, probe, span=Span(1.0, 2.0), show=ignore)


def test_broken_streams_are_refused_with_their_number() -> None:
    outcomes = [StreamOutcome(0, problem=None), StreamOutcome(1, problem="too short")]
    check_streams(outcomes[:1])
    with pytest.raises(LoadFailed, match="1 of 2 streams failed; number 1: too short"):
        check_streams(outcomes)
