"""curl, the client that everyone has, run as a command.

Where it is missing a test is skipped and says so; a build machine (`CI` is set) has to have it.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping

import pytest

SECONDS = 30


def need_curl() -> None:
    """Skip the test, or fail it on a build machine, when there is no curl."""
    if shutil.which("curl") is None:
        if os.environ.get("CI"):
            pytest.fail("a build machine needs curl")
        pytest.skip("curl is not installed")


def run_shell(script: str, environ: Mapping[str, str]) -> str:
    """Run a shell script that calls curl, with these variables besides; return what it printed."""
    need_curl()
    done = subprocess.run(
        ["sh", "-e", "-c", script],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        timeout=SECONDS,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_curl(*arguments: str, body: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run curl with `body` on its standard input; its exit code is for the test to judge."""
    need_curl()
    return subprocess.run(
        ["curl", "-sS", "--max-time", str(SECONDS), *arguments],
        input=body,
        capture_output=True,
        timeout=2 * SECONDS,
        check=False,
    )
