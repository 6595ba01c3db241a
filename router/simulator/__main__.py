"""Run the simulated provider alone: `python -m router.simulator --port 9000 --ttft 0.3 --gap 0.02`.

It prints its base URL for OpenAI's clients on one line when it accepts connections, and ends with
status 0 on SIGTERM or SIGINT. The other dialects are served at the same address, on their own paths.
"""

import signal
from functools import partial

import click
import trio

from router.simulator.latency import Latency
from router.simulator.option import LatencyParameter
from router.simulator.profile import Profile
from router.simulator.simulator import Simulator


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, show_default=True, help="Port to listen on; 0 takes a free one.")
@click.option("--ttft", type=LatencyParameter(), default="0", help="Time to the first token.")
@click.option("--gap", type=LatencyParameter(), default="0", help="Time between two tokens.")
@click.option("--whole", type=LatencyParameter(), help="Time of an answer that is not streamed.")
@click.option("--tokens", type=click.IntRange(0, 1_000_000), help="Tokens of an answer.")
@click.option("--model", "models", multiple=True, help="Accepted model (repeat); none accepts all.")
@click.option("--key", "keys", multiple=True, help="Accepted API key (repeat); none accepts all.")
@click.option("--seed", default=0, show_default=True, help="Seed of the drawn times.")
def main(  # noqa: PLR0913 - one parameter an option
    *,
    host: str,
    port: int,
    ttft: Latency,
    gap: Latency,
    whole: Latency | None,
    tokens: int | None,
    models: tuple[str, ...],
    keys: tuple[str, ...],
    seed: int,
) -> None:
    """Serve a simulated provider until SIGTERM or SIGINT.

    Times are seconds: a median, then if wanted the sigma of a lognormal spread, the share of
    stragglers, and the factor by which those are slower.
    """
    profile = Profile(ttft=ttft, gap=gap, whole=whole, tokens=tokens, models=models or None)
    simulator = Simulator(profile, seed=seed, keep_requests=0, required_keys=keys)
    failures: list[BaseException] = []
    try:
        trio.run(partial(_serve, simulator, host=host, port=port))
    except* OSError as group:
        failures.extend(group.exceptions)
    for failure in failures:
        raise click.ClickException(f"cannot listen on {host}:{port}: {failure}")


async def _serve(simulator: Simulator, *, host: str, port: int) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            bound = await nursery.start(partial(simulator.serve, host=host, port=port))
            shown = f"[{host}]" if ":" in host else host
            click.echo(f"http://{shown}:{bound}/v1")
            async for _ in signals:
                break
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    main()
