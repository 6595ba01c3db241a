"""Loading a configuration that a test has written, and being refused."""

from pathlib import Path

import pytest

from router.config import Config, ConfigError, load_config

ENVIRON = {"HOME": "/home/someone", "OPENAI_API_KEY": "sk-live-1", "TOKEN": "hush-hush"}


def write(folder: Path, text: str) -> Path:
    path = folder / "syze.toml"
    path.write_text(text, encoding="utf-8")
    return path


def load(folder: Path, text: str, **environ: str) -> Config:
    return load_config(write(folder, text), ENVIRON | environ)


def refuse(folder: Path, text: str, **environ: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **environ)
    return caught.value


def findings(error: ConfigError) -> list[tuple[str, str | None]]:
    return [(problem.path, problem.suggestion) for problem in error.problems]
