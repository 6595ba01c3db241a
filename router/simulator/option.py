"""How a latency is written on a command line: here, in `syze demo`, in the bench."""

import click

from router.simulator.latency import Latency


class LatencyParameter(click.ParamType[Latency]):
    """A latency on the command line, `median[:sigma[:share[:factor]]]` in seconds."""

    name = "seconds[:sigma[:share[:factor]]]"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Latency:
        """Read the text; fails with a usage error."""
        if isinstance(value, Latency):
            return value
        try:
            return Latency.parse(str(value))
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)
