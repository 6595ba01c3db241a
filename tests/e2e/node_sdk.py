"""The official SDK for Node, driven over a pipe: one process serves all tests of a session.

`node/driver.mjs` reads a call per line and writes what came of it per line, both as JSON. Starting
Node once is what makes it cheap enough to ask it for everything that Python is asked for.
"""

import json
import os
import selectors
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import msgspec

from tests.e2e.sdk import TIMEOUT_SECONDS, Failure, Fields, SdkAnswer

FOLDER = Path(__file__).with_name("node")
MODULES = FOLDER / "node_modules"


def node_command() -> str:
    """Where Node is: in the environment of this Python, by its package, else on the path."""
    beside = Path(sys.executable).with_name("node")
    found = str(beside) if beside.is_file() else shutil.which("node")
    if found is None or not (MODULES / "openai").is_dir():
        raise AssertionError("Node or its openai package is missing: run the tests by `make test`")
    return found


class NodeDriver:
    """The running driver process; a context manager that ends it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [node_command(), "driver.mjs"],
            cwd=FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._process.communicate(timeout=10)
        finally:
            self._process.kill()
            self._process.wait()

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """Hand over one call and wait, within a bound, for what came of it."""
        assert self._process.stdin is not None
        # Escaped to ASCII: Node's line reader takes U+2028 for the end of a line.
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = msgspec.json.decode(self._read_line())
        return answer

    def _read_line(self) -> bytes:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        deadline = time.monotonic() + 2 * TIMEOUT_SECONDS
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(deadline - time.monotonic()):
                    raise AssertionError("the driver for Node gave no answer")
                data = os.read(descriptor, 1 << 20)
                assert data, "the driver for Node has ended"
                line += data
        return line


class NodeSdk:
    """The Node package, pointed at one gateway."""

    def __init__(self, driver: NodeDriver, base_url: str, key: str) -> None:
        self._driver = driver
        self._base_url = base_url
        self._key = key

    def call(
        self,
        method: str,
        fields: Fields,
        *,
        extra: Fields | None = None,
        key: str | None = None,
        stop_after: int | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> SdkAnswer:
        """Make one call to its end, or break its stream off after so many chunks."""
        found = self._driver.ask(
            {
                "baseURL": self._base_url,
                "apiKey": self._key if key is None else key,
                "timeout": timeout_seconds * 1000,
                "method": method,
                "fields": {**fields, **(extra or {})},
                "stopAfter": stop_after,
            }
        )
        failure = Failure(**found["failure"]) if found["failure"] is not None else None
        return SdkAnswer(found["value"], found["chunks"], found["requestId"], failure)
