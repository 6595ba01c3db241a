"""The configuration: one TOML file, read whole or not at all, into structs that never change.

`load_config` looks for a file in the usual places; where there is none, it takes the providers from
the environment variables people already have. Both ways end in the same tree, and the tree passes
the same door: what is left out is filled in (`router.config.defaults`), every mistake is collected
(`router.config.decode`), and only a tree without any becomes a `Config`.

Paths in the file are relative to its folder.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from router.config.decode import ConfigError, Problem, convert, find_problems
from router.config.defaults import find_contradictions, with_defaults, with_timeouts
from router.config.environment import home, providers_of
from router.config.schema import Config
from router.config.secret import SecretReader
from router.config.unfit_keys import find_unfit_keys


def load_config(path: str | Path | None, environ: Mapping[str, str]) -> Config:
    """Read the configuration: from `path`, else where `find_config` says, else from `environ`.

    Raises `ConfigError` with every problem found; nothing is ever half applied.
    """
    found = Path(path) if path is not None else find_config(environ)
    if found is None:
        tree = {"providers": providers_of(environ)}
        return _build(tree, environ, source="the environment", folder=Path())
    tree = read_toml(found)
    return _build(tree, environ, source=str(found), folder=found.parent)


def find_config(environ: Mapping[str, str]) -> Path | None:
    """Return `$SYZE_CONFIG`, else `./syze.toml`, else the one in the user's folder, else `None`.

    The variable is taken at its word: when its file does not exist, reading it will fail.
    """
    if environ.get("SYZE_CONFIG"):
        return Path(environ["SYZE_CONFIG"])
    user_folder = environ.get("XDG_CONFIG_HOME") or home(environ) / ".config"
    for place in (Path("syze.toml"), Path(user_folder) / "syze" / "syze.toml"):
        if place.is_file():
            return place
    return None


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tree of a TOML file. Raises `ConfigError` if it cannot be read, or is none."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        message = "is not UTF-8 text"
    except tomllib.TOMLDecodeError as error:
        message = f"is not TOML: {error}"
    raise ConfigError(str(path), [Problem("", message)])


def _build(
    tree: dict[str, Any], environ: Mapping[str, str], *, source: str, folder: Path
) -> Config:
    hook = SecretReader(environ, folder).read
    tree = with_defaults(tree, environ, folder)
    problems = [*find_problems(tree, Config, hook=hook), *find_contradictions(tree)]
    if problems:
        raise ConfigError(source, problems)
    config = convert(with_timeouts(tree), Config, source=source, hook=hook)
    if problems := list(find_unfit_keys(config)):
        raise ConfigError(source, problems)
    return config
