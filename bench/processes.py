"""Processes of our own: started with a log, waited for, and ended in order.

Each is ended by its own pid: asked with SIGTERM, and killed if it has not left by a deadline. All of this is
synchronous, because it happens before and after a load, never during it.
"""

import resource
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

START_SECONDS: Final = 30.0
END_SECONDS: Final = 20.0
LOOPBACK: Final = "127.0.0.1"
T = TypeVar("T")


class StandFailed(Exception):
    """A process did not start, or did not serve."""


class Service:
    """One process and its log. `exit_code` is None until `end` has been called."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.exit_code: int | None = None
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def lines(self) -> list[str]:
        """What it has written so far."""
        return self._log.read_text(encoding="utf-8", errors="replace").splitlines()

    def wait_until(
        self,
        check: Callable[[], T | None],
        *,
        every: float = 0.05,
        seconds: float = START_SECONDS,
    ) -> T:
        """Ask `check` until it gives something. Raises StandFailed when the process ends or time is up."""
        deadline = time.monotonic() + seconds
        while (found := check()) is None:
            if self._process.poll() is not None:
                raise self._failed(f"ended with status {self._process.returncode}")
            if time.monotonic() > deadline:
                raise self._failed(f"was not ready after {seconds:g} s")
            time.sleep(every)
        return found

    def end(self) -> None:
        """Ask it to end, and kill it if it does not within `END_SECONDS`."""
        self._process.terminate()
        try:
            self.exit_code = self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self.exit_code = self._process.wait()

    def _failed(self, what: str) -> StandFailed:
        return StandFailed("\n".join([f"the {self.name} {what}; it wrote:", *self.lines()[-20:]]))


@contextmanager
def ending(service: Service) -> Iterator[None]:
    """End the service on the way out."""
    try:
        yield
    finally:
        service.end()


def raise_file_limit(needed: int) -> None:
    """Let this process, and those it starts, open `needed` files. Raises StandFailed if that is forbidden."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise StandFailed(f"{needed} open files are needed and the system allows {hard}")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def free_port() -> int:
    """Return a TCP port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
