"""The upstreams of a scenario as one process: `python -m bench.modelled SCENARIO.toml`.

What an attempt comes to is drawn by the model that `syze simulate` plays with, and carried out by the
simulated provider over real sockets. So where a run over sockets differs from a simulated one, the
gateway and its race are the reason, never another idea of what the upstreams are like.

Endpoint number n answers below the path `/n/v1`. Second zero of the scenario is the first request. On
SIGTERM it prints how often each endpoint was asked, which no gateway could tell wrongly.
"""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

import click
import msgspec
import trio

from router.errors import UpstreamRateLimited, UpstreamTimeout
from router.simulation.scenario import Scenario, load_scenario
from router.simulation.upstreams import Fate, Upstream, upstreams_of
from router.simulator import Behaviour, Latency, Profile, SeenRequest, Simulator
from router.simulator.performance import Performance

TOKENS: Final = 2
"""The length of every answer: enough for a first token and a stream after it."""


class Stopwatch:
    """Seconds since it was first read."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._begun: float | None = None

    def read(self) -> float:
        """Return 0.0 the first time, and what has gone by since then."""
        now = self._now()
        if self._begun is None:
            self._begun = now
        return now - self._begun


class ModelledProvider(Simulator):
    """One endpoint; `asked` counts its requests. Equal seeds give the n-th request equal luck."""

    def __init__(self, upstream: Upstream, *, seed: str, clock: Stopwatch) -> None:
        rest = Latency.fixed(upstream.model.answer / TOKENS)
        super().__init__(Profile(gap=rest, tokens=TOKENS), keep_requests=0)
        self.asked = 0
        self._upstream = upstream
        self._chance = Random(seed)
        self._clock = clock

    def answer(self, request: SeenRequest) -> Performance:
        """Let the model decide what comes of it."""
        self.asked += 1
        luck = Random(self._chance.getrandbits(64))
        self.plan(behaviour_of(self._upstream.fate(self._clock.read(), luck)))
        return super().answer(request)


class Street(Simulator):
    """All endpoints of a scenario at one address."""

    def __init__(self, scenario: Scenario, clock: Stopwatch) -> None:
        super().__init__(keep_requests=0)
        self.upstreams = list(upstreams_of(scenario))
        seed = scenario.traffic.seed
        self._providers = [
            ModelledProvider(upstream, seed=f"{seed} upstream {number}", clock=clock)
            for number, upstream in enumerate(self.upstreams)
        ]

    @property
    def asked(self) -> list[int]:
        """How many requests each endpoint has got."""
        return [provider.asked for provider in self._providers]

    def answer(self, request: SeenRequest) -> Performance:
        """Hand the request on to the endpoint that its path names."""
        return self._providers[int(request.target.split(b"/")[1])].answer(request)


def behaviour_of(fate: Fate) -> Behaviour:
    """Return what a provider has to do so that an attempt comes to this."""
    error = fate.error
    if error is None:
        return Behaviour(ttft=fate.seconds)
    if isinstance(error, UpstreamTimeout):
        return Behaviour(silence=True)
    status = 429 if isinstance(error, UpstreamRateLimited) else error.status
    return Behaviour(status=status, retry_after=error.told_retry_after, delay_head=fate.seconds)


@click.command()
@click.argument("scenario", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(scenario: Path) -> None:
    """Serve the endpoints of SCENARIO on a free port until SIGTERM or SIGINT."""
    trio.run(_serve, Street(load_scenario(scenario), Stopwatch()))


async def _serve(street: Street) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            port = await nursery.start(street.serve)
            click.echo(f"http://127.0.0.1:{port}")
            async for _ in signals:
                break
            nursery.cancel_scope.cancel()
    click.echo(msgspec.json.encode(street.asked))


if __name__ == "__main__":
    main()
