"""First figures: what one plain request and one streamed event cost the gateway in CPU time.

Each run has its own gateway process and goes through all numbers of clients, so that the runs are
independent and a slow minute of the machine does not fall on one row alone. All streams together
always have the same rate of events: the rows differ only in the number of streams they arrive on.
"""

import os
from collections.abc import Mapping, Sequence

import msgspec
import trio

from bench.cores import Layout, running_on
from bench.machine import describe_machine
from bench.method import figures_method
from bench.processes import raise_file_limit
from bench.record import Capacity, Figures, FigureSettings, Origin, Point
from bench.stand import Stand, probe_of, stand
from bench.windows import Span, idle_window, request_window, stream_window
from bench.work import stream_work, whole_work
from router.loadtest.measure import Probe, Window
from router.loadtest.progress import Progress
from router.loadtest.pump import STREAM_REST_SECONDS, open_pump
from router.loadtest.target import Target

DIRECT_CONNECTIONS = 64
DIRECT_STREAMS = 100
DIRECT_RATE_FACTOR = 2.0
IDLE_SECONDS = 2.0
STARTS_PER_SECOND = 200


class Measured(msgspec.Struct):
    """The windows of one run, by number of clients."""

    idle: Window
    requests: dict[int, Window]
    events: dict[int, Window]


def measure_figures(
    settings: FigureSettings, *, name: str, note: str, progress: Progress
) -> Figures:
    """Run the whole matrix and summarise it.

    Raises StandFailed, or an exception group from the load, when anything is not as it should be.
    """
    cores = os.sched_getaffinity(0)
    layout = Layout.of(cores)
    raise_file_limit(4 * max(*settings.connections, *settings.streams, 100) + 200)
    origin = Origin.now(name=name, note=note, machine=describe_machine(len(cores)))
    runs: list[Measured] = []
    with running_on(layout.load):
        with stand(layout) as standing:
            direct = trio.run(_measure_direct, standing, settings, progress)
        for number in range(1, settings.runs + 1):
            with stand(layout) as standing:
                label = f"run {number} of {settings.runs}"
                runs.append(trio.run(_measure_run, standing, settings, progress, label))
    return Figures(
        origin=origin,
        method=figures_method(settings, layout),
        settings=settings,
        requests=_points([run.requests for run in runs]),
        events=_points([run.events for run in runs]),
        direct_requests=direct[0],
        direct_events=direct[1],
        idle_busy=max(run.idle.busy("gateway") for run in runs),
    )


async def _measure_direct(
    standing: Stand, settings: FigureSettings, progress: Progress
) -> tuple[Capacity, Capacity]:
    """Load the provider itself, to know what the load could reach."""
    probe = probe_of(standing)
    fast = msgspec.structs.replace(settings, event_rate=settings.event_rate * DIRECT_RATE_FACTOR)
    load = _Load(standing.direct, probe, fast, progress, "without the gateway")
    requests = await load.requests(DIRECT_CONNECTIONS)
    events = await load.events(DIRECT_STREAMS)
    return Capacity.of(DIRECT_CONNECTIONS, requests), Capacity.of(DIRECT_STREAMS, events)


async def _measure_run(
    standing: Stand, settings: FigureSettings, progress: Progress, label: str
) -> Measured:
    probe = probe_of(standing)
    load = _Load(standing.through, probe, settings, progress, label)
    idle = await idle_window(probe, seconds=IDLE_SECONDS)
    requests = {clients: await load.requests(clients) for clients in settings.connections}
    events = {clients: await load.events(clients) for clients in settings.streams}
    return Measured(idle, requests, events)


class _Load(msgspec.Struct, frozen=True):
    """One target under measurement."""

    target: Target
    probe: Probe
    settings: FigureSettings
    progress: Progress
    label: str

    async def requests(self, connections: int) -> Window:
        works = [
            whole_work(self.target, number, tokens=self.settings.tokens)
            for number in range(connections)
        ]
        span = Span(self.settings.warm, self.settings.seconds)
        async with open_pump() as pump:
            return await request_window(
                pump.dialer(self.target),
                works,
                self.probe,
                span=span,
                show=lambda text: self._show(f"{connections} connections: {text}"),
            )

    async def events(self, streams: int) -> Window:
        spread = max(1.0, streams / STARTS_PER_SECOND)
        span = Span(self.settings.warm, self.settings.seconds, spread)
        gap = streams / self.settings.event_rate
        tokens = max(1, round(span.stream_seconds / gap))
        works = [
            stream_work(self.target, number, tokens=tokens, gap=gap) for number in range(streams)
        ]
        async with open_pump(rest=STREAM_REST_SECONDS) as pump:
            return await stream_window(
                pump.dialer(self.target),
                works,
                self.probe,
                span=span,
                show=lambda text: self._show(f"{streams} streams: {text}"),
            )

    def _show(self, text: str) -> None:
        self.progress.show(f"{self.label}, {text}")


def _points(runs: Sequence[Mapping[int, Window]]) -> list[Point]:
    return [Point.of(clients, [run[clients] for run in runs]) for clients in runs[0]]
