"""The observer: one record, told three ways, exactly once."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

from router.observe.gathering import GATHER_SECONDS, MOST_GATHERED
from router.observe.log import make_log
from router.observe.metrics import Metrics
from router.observe.observer import EndedTwiceError, Observer
from router.observe.record import Outcome
from router.observe.trace import Tracer
from router.upstream.pool import PoolSnapshot


class World:
    """An observer with clocks that stand still until they are moved."""

    def __init__(self, *, traced: bool = False) -> None:
        self.now = 50.0
        self.file = io.BytesIO()
        self.exporter = InMemorySpanExporter()
        log = self.log = make_log(self.file, wall_clock=self.wall_clock)
        self.metrics = Metrics(
            version="1",
            knows_model={"openai/gpt-5-mini"}.__contains__,
            pool=PoolSnapshot,
            lost_log_lines=lambda: log.writer.lost_lines,
        )
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.observer = Observer(
            requests=log.requests,
            metrics=self.metrics,
            tracer=Tracer(provider if traced else None),
            now=lambda: self.now,
            wall_clock=self.wall_clock,
        )

    def serve(self, outcome: Outcome = "ok") -> None:
        """Begin a request and end it."""
        record = self.observer.begin("req_1", "chat")
        record.outcome = outcome
        self.observer.end(record)

    def wall_clock(self) -> float:
        return 1_800_000_000.0 + self.now

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(line) for line in self.file.getvalue().splitlines()]

    def value(self, name: str) -> float:
        """The sum of all samples of that name."""
        families = text_string_to_metric_families(self.metrics.render()[0].decode())
        return sum(one.value for family in families for one in family.samples if one.name == name)


def test_one_request_is_told_three_ways_with_the_same_figures() -> None:
    world = World(traced=True)
    record = world.observer.begin("req_1", "chat", client_host="203.0.113.9")
    record.model, record.provider = "openai/gpt-5-mini", "openai"
    record.status, record.outcome, record.output_tokens = 200, "ok", 5
    world.now += 1.5
    world.observer.end(record)

    [line] = world.lines
    assert (line["duration_seconds"], line["output_tokens"]) == (1.5, 5)
    assert line["client_host"] == "203.0.113.9"
    assert world.value("syze_request_seconds_sum") == 1.5
    assert world.value("syze_tokens_total") == 5
    [span] = world.exporter.get_finished_spans()
    assert (span.start_time, span.end_time) == (1_800_000_050 * 10**9, 1_800_000_051_500_000_000)
    assert (span.attributes or {})["gen_ai.usage.output_tokens"] == 5


def test_requests_in_flight_are_counted_and_read_by_the_metrics() -> None:
    world = World()
    first = world.observer.begin("req_1", "chat")
    second = world.observer.begin("req_2", "embeddings")
    assert world.observer.in_flight == world.value("syze_requests_in_flight") == 2
    world.observer.end(first)
    assert world.observer.in_flight == world.value("syze_requests_in_flight") == 1
    world.observer.end(second)
    assert world.observer.in_flight == world.value("syze_requests_in_flight") == 0


def test_a_second_end_is_refused_and_changes_nothing() -> None:
    world = World(traced=True)
    record = world.observer.begin("req_1", "chat")
    world.observer.end(record)
    with pytest.raises(EndedTwiceError, match="req_1"):
        world.observer.end(record)
    assert world.observer.in_flight == 0
    assert len(world.lines) == len(world.exporter.get_finished_spans()) == 1
    assert world.value("syze_requests_total") == 1


@pytest.mark.parametrize("tokens", [-1, 1 << 54, 10**400])
def test_an_upstream_that_reports_impossible_usage_breaks_nothing(tokens: int) -> None:
    world = World(traced=True)
    record = world.observer.begin("req_1", "chat")
    record.outcome = "ok"
    record.input_tokens = record.output_tokens = tokens
    record.cached_tokens = record.reasoning_tokens = tokens
    world.observer.end(record)
    assert not any(name.endswith("_tokens") for name in world.lines[0])
    assert world.value("syze_tokens_total") == 0


def test_without_tracing_a_request_has_no_span() -> None:
    world = World(traced=False)
    record = world.observer.begin("req_1", "chat", traceparent="00-1-2-3")
    world.observer.end(record)
    assert record.span is None
    assert world.observer.trace_headers(record) == ((b"traceparent", b"00-1-2-3"),)
    assert world.observer.trace_headers(world.observer.begin("req_2", "chat")) == ()


def test_with_tracing_the_upstream_is_told_the_span() -> None:
    world = World(traced=True)
    record = world.observer.begin("req_1", "chat")
    [(name, child)] = world.observer.trace_headers(record)
    world.observer.end(record)
    [span] = world.exporter.get_finished_spans()
    assert name == b"traceparent"
    assert span.context is not None
    assert f"{span.context.span_id:016x}".encode() in child


async def test_a_request_that_is_cancelled_ends_in_its_clean_up(autojump_clock: object) -> None:
    world = World()
    with trio.move_on_after(3):
        record = world.observer.begin("req_1", "chat")
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            record.outcome = "client_gone"
            raise
        finally:
            world.observer.end(record)
    assert world.observer.in_flight == 0
    assert [line["outcome"] for line in world.lines] == ["client_gone"]


async def test_requests_that_went_well_are_told_a_moment_later_and_many_together(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    async with running(world):
        for _ in range(3):
            world.serve()
        assert (world.observer.in_flight, world.lines) == (0, [])
        await trio.sleep(2 * GATHER_SECONDS)
        assert [line["outcome"] for line in world.lines] == ["ok"] * 3


async def test_many_requests_are_not_waited_with(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    async with running(world):
        for _ in range(MOST_GATHERED + 1):
            world.serve()
        assert len(world.lines) == MOST_GATHERED


async def test_one_that_went_wrong_is_told_at_once_and_in_its_order(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    async with running(world):
        world.serve()
        world.serve("cut")
        world.serve()
        assert [line["outcome"] for line in world.lines] == ["ok", "cut"]


async def test_another_line_takes_the_lines_of_requests_along(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    async with running(world):
        world.serve()
        world.log.logger.warning("something else")
        assert [line["event"] for line in world.lines] == ["request", "something else"]


async def test_the_metrics_have_all_requests_that_have_ended(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    async with running(world):
        for requests in (1, 2):
            world.serve()
            assert world.value("syze_requests_total") == requests


async def test_nothing_is_put_off_beyond_the_end(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    async with running(world):
        world.serve()
    assert len(world.lines) == 1
    world.serve()
    assert len(world.lines) == 2


@asynccontextmanager
async def running(world: World) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(world.observer.run)
        yield
        nursery.cancel_scope.cancel()
