"""A gateway without money, to be measured beside the real one: `python -m bench.money_bare CONFIG`.

It is the same program with three things replaced by nothing: admission, which reserves limits and credit; the
settlement at the end of a request; and the desk, which reads balances and books. Keys are checked all the
same, and everything that serves the request is untouched.
"""

import sys
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import trio

import router.app
from adapters.dialect import Usage
from router.accounts.caller import Caller
from router.catalog.routes import Route
from router.config import load_config
from router.observe.bridge import configure_logging
from router.opening import Worker, open_worker
from router.process import prepare_interpreter, stop_on_signal
from router.upstream.dial import TcpDialer


class NothingTaken:
    """What a request that passed no limit has reserved."""

    prompt_tokens = 0
    output_limit = None

    def tokens_of(self, output_bytes: int) -> int:
        """Guess, as the real one does for a provider that tells nothing."""
        return output_bytes // 3

    tokens_of_whole = tokens_of

    def limit_headers(self) -> tuple[()]:
        """No limit, no header."""
        return ()

    def meter(self) -> None:
        """Nothing watches it."""

    def settle(self, usage: Usage | None, *, owed: int = 0) -> None:
        """Nothing is to be given back."""


class OpenDoors:
    """Lets everybody in (in place of `router.admission.admission.Admission`)."""

    def check_tier(self, caller: Caller, model: str) -> None:
        """Every tier has every model."""

    def sellable(self, caller: Caller, route: Route) -> Route:  # noqa: ARG002 - the real one looks at it
        """Everything is."""
        return route

    async def admit(self, *_: object, **__: object) -> NothingTaken:
        """Let it in."""
        return NothingTaken()

    async def headers(self, *_: object) -> tuple[()]:
        """No limit, no header."""
        return ()


async def open_bare_worker(stack: AsyncExitStack, *arguments: Any, **named: Any) -> Worker:  # noqa: ANN401
    """Open a worker as it is, and take the money out of it."""
    worker = await open_worker(stack, *arguments, **named)
    gateway = vars(worker.gateway)
    exchange = vars(gateway["_exchange"])
    exchange["_admission"] = OpenDoors()
    exchange["_settle"] = lambda *_: None
    vars(worker)["run"] = partial(worker.gateway.run, vars(worker)["_store"])
    return worker


async def main(path: Path) -> None:
    """Serve until told to stop."""
    config = load_config(path, {})
    log = configure_logging(config.log.level, config.log.format)
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop_on_signal, stop)
        await router.app.serve_gateway(
            config,
            log=log,
            dial=TcpDialer(),
            stop=stop,
            on_listening=lambda _: prepare_interpreter(),
        )
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    vars(router.app)["open_worker"] = open_bare_worker
    trio.run(main, Path(sys.argv[1]))
