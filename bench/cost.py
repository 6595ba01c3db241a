"""What a request costs a gateway: the CPU time of one window of steady load, for each answer in it.

The comparisons of whole gateways (`money`, `flat`) measure this in turn at each, round by round.
"""

from typing import Protocol

from bench.processes import Service
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
