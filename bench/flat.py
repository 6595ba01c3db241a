"""Flat: whether a request costs the same with hundreds of candidates and with a hundred thousand API keys.

Three gateways stand before one provider: one with a single candidate and a single API key, one whose model
has many candidates (one provider behind many keys), one whose store has many API keys. They are loaded in
turn, round by round, so that a slow minute of the machine falls on all, and compared within each round.
"""

import hashlib
import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import trio
from sqlalchemy import insert

from bench.cores import Layout, running_on
from bench.cost import labelled, request_cost
from bench.flat_record import PLAIN, Flat, FlatSettings, Level, judge_flat
from bench.machine import describe_machine
from bench.processes import LOOPBACK, Service, ending, free_port, raise_file_limit
from bench.prose import paragraphs
from bench.record import Origin
from bench.stand import gateway_config, ready, serve_command, serving_provider
from bench.work import MODEL
from router.accounts.keys import generate_key_id
from router.accounts.revision import changing
from router.accounts.rows import key_values
from router.accounts.schema import api_keys
from router.accounts.store import KeyStore
from router.loadtest.progress import Progress
from router.loadtest.target import Target

_METHOD: Final = """
CPU time is user + system time of a gateway process with all its threads, read from the operating system
(/proc/PID/stat, ticks of 10 ms) at both ends of a window of steady load, divided by the answers in it.

Requests: POST /v1/chat/completions without streaming, {tokens} tokens in the answer, {connections} kept-alive
connections in a closed loop; the provider answers at once. {rounds} rounds of one window of {seconds:g} s for
each gateway, each after {warm:g} s of load. A ratio is the median of the rounds' own.

Many candidates: {candidates} keys of one provider for the model that is asked for, all in one tier and all
well. Many keys: {keys} API keys in the store, one of which is used.
"""


class _Standing(msgspec.Struct, frozen=True):
    """A gateway that runs, how to ask it, and what it has many of."""

    name: str
    candidates: int
    keys: int
    service: Service
    target: Target


def measure_flat(settings: FlatSettings, *, name: str, note: str, progress: Progress) -> Flat:
    """Measure all rounds. Raises StandFailed, or an exception group from the load."""
    cores = os.sched_getaffinity(0)
    layout = Layout.of(cores)
    raise_file_limit(6 * settings.connections + 200)
    origin = Origin.now(name=name, note=note, machine=describe_machine(len(cores)))
    with running_on(layout.load), _stand(layout, settings) as (provider, gateways):
        costs = trio.run(_measure, settings, provider, gateways, progress)
    levels = [
        Level(one.name, one.candidates, one.keys, cost)
        for one, cost in zip(gateways, costs, strict=True)
    ]
    checks = judge_flat(levels, settings)
    return Flat(origin, _method(settings), checks, settings, levels)


@contextmanager
def _stand(layout: Layout, settings: FlatSettings) -> Iterator[tuple[Service, list[_Standing]]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="syze-bench-")))
        provider, direct = stack.enter_context(serving_provider(folder, cores=layout.load))
        sizes = {
            PLAIN: (1, 1),
            "many candidates": (settings.candidates, 1),
            "many keys": (1, settings.keys),
        }
        gateways = []
        for name, (candidates, keys) in sizes.items():
            own = folder / name.replace(" ", "-")
            own.mkdir()
            service, target = _gateway(direct, own, candidates, keys, cores=layout.gateway)
            stack.enter_context(ending(service))
            service.wait_until(partial(ready, target.port))
            gateways.append(_Standing(name, candidates, keys, service, target))
        yield provider, gateways


def _gateway(
    provider: Target, folder: Path, candidates: int, keys: int, *, cores: Collection[int]
) -> tuple[Service, Target]:
    """Start a gateway in a folder of its own."""
    port = free_port()
    config = folder / "syze.toml"
    config.write_text(gateway_config(provider, port) + _provider_keys(folder, candidates))
    secret = _store_with(folder, keys)
    with running_on(cores):
        service = Service("gateway", serve_command(config), folder / "gateway.log")
    return service, Target(LOOPBACK, port, "/v1", secret, f"sim/{MODEL}")


def _provider_keys(folder: Path, count: int) -> str:
    """Write so many keys for the provider, and return the line of the configuration that names them."""
    paths = [folder / f"key-{number}" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_text(f"sk-bench-{number}")
    return "keys = [" + ", ".join(f'"file:{path}"' for path in paths) + "]\n"


def _store_with(folder: Path, count: int) -> str:
    """Make a store with so many API keys, all in one transaction; return one of them."""
    store = KeyStore.open(folder / "bench.db")
    try:
        key, secret = store.create("bench")
        others = [
            msgspec.structs.replace(
                key, id=generate_key_id(), digest=hashlib.sha256(b"%d" % number).digest()
            )
            for number in range(count - 1)
        ]
        if others:
            with changing(store.database) as connection:
                connection.execute(insert(api_keys), [key_values(other) for other in others])
        return secret
    finally:
        store.close()


async def _measure(
    settings: FlatSettings, provider: Service, gateways: list[_Standing], progress: Progress
) -> list[list[float]]:
    costs: list[list[float]] = [[] for _ in gateways]
    for number in range(settings.rounds):
        turns = list(zip(gateways, costs, strict=True))
        for gateway, cost in turns if number % 2 else reversed(turns):
            label = f"round {number + 1} of {settings.rounds}, {gateway.name}"
            cost.append(
                await request_cost(
                    settings,
                    provider=provider,
                    gateway=gateway.service,
                    target=gateway.target,
                    show=labelled(progress, label),
                )
            )
    return costs


def _method(settings: FlatSettings) -> list[str]:
    text = _METHOD.format(**msgspec.structs.asdict(settings))
    return paragraphs(text)
