"""A gateway with one provider for each dialect that the simulator speaks, and the faces in front of them.

The id `m` leads to those that are named, in that order: who is named first is asked first.
"""

from typing import Any

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
from router.simulator import Behaviour
from tests.simulated.world import World

UPSTREAM_KEY = "an-upstream-key-of-ours"
MODELS = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-haiku-4-5-20251001",
    "gemini": "gemini-2.5-flash",
}
PREFIX = {"openai": "/v1", "anthropic": "/v1", "gemini": "/v1beta"}
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


def dialect_config(*names: str, race: RaceConfig | None = None, **model: Any) -> Config:
    """The id `m` at the providers named, each a host of the name of its dialect."""
    return Config(
        server=ServerConfig(keepalive_comment_seconds=15.0),
        providers={name: provider(name, 1000.0 ** (2 - 2 * at)) for at, name in enumerate(names)},
        models={"m": ModelConfig(targets=[f"{name}/{MODELS[name]}" for name in names], **model)},
        race=race or RaceConfig(),
    )


def provider(dialect: str, weight: float = 1.0) -> ProviderConfig:
    """A provider of a dialect, as a preset has it, at the host of that name."""
    preset = DIALECT_PRESETS[dialect]
    return ProviderConfig(
        dialect=dialect,
        base_url=f"http://{dialect}{PREFIX[dialect]}",
        key=Secret(UPSTREAM_KEY),
        key_header=preset.key_header,
        paths=PathConfig(**dict(preset.paths)),
        discover=False,
        models=[MODELS[dialect], "gemini-embedding-001"],
        weight=weight,
        timeouts=TimeoutConfig(connect=5, first_byte=30, idle=20, total=600),
    )


def plan(world: World, host: str, times: int = 1, **behaviour: Any) -> None:
    """Give the next requests at a provider this behaviour."""
    world.simulators[host].plan(*[Behaviour(**behaviour)] * times)


def received(world: World, host: str) -> int:
    return len(world.simulators[host].requests)
