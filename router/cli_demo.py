"""`syze demo`: the gateway over simulated providers, with nothing to configure or pay."""

from functools import partial

import click

from router.cli_serving import WORKERS_OPTION, run, serve_until_signal, with_options
from router.config import Config
from router.demo import run_demo
from router.simulator import REALISTIC, Latency, Profile
from router.simulator.option import LatencyParameter


@click.command()
@WORKERS_OPTION
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True)
@click.option(
    "--ttft",
    type=LatencyParameter(),
    default=REALISTIC.ttft,
    help="Seconds to the first token of the simulated providers: median[:sigma].",
)
@click.option(
    "--gap",
    type=LatencyParameter(),
    default=REALISTIC.gap,
    help="Seconds between their tokens: median[:sigma].",
)
def demo(workers: int | None, port: int, ttft: Latency, gap: Latency) -> None:
    """Serve the gateway over simulated providers, with a fresh key: nothing to configure or pay."""
    profile = Profile(ttft=ttft, gap=gap)
    config = with_options(Config(), bind=(), port=port, workers=workers)
    run(partial(serve_demo, config, profile))


async def serve_demo(config: Config, profile: Profile) -> None:
    """Serve the demo until a signal. Raises what `serve_until_signal` does."""
    click.echo("No provider is asked: this is the demo, over simulated ones.", err=True)
    await run_demo(config, profile, serve_until_signal)
