"""Where peers are installed: a folder for each, outside of the repository, made once and used again.

A package is named and its registry is whichever the machine's own pip and npm are set to ask. What cannot be
installed is left out of the comparison, which then says so.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

_INSTALL_SECONDS: Final = 900.0
_LOG: Final = "install.log"


class NotInstalled(Exception):
    """A peer is not to be had on this machine."""


def default_cache(environ: Mapping[str, str]) -> Path:
    """Return the user's cache folder for this."""
    root = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "syze-bench"


class Cache(msgspec.Struct, frozen=True):
    """The folder that holds all environments. With `offline` nothing is installed, only used."""

    folder: Path
    offline: bool = False

    def python_package(self, name: str, package: str) -> tuple[Path, str]:
        """Return the Python of an environment that has a package, and the package's version.

        Installs it if it is not there. Raises NotInstalled.
        """
        place = self.folder / name
        python = place / "venv" / "bin" / "python"
        if (version := _python_version(python, package)) is None:
            self._allowed(name)
            place.mkdir(parents=True, exist_ok=True)
            _run([sys.executable, "-m", "venv", "--clear", str(place / "venv")], place)
            pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
            _run([*pip, package], place)
            version = _python_version(python, package)
        if version is None:
            raise NotInstalled(f"{package} was installed and is not there")
        return python, version

    def node_package(
        self, name: str, package: str, *, overrides: Mapping[str, str]
    ) -> tuple[Path, str]:
        """Return the folder of a Node package, and its version; installs it. Raises NotInstalled.

        `overrides` choose versions of what it depends on.
        """
        place = self.folder / name
        home = place / "node_modules" / package
        if not (home / "package.json").exists():
            self._allowed(name)
            place.mkdir(parents=True, exist_ok=True)
            wanted = {"private": True, "dependencies": {package: "*"}, "overrides": dict(overrides)}
            (place / "package.json").write_bytes(msgspec.json.encode(wanted))
            npm = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(place)]
            _run(npm, place)
        version: str = json.loads((home / "package.json").read_text(encoding="utf-8"))["version"]
        return home, version

    def _allowed(self, name: str) -> None:
        if self.offline:
            raise NotInstalled(f"{name} is not in {self.folder}, and nothing may be installed")


def program(name: str, *, version_flag: str) -> tuple[str, str]:
    """Return the path of a program of the system, and its version. Raises NotInstalled."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if path is None:
        raise NotInstalled(f"there is no {name} on this machine")
    done = subprocess.run([path, version_flag], capture_output=True, text=True, check=False)
    words = (done.stdout + done.stderr).split()
    return path, next((word for word in words if any(map(str.isdigit, word))), "unknown")


def _python_version(python: Path, package: str) -> str | None:
    if not python.exists():
        return None
    bare = package.partition("[")[0]
    code = f"from importlib.metadata import version; print(version({bare!r}))"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _run(command: list[str], place: Path) -> None:
    """Run an installer with its words kept beside what it makes."""
    log = place / _LOG
    try:
        with log.open("a", encoding="utf-8") as output:
            subprocess.run(
                command, check=True, stdout=output, stderr=output, timeout=_INSTALL_SECONDS
            )
    except (OSError, subprocess.SubprocessError) as error:
        raise NotInstalled(f"{error}; see {log}") from error
