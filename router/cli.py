"""The `syze` command.

Exit codes: 0 done, 1 it failed, 2 the command line or the configuration is wrong. What scripts read comes as
JSON with `--json`, on standard output; everything said to a person goes to standard error.

A command's module is loaded when somebody asks for the command: whoever serves for weeks keeps none of the
others in memory, and nobody waits for them.
"""

import importlib
from collections.abc import Mapping
from typing import Final

import click

from router.loading import collector_paused
from router.version import VERSION

COMMANDS: Final[Mapping[str, str]] = {
    "accounts": "router.cli_accounts",
    "bench": "router.cli_bench",
    "config": "router.cli_config",
    "credit": "router.cli_money",
    "demo": "router.cli_demo",
    "keys": "router.cli_keys",
    "ledger": "router.cli_money",
    "limits": "router.cli_limits",
    "models": "router.cli_models",
    "serve": "router.cli_serve",
    "simulate": "router.cli_simulate",
    "tiers": "router.cli_accounts",
    "usage": "router.cli_usage",
}
"""Where each command is, under its own name."""


class LateCommands(click.Group):
    """The commands of `COMMANDS`, each loaded when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return their names, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Load one, `None` if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        with collector_paused():
            module = importlib.import_module(COMMANDS[cmd_name])
        command: click.Command = getattr(module, cmd_name)
        return command


@click.group(cls=LateCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="syze")
def main() -> None:
    """SyzeAI: an OpenAI-compatible LLM gateway."""
