"""What the documentation promises: its examples work, with only the base URL and the key changed.

They run against `syze demo`, which is what somebody tries first: every model of the catalog over
simulated providers, nothing configured.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.e2e import documented
from tests.e2e.curl import run_curl, run_shell
from tests.e2e.node_sdk import MODULES, node_command
from tests.e2e.process import PATIENCE_SECONDS, GatewayProcess, wait_until

KEY = re.compile(r"sk-syze-[A-Za-z0-9]{32}")


class Demo:
    """A running demo, and the key that it printed."""

    def __init__(self, process: GatewayProcess) -> None:
        self.process = process
        self.base_url = process.base_url
        self.key = wait_until("a key is printed", lambda: KEY.search(process.printed))[0]

    def customised(self, example: str) -> str:
        return documented.customised(example, self.base_url, self.key)

    def post(self, path: str, body: str) -> Any:
        """Send one of the documented bodies by curl; return the answer."""
        done = run_curl(
            self.base_url + path,
            "-H",
            f"Authorization: Bearer {self.key}",
            "-H",
            "Content-Type: application/json",
            "--data-binary",
            "@-",
            body=body.encode(),
        )
        assert done.returncode == 0, done.stderr
        return msgspec.json.decode(done.stdout)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    fast = ["demo", "--port", "0", "--ttft", "0.01", "--gap", "0.001"]
    with GatewayProcess(fast, folder=folder, environ=environ) as process:
        yield Demo(process)


def run(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def said_by(model: str, quoted: str) -> str:
    """How every answer of the simulated provider to one message begins."""
    return f"Hello from the simulated provider, answering as {model}. You wrote “{quoted}”."


HAIKU = documented.MODEL.partition("/")[2]


def test_the_curl_quickstart_works_verbatim(demo: Demo) -> None:
    script = demo.customised(documented.CURL)
    answer = msgspec.json.decode(run_shell(script, {"SYZE_KEY": demo.key}))
    assert answer["object"] == "chat.completion"
    assert answer["model"] == documented.MODEL
    content = answer["choices"][0]["message"]["content"]
    assert content.startswith(said_by(HAIKU, "Say hi in one word"))
    assert answer["usage"]["total_tokens"] > 0


def test_the_python_quickstart_works_verbatim(demo: Demo, tmp_path: Path) -> None:
    script = tmp_path / "quickstart.py"
    script.write_text(demo.customised(documented.PYTHON))
    assert run(sys.executable, str(script)).startswith(said_by(HAIKU, "Say hi"))


def test_the_node_quickstart_works_verbatim(demo: Demo, tmp_path: Path) -> None:
    script = tmp_path / "quickstart.mjs"
    script.write_text(demo.customised(documented.NODE))
    # Node looks for packages beside the script, as after `npm install openai`.
    (tmp_path / "node_modules").symlink_to(MODULES)
    assert run(node_command(), str(script)).startswith(said_by(HAIKU, "Say hi"))


def test_the_streaming_example_works_verbatim(demo: Demo) -> None:
    script = demo.customised(documented.STREAMING_CURL)
    events = run_shell(script, {"SYZE_KEY": demo.key}).removesuffix("\n\n").split("\n\n")
    assert events.pop() == "data: [DONE]"
    chunks = [msgspec.json.decode(event.removeprefix("data: ")) for event in events]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0]["role"] == "assistant"
    text = "".join(delta.get("content") or "" for delta in deltas)
    assert text.startswith(said_by(HAIKU, "Count to 5"))
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_the_tool_calling_example_gets_a_call(demo: Demo) -> None:
    answer = demo.post("/chat/completions", documented.TOOL_BODY)
    choice = answer["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    called = choice["message"]["tool_calls"][0]["function"]
    assert called["name"] == "get_weather"
    assert isinstance(msgspec.json.decode(called["arguments"])["city"], str)


def test_the_vision_example_is_accepted(demo: Demo) -> None:
    answer = demo.post("/chat/completions", documented.VISION_BODY)
    assert answer["model"] == "anthropic/claude-opus-4-7"
    assert "I received 1 image" in answer["choices"][0]["message"]["content"]


def test_the_embedding_example_gets_a_vector(demo: Demo) -> None:
    answer = demo.post("/embeddings", documented.EMBEDDING_BODY)
    assert len(answer["data"][0]["embedding"]) == 1536


def test_the_lines_that_the_demo_prints_work_as_printed(demo: Demo, tmp_path: Path) -> None:
    curl, python, node = printed_examples(demo.process.printed)
    answer = msgspec.json.decode(run_shell(curl, {}))
    hello = "Hello from the simulated provider"
    assert answer["choices"][0]["message"]["content"].startswith(hello)
    assert run(sys.executable, "-c", python).startswith(hello)
    script = tmp_path / "printed.mjs"
    script.write_text(node)
    (tmp_path / "node_modules").symlink_to(MODULES)
    assert run(node_command(), str(script)).startswith(hello)


def printed_examples(text: str) -> list[str]:
    """The indented block after each heading, its indentation taken away."""
    blocks = re.findall(r"^(?:curl|Python|Node\.js).*:\n\n((?:  .*\n|\n)+)", text, re.MULTILINE)
    assert len(blocks) == 3, text
    return [re.sub(r"^  ", "", block, flags=re.MULTILINE) for block in blocks]
