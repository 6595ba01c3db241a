"""On what a result was measured: machine, kernel, interpreter, libraries, and the state of the code.

A figure without these is a rumour. No names of hosts, people or folders are recorded.
"""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

LIBRARIES: Final = ("syzeai", "trio", "h11", "hypercorn", "quart", "quart-trio", "msgspec")
REPOSITORY: Final = Path(__file__).resolve().parent.parent


class Machine(msgspec.Struct, frozen=True):
    """The facts. `commit` is None outside a repository; `uncommitted` says whether code differed from it."""

    cpu: str
    cores: int
    memory_bytes: int
    kernel: str
    python: str
    libraries: dict[str, str]
    commit: str | None
    uncommitted: bool


def describe_machine(cores: int) -> Machine:
    """Collect the facts about this machine; `cores` is how many the bench may use."""
    commit = _git("rev-parse", "--verify", "HEAD")
    changes = _git("status", "--porcelain", "--", ".", ":(exclude)bench/results")
    return Machine(
        cpu=field_of(Path("/proc/cpuinfo").read_text(), "model name"),
        cores=cores,
        memory_bytes=int(field_of(Path("/proc/meminfo").read_text(), "MemTotal").split()[0]) * 1024,
        kernel=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        libraries={name: version(name) for name in LIBRARIES},
        commit=commit,
        uncommitted=changes != "",
    )


def field_of(text: str, name: str) -> str:
    """Return the first value of a field in the `name: value` lines of `/proc`, "unknown" if absent."""
    for line in text.splitlines():
        found, colon, value = line.partition(":")
        if colon and found.strip() == name:
            return value.strip()
    return "unknown"


def _git(*arguments: str) -> str | None:
    """What git says, None where there is no repository, no commit yet, or no git."""
    command = ["git", "-C", str(REPOSITORY), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10.0, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
