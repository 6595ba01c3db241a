"""A real Valkey or Redis server for one test: its own port, its own folder, nothing written to disk.

Where neither is installed the tests that need one are skipped, and say so. On a build server (the environment
variable CI is set) that is a failure, because there a skip would go unseen.
"""

import gc
import os
import shutil
import signal
import socket
import subprocess
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.process import wait_until

# For modules that use a server: see `forget_failed_connections`.
SILENT = pytest.mark.filterwarnings("ignore:Unclosed <MemoryObject:ResourceWarning")
BINARIES = ("valkey-server", "redis-server")


class ValkeyServer:
    """A server process. `kill` and `start` bring it back empty, on the same port."""

    def __init__(self, binary: str, folder: Path, options: Sequence[str]) -> None:
        self._binary = binary
        self._folder = folder
        self._options = options
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                 "--appendonly", "no", "--dir", str(self._folder), *self._options],
                stdout=log,
                stderr=log,
            )  # fmt: skip
        wait_until("the store answers", self._answers)

    def pause(self) -> None:
        """Stop it where it stands: connections stay open, and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once. What it knew is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def command(self, *words: str) -> bytes:
        """Send one command over a connection of its own; return the beginning of the raw answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
            connection.sendall(f"*{len(words)}\r\n{''.join(parts)}".encode())
            return connection.recv(65536)

    def _answers(self) -> bool:
        with suppress(OSError):
            return self.command("PING").startswith(b"+PONG")
        return False

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


def free_port() -> int:
    """A free port that leaves room for the one that a cluster's servers use besides, 10,000 above it."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port < 55_536:
            return port


def server_binary() -> str:
    """The path of an installed server. Skips the test without one, but fails it on a build server."""
    for name in BINARIES:
        if found := shutil.which(name):
            return found
    reason = f"needs one of {', '.join(BINARIES)}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def running_server(folder: Path, *options: str) -> Iterator[ValkeyServer]:
    server = ValkeyServer(server_binary(), folder, options)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        forget_failed_connections()


def forget_failed_connections() -> None:
    """Collect what the client library leaves of a connection that could not be opened.

    Its buffers complain about not having been closed, and would do so in some later test.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """One for all tests of a module; each test uses key names of its own."""
    with running_server(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ValkeyServer]:
    """One for a test that will hurt it."""
    with running_server(tmp_path) as server:
        yield server
