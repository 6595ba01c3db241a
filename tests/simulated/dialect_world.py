"""A gateway with one provider for each dialect that the simulator speaks, and the faces in front of them.

The id `m` leads to those that are named, in that order: who is named first is asked first. Every provider
wants its key, and Bedrock a signature.
"""

from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import trio

from adapters.dialect_preset import DIALECT_PRESETS
from router.config import (
    Config,
    ModelConfig,
    PathConfig,
    ProviderConfig,
    RaceConfig,
    Secret,
    ServerConfig,
    TimeoutConfig,
)
from router.simulator import Behaviour, Simulator
from tests.simulated.world import World, open_world

UPSTREAM_KEY = "an-upstream-key-of-ours"
ACCESS_KEY = "AKIDSIMULATED0000001:a-secret-access-key-of-ours:a-session-token"
MODELS = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-haiku-4-5-20251001",
    "gemini": "gemini-2.5-flash",
    "bedrock": "anthropic.claude-haiku-4-5-20251001-v1:0",
    "cohere": "command-a-plus-05-2026",
    "vertex": "gemini-2.5-flash",
}
EMBEDDINGS = {
    "openai": "text-embedding-3-small",
    "gemini": "gemini-embedding-001",
    "cohere": "embed-v4.0",
    "vertex": "text-embedding-005",
}
PREFIX = {
    "openai": "/v1",
    "anthropic": "/v1",
    "gemini": "/v1beta",
    "bedrock": "",
    "cohere": "",
    "vertex": "/v1/projects/mine/locations/europe-west1",
}
OTHERS = tuple(name for name in MODELS if name != "openai")
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
CHAT = "/v1/chat/completions"
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


def open_dialects(
    *names: str, config: Config | None = None, **more: Any
) -> AbstractAsyncContextManager[World]:
    """A world in which `m` leads to these providers, or one of such providers with another configuration."""
    config = config or dialect_config(*names)
    return open_world(**{**at_providers(config), "wall_clock": passing_time, **more})


def at_providers(config: Config) -> dict[str, Any]:
    """What a world needs for a simulator at each provider's host, with keys that it demands."""
    hosts = [urlsplit(one.base_url or "").hostname for one in config.providers.values()]
    keyed = partial(Simulator, required_keys=[UPSTREAM_KEY, ACCESS_KEY])
    return {"config": config, "hosts": hosts, "provider": keyed}


def passing_time() -> float:
    """A wall clock that goes with trio's."""
    return 1_800_000_000.0 + trio.current_time()


def host_of(name: str) -> str:
    """Where a provider is; Bedrock's host names its region."""
    region = "bedrock-runtime.eu-west-1." if name.startswith("bedrock") else ""
    return f"{region}{name}"


def dialect_config(*names: str, race: RaceConfig | None = None, **model: Any) -> Config:
    """The id `m` at the providers named, each a host of the name of its dialect."""
    return Config(
        server=ServerConfig(keepalive_comment_seconds=15.0),
        providers={name: provider(name, 1000.0 ** (2 - 2 * at)) for at, name in enumerate(names)},
        models={"m": ModelConfig(targets=[f"{name}/{MODELS[name]}" for name in names], **model)},
        race=race or RaceConfig(),
    )


def street_config(dialect: str, count: int, *beside: str) -> Config:
    """Ids `m0`, `m1`, ...: each leads to a provider of its own (`<dialect>0`, ...), then to those beside it.

    So many failures can be tried in one world, and none makes another look different.
    """
    names = [f"{dialect}{number}" for number in range(count)]
    targets = [f"{name}/{MODELS[name]}" for name in beside]
    return Config(
        server=ServerConfig(keepalive_comment_seconds=15.0),
        providers={
            **{name: provider(dialect, 1000.0**2, name=name) for name in names},
            **{name: provider(name) for name in beside},
        },
        models={
            f"m{number}": ModelConfig(targets=[f"{name}/{MODELS[dialect]}", *targets])
            for number, name in enumerate(names)
        },
    )


def provider(
    dialect: str, weight: float = 1.0, *, key: str | None = None, name: str | None = None
) -> ProviderConfig:
    """A provider of a dialect, as a preset has it, at the host of its name."""
    preset = DIALECT_PRESETS[dialect]
    usual = ACCESS_KEY if dialect == "bedrock" else UPSTREAM_KEY
    return ProviderConfig(
        dialect=dialect,
        base_url=f"http://{host_of(name or dialect)}{PREFIX[dialect]}",
        key=Secret(key or usual),
        key_header=preset.key_header,
        paths=PathConfig(**dict(preset.paths)),
        discover=False,
        models=[MODELS[dialect], *([EMBEDDINGS[dialect]] if dialect in EMBEDDINGS else [])],
        weight=weight,
        timeouts=TimeoutConfig(connect=5, first_byte=30, idle=20, total=600),
    )


def simulator(world: World, name: str) -> Simulator:
    """The simulator that is a provider."""
    return world.simulators[host_of(name)]


def plan(world: World, name: str, times: int = 1, **behaviour: Any) -> None:
    """Give the next requests at a provider this behaviour."""
    simulator(world, name).plan(*[Behaviour(**behaviour)] * times)


def received(world: World, name: str) -> int:
    return len(simulator(world, name).requests)
