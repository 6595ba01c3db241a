"""The result of a load, as it is kept: figures, what they rest on, and what speaks against them."""

import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, Self

import msgspec

from router.loadtest.ceiling import HALF, Ceiling
from router.loadtest.histogram import Histogram
from router.loadtest.measure import PROC
from router.loadtest.outcome import INCOMPLETE
from router.loadtest.plan import Plan
from router.loadtest.run import Load, Moment
from router.loadtest.tally import Tally
from router.loadtest.watched import Watched

LATE_SECONDS: Final = 0.010
_MOST_POINTS: Final = 200


class Spread(msgspec.Struct, frozen=True):
    """How durations are spread, in seconds; `curve` has points (share of all, seconds within which)."""

    count: int
    mean: float
    p50: float
    p90: float
    p99: float
    p99_9: float = msgspec.field(name="p99.9")
    greatest: float
    curve: list[tuple[float, float]]

    @classmethod
    def of(cls, histogram: Histogram) -> Self | None:
        """Sum a histogram up; None if it is empty."""
        if not histogram.count:
            return None
        steps = list(histogram.steps())
        thinned = [*steps[: -1 : max(1, len(steps) // _MOST_POINTS)], steps[-1]]
        return cls(
            histogram.count,
            histogram.mean,
            p50=histogram.percentile(0.5),
            p90=histogram.percentile(0.9),
            p99=histogram.percentile(0.99),
            p99_9=histogram.percentile(0.999),
            greatest=histogram.greatest,
            curve=thinned,
        )


class Stretch(msgspec.Struct, frozen=True):
    """The requests that were due in a stretch of time from `at` on (seconds), and what most of them saw."""

    at: float
    requests: int
    problems: int
    p50: float | None
    p99: float | None


class Machine(msgspec.Struct, frozen=True):
    """Where the load generator ran. No names of hosts or people."""

    cpu: str
    kernel: str
    python: str


class Server(msgspec.Struct, frozen=True):
    """What a local server's processes took: CPU seconds in the window, and memory (PSS, bytes).

    `cpu_us_per_event` counts a stream's whole cost on its events, requests included. `bytes_per_open` is
    its growth per answer under way.
    """

    cpu_seconds: float
    cpu_us_per_request: float | None
    cpu_us_per_event: float | None
    idle_bytes: int
    fullest_bytes: int
    most_open: int
    bytes_per_open: float | None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One load. `requests` are the measured ones, `good` those answered whole; the window is in seconds.

    `latency` and `first_token` count from the moment at which a request was due, `gap` lies between two
    events of a stream, `transit` between an event's stamp and its arrival. `late` is the load generator's
    own lateness, `load_busy` the share of a core that it used. `warnings` say what the figures should not
    be used for.
    """

    version: int = 1
    measured_at: str
    base_url: str
    plan: Plan
    machine: Machine
    seconds: float
    requests: int
    good: int
    incomplete: int
    problems: dict[str, int]
    told: dict[str, str]
    requests_per_second: float
    events_per_second: float
    latency: Spread | None
    first_token: Spread | None
    gap: Spread | None
    transit: Spread | None
    late: Spread | None
    most_open: int
    server: Server | None
    load_busy: float
    ceiling: Ceiling | None
    stretches: list[Stretch]
    warnings: list[str]


class NothingMeasured(Exception):
    """The load ended before its window began."""


def result_of(
    load: Load, *, base_url: str, ceiling: Ceiling | None, watched: Watched | None
) -> Result:
    """Sum a load up. Raises NothingMeasured."""
    first, last = load.first, load.last
    if first is None or last is None or not load.tally.requests or last.at <= first.at:
        raise NothingMeasured("no request was due after the warm-up")
    seconds = last.at - first.at
    tally = load.tally
    result = Result(
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        base_url=base_url,
        plan=load.plan,
        machine=_machine(),
        seconds=seconds,
        requests=tally.requests,
        good=tally.good,
        incomplete=tally.problems[INCOMPLETE],
        problems=dict(tally.problems.most_common()),
        told=tally.told,
        requests_per_second=(last.answered - first.answered) / seconds,
        events_per_second=(last.events - first.events) / seconds,
        latency=Spread.of(tally.latency),
        first_token=Spread.of(tally.first_token),
        gap=Spread.of(load.pace.gaps),
        transit=Spread.of(load.pace.transit),
        late=Spread.of(tally.late),
        most_open=load.client.most_open,
        server=None if watched is None else _server(watched, first, last),
        load_busy=(last.own_cpu - first.own_cpu) / seconds,
        ceiling=ceiling,
        stretches=list(_stretches(tally)),
        warnings=[],
    )
    return msgspec.structs.replace(result, warnings=list(_warnings(result)))


def _server(watched: Watched, first: Moment, last: Moment) -> Server | None:
    if first.server_cpu is None or last.server_cpu is None:
        return None
    spent = last.server_cpu - first.server_cpu
    answered, events = last.answered - first.answered, last.events - first.events
    return Server(
        cpu_seconds=spent,
        cpu_us_per_request=1e6 * spent / answered if answered else None,
        cpu_us_per_event=1e6 * spent / events if events else None,
        idle_bytes=watched.idle.pss_bytes,
        fullest_bytes=watched.fullest.pss_bytes,
        most_open=watched.fullest.open,
        bytes_per_open=watched.bytes_per_open,
    )


def _stretches(tally: Tally) -> Iterator[Stretch]:
    for number, one in sorted(tally.bins.items()):
        seen = one.latency.count > 0
        yield Stretch(
            at=number * tally.bin_seconds,
            requests=one.requests,
            problems=one.problems,
            p50=one.latency.percentile(0.5) if seen else None,
            p99=one.latency.percentile(0.99) if seen else None,
        )


def _warnings(result: Result) -> Iterator[str]:
    if result.ceiling is not None:
        used = result.ceiling.used(
            requests_per_second=result.requests_per_second,
            events_per_second=result.events_per_second,
        )
        if used > HALF:
            yield (
                f"The load generator came within {used:.0%} of the most that it can do on this machine. "
                "Its own slowness is part of these latencies."
            )
    if result.load_busy > HALF:
        yield f"The load generator kept {result.load_busy:.0%} of a core busy: treat latencies as too long."
    if result.plan.rate is not None and result.late and result.late.p99 > LATE_SECONDS:
        yield (
            f"One request in a hundred began {1000 * result.late.p99:.0f} ms late or later (counted in "
            "its latency): the machine of the load generator was busy."
        )
    if result.plan.connections is not None:
        yield (
            "A closed loop asks a slow server less often: its latencies flatter. Take them from an open loop "
            "(--rate)."
        )
    if result.good < result.requests:
        failed = result.requests - result.good
        yield f"{failed:,} of {result.requests:,} requests failed; latencies are of the others."


def _machine() -> Machine:
    text = (PROC / "cpuinfo").read_text() if (PROC / "cpuinfo").exists() else ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    return Machine(
        cpu=names[0] if names else platform.machine(),
        kernel=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
    )
