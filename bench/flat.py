"""Flat: whether a request costs the same with hundreds of candidates and with a hundred thousand API keys.

Three gateways stand before one provider: one with a single candidate and a single API key, one whose model
has many candidates (one provider behind many keys), one whose store has many API keys. They are started anew
for each round, loaded in turn, so that a slow minute of the machine falls on all, and compared within each
round.
"""

import hashlib
import os
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import insert

from bench.cores import Layout, running_on
from bench.cost import costs_by_round
from bench.flat_record import PLAIN, Flat, FlatSettings, Level, judge_flat
from bench.machine import describe_machine
from bench.processes import LOOPBACK, free_port, raise_file_limit
from bench.prose import paragraphs
from bench.record import Origin
from bench.stand import Prepared, gateway_config, serve_command, serving_provider
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
each gateway, each after {warm:g} s of load. All gateways are started anew for each round: a process differs
from another of the same program by a tenth, by where its memory came to lie. A ratio is the median of the
rounds' own.

Many candidates: {candidates} keys of one provider for the model that is asked for, all in one tier and all
well. Many keys: {keys} API keys in the store, one of which is used.
"""


def measure_flat(settings: FlatSettings, *, name: str, note: str, progress: Progress) -> Flat:
    """Measure all rounds. Raises StandFailed, or an exception group from the load."""
    cores = os.sched_getaffinity(0)
    layout = Layout.of(cores)
    raise_file_limit(6 * settings.connections + 200)
    origin = Origin.now(name=name, note=note, machine=describe_machine(len(cores)))
    with running_on(layout.load), tempfile.TemporaryDirectory(prefix="syze-bench-") as kept:
        levels = _measure(settings, Path(kept), layout, progress)
    checks = judge_flat(levels, settings)
    return Flat(origin, _method(settings), checks, settings, levels)


def _measure(
    settings: FlatSettings, folder: Path, layout: Layout, progress: Progress
) -> list[Level]:
    levels = [
        Level(PLAIN, 1, 1, []),
        Level("many candidates", settings.candidates, 1, []),
        Level("many keys", 1, settings.keys, []),
    ]
    with serving_provider(folder, cores=layout.load) as (provider, direct):
        gateways = [_prepared(level, direct, folder, layout.gateway) for level in levels]
        for costs in costs_by_round(
            settings, gateways, rounds=settings.rounds, provider=provider, progress=progress
        ):
            for level, cost in zip(levels, costs, strict=True):
                level.cpu_us.append(cost)
    return levels


def _prepared(level: Level, provider: Target, folder: Path, cores: Collection[int]) -> Prepared:
    """Make a gateway's folder: its configuration with its candidates, and a store with its keys."""
    own = folder / level.name.replace(" ", "-")
    own.mkdir()
    port = free_port()
    config = own / "syze.toml"
    config.write_text(gateway_config(provider, port) + _provider_keys(own, level.candidates))
    secret = _store_with(own, level.keys)
    target = Target(LOOPBACK, port, "/v1", secret, f"sim/{MODEL}")
    return Prepared(level.name, own, serve_command(config), target, cores)


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


def _method(settings: FlatSettings) -> list[str]:
    text = _METHOD.format(**msgspec.structs.asdict(settings))
    return paragraphs(text)
