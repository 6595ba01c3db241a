"""The stand for a scenario: its upstreams as one process, and a gateway that is configured to race over them.

The scenario's `[race]` and `[timeouts]` become the gateway's own, each endpoint a provider with a key of its
own, each tier a model with its providers behind it. What a gateway cannot be configured to do in the same
way (a limit that several providers share, a sort for all requests) is refused, lest something else be played.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from os import sched_getaffinity
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.processes import LOOPBACK, Service, StandFailed, ending, free_port
from bench.stand import MAX_CONNECTIONS, announced, python_command, serving_gateway
from bench.work import MODEL
from router.loadtest.target import Target
from router.simulation.scenario import EndpointModel, Scenario, load_scenario

_ASKED_FOR: Final = "tier-0"


class RaceStand(msgspec.Struct, frozen=True):
    """What runs for one scenario, and how to ask the gateway."""

    scenario: Scenario
    upstreams: Service
    gateway: Service
    through: Target


@contextmanager
def race_stand(written: str, folder: Path) -> Iterator[RaceStand]:
    """Run the processes for a scenario, given as TOML, with their files in a folder of their own.

    Raises `StandFailed` if one does not come up or the scenario cannot be played, `ConfigError` for
    mistakes in it. `asked` can be read when the block is over.
    """
    folder.mkdir()
    path = folder / "scenario.toml"
    path.write_text(written, encoding="utf-8")
    scenario = load_scenario(path)
    command = python_command("bench.modelled", str(path))
    upstreams = Service("upstreams", command, folder / "upstreams.log")
    with ending(upstreams):
        address = upstreams.wait_until(lambda: announced(upstreams.lines()))
        port = free_port()
        config = race_config(scenario, address, port)
        with serving_gateway(config, port, folder, cores=sched_getaffinity(0)) as (gateway, key):
            through = Target(LOOPBACK, port, "/v1", key, _ASKED_FOR)
            yield RaceStand(scenario, upstreams, gateway, through)


def asked(upstreams: Service) -> list[int]:
    """Return how often each endpoint was asked, in the order of the scenario, once its process has ended."""
    try:
        counts: list[int] = json.loads(upstreams.lines()[-1])
    except ValueError as error:
        raise StandFailed("the upstreams did not say how often they were asked") from error
    return counts


def race_config(scenario: Scenario, upstreams: Target, port: int) -> str:
    """Write the gateway's configuration for a scenario. Raises `StandFailed` if there is none."""
    if scenario.traffic.sort is not None:
        raise StandFailed("`sort` is a wish of single requests, and not played over sockets")
    if any(model.key is not None for model in scenario.endpoints):
        raise StandFailed("keys that endpoints share are not played over sockets")
    endpoints = [model for model in scenario.endpoints for _ in range(model.count)]
    levels = sorted({model.tier for model in endpoints})
    names = {level: f"tier-{number}" for number, level in enumerate(levels)}
    base_url = f"http://{upstreams.host}:{upstreams.port}"
    lines = [
        *_table("server", {"bind": [f"{LOOPBACK}:{port}"]}),
        *_table("store", {"path": "bench.db"}),
        *_table("race", msgspec.structs.asdict(scenario.race)),
        *_table("timeouts", msgspec.structs.asdict(scenario.timeouts)),
        *_fallbacks(list(names.values())),
    ]
    for number, model in enumerate(endpoints):
        lines += _provider(number, model, name=names[model.tier], base_url=base_url)
    return "\n".join(lines) + "\n"


def by_endpoint(scenario: Scenario, counts: Sequence[int]) -> dict[str, int]:
    """Sum the counts of equal endpoints up under their common name, sorted by it."""
    names = [model.name for model in scenario.endpoints for _ in range(model.count)]
    pairs = sorted(zip(names, counts, strict=True))
    return {
        name: sum(count for _, count in members)
        for name, members in groupby(pairs, key=lambda pair: pair[0])
    }


def _fallbacks(tiers: list[str]) -> list[str]:
    if len(tiers) == 1:
        return []
    return _table(f'models."{_ASKED_FOR}"', {"fallbacks": tiers[1:]})


def _provider(number: int, model: EndpointModel, *, name: str, base_url: str) -> list[str]:
    settings: dict[str, Any] = {
        "dialect": "openai",
        "base_url": f"{base_url}/{number}/v1",
        "discover": False,
        "max_connections": MAX_CONNECTIONS,
        "weight": model.weight,
    }
    offer = f'models = [{{ upstream = "{MODEL}", id = "{name}" }}]'
    return [*_table(f"providers.endpoint-{number}", settings), offer]


def _table(name: str, values: dict[str, Any]) -> list[str]:
    # JSON's strings, numbers, truth values and lists of them are TOML's too.
    return [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
