"""What the gateway is meant to reach beside its peers, as checks.

A goal that needs a contestant who was not there, or a number of streams that was not asked for, is left
out: it was neither reached nor missed.
"""

import statistics
from collections.abc import Iterator
from typing import Final

from bench.compare.field import MANY_STREAMS
from bench.compare.record import Comparison
from bench.compare.table import (
    added_first_p50,
    added_first_p99,
    bytes_per_stream,
    names_of,
    request_median,
    stream_median,
)
from bench.record import Check

_OURS: Final = "syze"
_GATEWAYS: Final = ("tensorzero", "portkey", "litellm")
_MIB: Final = 2**20


def goals(result: Comparison) -> list[Check]:
    """Hold the medians of a comparison against the goals."""
    if _OURS not in names_of(result):
        return []
    return [*_costs(result), *_delays(result), *_keeping(result), *_special(result)]


def _costs(result: Comparison) -> Iterator[Check]:
    label = "an event at 100 streams, to nginx"
    yield from _ratio(label, *_events(result, "nginx", 100), most=2.0)
    for peer in ("tensorzero", "portkey"):
        label = f"an event at 500 streams, to {peer}"
        yield from _ratio(label, *_events(result, peer, 500), most=1.0)
    for peer, most in (("tensorzero", 0.9), ("litellm", 1 / 45), ("portkey", 0.2)):
        asked = [request_median(result, name, 64, lambda one: one.cpu_us) for name in (_OURS, peer)]
        label = f"a request at 64 connections, to {peer}"
        yield from _ratio(label, asked[0], asked[1], most=most)
    for count in (1000, MANY_STREAMS):
        lost = [
            one.lost
            for run in result.runs
            for one in run.streams
            if run.contestant == _OURS and one.streams == count
        ]
        if lost:
            yield Check(f"no stream lost of {count:,}", not any(lost), f"{sum(lost):,} lost")


def _delays(result: Comparison) -> Iterator[Check]:
    for label, seconds, most in (
        ("p50", added_first_p50(result, _OURS, 10), 0.001),
        ("p99", added_first_p99(result, _OURS, 10), 0.003),
    ):
        if seconds is not None:
            yield Check(
                f"added to the first token at 10 streams, {label}: at most {1000 * most:g} ms",
                seconds <= most,
                f"{1000 * seconds:.2f} ms",
            )
    own = added_first_p99(result, _OURS, 100)
    others = {name: added_first_p99(result, name, 100) for name in _GATEWAYS}
    least = min((value for value in others.values() if value is not None), default=None)
    if own is not None and least is not None:
        found = f"{1000 * own:.1f} ms beside {1000 * least:.1f} ms"
        yield Check("at 100 streams, p99: below every gateway", own < least, found)


def _keeping(result: Comparison) -> Iterator[Check]:
    own = [run for run in result.runs if run.contestant == _OURS]
    each = bytes_per_stream(result, _OURS)
    if each is not None:
        yield Check("at most 33 KiB a stream", each <= 33 * 1024, f"{each / 1024:.1f} KiB")
    idle = statistics.median(run.idle_bytes for run in own)
    yield Check("idle at most 70 MiB", idle <= 70 * _MIB, f"{idle / _MIB:.1f} MiB")
    first = statistics.median(run.first_answer for run in own)
    yield Check("first answer within 1 s", first <= 1.0, f"{first:.2f} s")


def _special(result: Comparison) -> Iterator[Check]:
    special, plain = "syze-tls", _OURS
    costs = [stream_median(result, name, 100, lambda one: one.cpu_us) for name in (special, plain)]
    label = "an event with the upstream behind TLS, to one without"
    yield from _ratio(label, costs[0], costs[1], most=1.6)
    two, one = (
        request_median(result, name, 64, lambda one: one.cpu_us)
        for name in ("syze-2-workers", _OURS)
    )
    if two is not None and one is not None:
        capacity = 2 * one / two
        found = f"{capacity:.2f}"
        yield Check("two workers do at least 1.85 of one", capacity >= 1.85, found)


def _events(result: Comparison, peer: str, streams: int) -> tuple[float | None, float | None]:
    own, other = (
        stream_median(result, name, streams, lambda one: one.cpu_us) for name in (_OURS, peer)
    )
    return own, other


def _ratio(label: str, own: float | None, other: float | None, *, most: float) -> Iterator[Check]:
    if own is None or other is None:
        return
    ratio = own / other
    yield Check(f"{label}: at most {most:.2g}", ratio <= most, f"{ratio:.3g}")
