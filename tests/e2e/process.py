"""A `syze` process as an operator runs it: started by its command, watched from outside, ended by SIGTERM.

What a test knows of it is what an operator knows: the log on its standard error, what it printed,
and what the system tells about the process. Everything waits for a condition, with a bound that only
a broken gateway reaches; what is logged of requests has none, and is read once it grows no more.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from router.observe.gathering import GATHER_SECONDS

SYZE = Path(sys.executable).with_name("syze")
PATIENCE_SECONDS = 30.0
POLL_SECONDS = 0.02

T = TypeVar("T")


def wait_until(what: str, probe: Callable[[], T | None], *, seconds: float = PATIENCE_SECONDS) -> T:
    """Return the first true value of `probe`; fail, saying `what` did not come, after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := probe()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} seconds: {what}")
        time.sleep(POLL_SECONDS)
    return value


def run_syze(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """Run a command that ends by itself; return what it wrote to standard output."""
    done = subprocess.run(
        [SYZE, *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class GatewayProcess:
    """A running `syze serve` or `syze demo`. As a context manager it ends gracefully, or fails.

    `base_url` is where it listens, ending in `/v1`.
    """

    def __init__(
        self, arguments: Sequence[str], *, folder: Path, environ: Mapping[str, str]
    ) -> None:
        self._printed = folder / "stdout.txt"
        self._logged = folder / "stderr.txt"
        # Files, because a pipe that nobody reads would stop the gateway once it is full.
        with self._printed.open("wb") as stdout, self._logged.open("wb") as stderr:
            self._process = subprocess.Popen(
                [SYZE, *arguments], env=environ, cwd=folder, stdout=stdout, stderr=stderr
            )
        self.base_url = str(wait_until("the gateway listens", self._listening)["urls"][0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()
        status = self.wait()
        assert status == 0, f"exit code {status}:\n{self.errors}"

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.base_url.rpartition(":")[2].partition("/")[0])

    @property
    def printed(self) -> str:
        """What it has written to standard output so far."""
        return self._printed.read_text("utf-8")

    @property
    def errors(self) -> str:
        """What it has written to standard error so far, the log included."""
        return self._logged.read_text("utf-8")

    def log(self, event: str) -> list[dict[str, Any]]:
        """The log's lines about one kind of event, so far; those of requests come in groups."""
        if event == "request":
            self._until_written()
        whole = [line for line in self.errors.splitlines(keepends=True) if line.endswith("\n")]
        lines = [msgspec.json.decode(line) for line in whole if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def _until_written(self) -> None:
        written = -1
        while written != (written := len(self.errors)):
            time.sleep(2 * GATHER_SECONDS)

    def terminate(self) -> None:
        """Send SIGTERM, unless it has ended already."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Return its exit code. One that does not end in time is killed, and fails the test."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"it did not end within {seconds:g} seconds") from None

    def resident_bytes(self) -> int:
        """How much memory it holds at this moment (Linux)."""
        status = Path(f"/proc/{self._process.pid}/status").read_text("ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def open_sockets(self) -> int:
        """How many sockets it holds at this moment (Linux). Files come and go with journal and database."""
        held = Path(f"/proc/{self._process.pid}/fd").iterdir()
        return sum(_target(descriptor).startswith("socket:") for descriptor in held)

    def _listening(self) -> dict[str, Any] | None:
        if self._process.poll() is not None:
            raise AssertionError(f"it ended with code {self._process.returncode}:\n{self.errors}")
        return next(iter(self.log("listening")), None)


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except FileNotFoundError:  # closed since it was listed
        return ""
