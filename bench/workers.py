"""Workers: whether a second worker of a gateway is worth as much as the first.

On a machine with no core to spare for the load, two workers cannot be compared with one that has the load
elsewhere: what would be measured is the load beside them. So they are compared with as many gateways of one
worker each, which share nothing: the same number of processes under the same load on the same cores. What
is left of a difference is what workers of one gateway do to each other, by their common limits, credit and
books.
"""

import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec
import trio

from bench.machine import describe_machine
from bench.money import prepaid_key
from bench.processes import LOOPBACK, Service, free_port, raise_file_limit
from bench.prose import paragraphs
from bench.record import Origin
from bench.stand import Prepared, gateway_config, priced, serve_command, serving_provider
from bench.windows import Span, request_window
from bench.work import MODEL, whole_work
from bench.workers_record import Round, Turn, Workers, WorkersSettings, judge_workers
from router.loadtest.measure import Probe, Window, process_tree
from router.loadtest.progress import Progress
from router.loadtest.pump import open_pump
from router.loadtest.target import Target

_METHOD: Final = """
CPU time is user + system time of the gateways' processes with all their threads, read from the operating
system (/proc/PID/stat, ticks of 10 ms) at both ends of a window of steady load, divided by the answers in it.

"Together" is one gateway of {workers} workers, "apart" {workers} gateways of one worker each. Gateways,
provider and load are free to run on all cores. What the workers do as a multiple of one is {workers} times
the ratio of both costs, the median of the rounds' own. The caller is prepaid and limited in every way.

Requests: POST /v1/chat/completions without streaming, {tokens} tokens in the answer, {connections} kept-alive
connections in all, in a closed loop; the provider answers at once. {rounds} rounds of one window of
{seconds:g} s for each form, each after {warm:g} s of load. All gateways are started anew for each round: a
process differs from another of the same program by a tenth, by where its memory came to lie.
"""


class _Gateway(msgspec.Struct, frozen=True):
    """A gateway that runs, and how to ask it."""

    service: Service
    target: Target


def measure_workers(
    settings: WorkersSettings, *, name: str, note: str, progress: Progress
) -> Workers:
    """Measure all rounds. Raises StandFailed, or an exception group from the load."""
    raise_file_limit(6 * settings.connections + 200)
    origin = Origin.now(
        name=name, note=note, machine=describe_machine(len(os.sched_getaffinity(0)))
    )
    with tempfile.TemporaryDirectory(prefix="syze-bench-") as kept:
        rounds = _measure(settings, Path(kept), progress)
    checks = judge_workers(rounds, settings)
    return Workers(origin, _method(settings), checks, settings, rounds)


def _measure(settings: WorkersSettings, folder: Path, progress: Progress) -> list[Round]:
    everywhere = os.sched_getaffinity(0)
    with serving_provider(folder, cores=everywhere) as (_provider, direct):
        together = _prepared("together", direct, folder, settings.workers)
        apart = [
            _prepared(f"apart-{number}", direct, folder, 1) for number in range(settings.workers)
        ]
        rounds = []
        for number in range(settings.rounds):
            progress.show(f"round {number + 1} of {settings.rounds}")
            rounds.append(_round(settings, together, apart, is_backwards=number % 2 == 0))
        return rounds


def _prepared(name: str, provider: Target, folder: Path, workers: int) -> Prepared:
    own = folder / name
    own.mkdir()
    port = free_port()
    config = own / "syze.toml"
    written = gateway_config(provider, port)
    written = written.replace("[server]\n", f"[server]\nworkers = {workers}\n")
    config.write_text(written + priced(f"sim/{MODEL}"))
    target = Target(LOOPBACK, port, "/v1", prepaid_key(own), f"sim/{MODEL}")
    return Prepared(name, own, serve_command(config), target, os.sched_getaffinity(0))


def _round(
    settings: WorkersSettings, together: Prepared, apart: Sequence[Prepared], *, is_backwards: bool
) -> Round:
    """Start all of them anew, and load both forms."""
    with ExitStack() as stack:

        def started(prepared: Prepared) -> _Gateway:
            return _Gateway(stack.enter_context(prepared.serving()), prepared.target)

        as_one = [started(together)] * settings.workers
        alone = [started(one) for one in apart]
        if is_backwards:
            second, first = trio.run(_turn, settings, alone), trio.run(_turn, settings, as_one)
        else:
            first, second = trio.run(_turn, settings, as_one), trio.run(_turn, settings, alone)
    return Round(together=first, apart=second)


async def _turn(settings: WorkersSettings, gateways: Sequence[_Gateway]) -> Turn:
    """Load so many gateways at once, each with its share; the same one may stand there more than once."""
    windows: list[Window] = []

    async def load(gateway: _Gateway) -> None:
        share = settings.connections // settings.workers
        target = gateway.target
        works = [whole_work(target, number, tokens=settings.tokens) for number in range(share)]
        probe = Probe({"gateway": process_tree(gateway.service.pid)})
        span = Span(settings.warm, settings.seconds)
        async with open_pump() as pump:
            windows.append(
                await request_window(
                    pump.dialer(target), works, probe, span=span, show=lambda _: None
                )
            )

    async with trio.open_nursery() as nursery:
        for gateway in gateways:
            nursery.start_soon(load, gateway)
    # One gateway that takes several shares was read once with each of them.
    readings = len(gateways) // len({gateway.service.pid for gateway in gateways})
    spent = sum(window.cpu["gateway"].total_us for window in windows) / readings
    return Turn(
        cpu_us=spent / sum(window.units for window in windows),
        per_second=sum(window.per_second for window in windows),
    )


def _method(settings: WorkersSettings) -> list[str]:
    text = _METHOD.format(**msgspec.structs.asdict(settings))
    return paragraphs(text)
