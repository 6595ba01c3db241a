"""What a request costs a gateway: the CPU time of one window of steady load, for each answer in it.

The comparisons of whole gateways (`money`, `flat`) measure this in turn at each, round by round. One program
started twice differs from itself by a tenth, by where its memory came to lie; so each round starts them anew.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Protocol

import trio

from bench.processes import Service
from bench.stand import Prepared
from bench.windows import Show, Span, WindowSettings, request_window
from bench.work import whole_work
from router.loadtest.measure import Probe, process_tree
from router.loadtest.progress import Progress
from router.loadtest.pump import open_pump
from router.loadtest.target import Target


class Load(WindowSettings, Protocol):
    """How a gateway is loaded: a closed loop on `connections`."""

    @property
    def connections(self) -> int: ...  # noqa: D102 - see the class


def labelled(progress: Progress, label: str) -> Show:
    """Return what shows a text behind a label."""
    return lambda text: progress.show(f"{label}: {text}")


def costs_by_round(
    load: Load, gateways: Sequence[Prepared], *, rounds: int, provider: Service, progress: Progress
) -> Iterator[list[float]]:
    """Start the gateways anew for each round, and measure one after the other; costs in their order.

    Each second round goes through them backwards. Raises StandFailed, or an exception group from the load.
    """
    for number in range(1, rounds + 1):
        with ExitStack() as stack:
            running = [(one, stack.enter_context(one.serving())) for one in gateways]
            costs = {
                one.name: trio.run(
                    partial(
                        request_cost,
                        load,
                        provider=provider,
                        gateway=service,
                        target=one.target,
                        show=labelled(progress, f"round {number} of {rounds}, {one.name}"),
                    )
                )
                for one, service in (running if number % 2 else reversed(running))
            }
        yield [costs[one.name] for one in gateways]


async def request_cost(
    load: Load, *, provider: Service, gateway: Service, target: Target, show: Show
) -> float:
    """Return the CPU microseconds of a request at `gateway`, which is asked at `target`.

    Raises as `request_window` does.
    """
    works = [whole_work(target, number, tokens=load.tokens) for number in range(load.connections)]
    probe = Probe({"gateway": process_tree(gateway.pid), "provider": [provider.pid]})
    async with open_pump() as pump:
        window = await request_window(
            pump.dialer(target), works, probe, span=Span(load.warm, load.seconds), show=show
        )
    return window.cpu_us_per_unit("gateway")
