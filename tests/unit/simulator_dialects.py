"""One request to the simulated provider in one of its dialects, without any transport."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from router.simulator import SeenRequest, Simulator
from router.simulator.performance import Ending

MESSAGES = "/v1/messages"
COUNT_TOKENS = "/v1/messages/count_tokens"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
KEYS: Mapping[str, Mapping[str, str]] = {
    "anthropic": {"x-api-key": "k", "anthropic-version": "2023-06-01"},
    "gemini": {"x-goog-api-key": "k"},
    "bedrock": {"authorization": "Bearer k"},
    "cohere": {"authorization": "Bearer k"},
    "vertex": {"authorization": "Bearer k"},
}


class Said(NamedTuple):
    """An answer; `steps` are the times at which parts of its body are due."""

    status: int
    headers: dict[str, str]
    body: bytes
    steps: list[float]
    ending: Ending

    def json(self) -> Any:
        return json.loads(self.body)

    def events(self) -> list[tuple[str | None, Any]]:
        """The name and the data of each event."""
        blocks = self.body.decode().split("\n\n")
        assert blocks.pop() == "", "the stream ends inside an event"
        return [_event(block) for block in blocks]

    def data(self) -> list[Any]:
        return [data for _, data in self.events()]


def _event(block: str) -> tuple[str | None, Any]:
    fields = dict(line.split(": ", 1) for line in block.split("\n"))
    assert set(fields) <= {"event", "data"}
    return fields.get("event"), json.loads(fields["data"])


def ask(
    path: str,
    body: Any,
    *,
    headers: Mapping[str, str],
    simulator: Simulator | None = None,
    method: str = "POST",
) -> Said:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    request = SeenRequest(method.encode(), path.encode(), sent, content)
    performance = (simulator or Simulator(wall_clock=lambda: 0.0)).answer(request)
    steps = list(performance.steps)
    assert all(ending is None for _, _, ending in steps[:-1])
    ending = steps[-1][2]
    assert ending is not None
    status, head = 0, {}
    if performance.head is not None:
        status = performance.head.status
        head = {n.decode(): v.decode() for n, v in performance.head.headers}
    whole = b"".join(data for _, data, _ in steps)
    return Said(status, head, whole, [at for at, _, _ in steps], ending)


def anthropic(body: Any, *, path: str = MESSAGES, **how: Any) -> Said:
    return ask(path, body, **{"headers": KEYS["anthropic"], **how})


def gemini(
    body: Any, *, model: str = "gemini-2.5-flash", method: str = "generateContent", **how: Any
) -> Said:
    path = f"/v1beta/models/{model}:{method}"
    return ask(path, body, **{"headers": KEYS["gemini"], **how})


def gemini_stream(body: Any, **how: Any) -> Said:
    return gemini(body, method="streamGenerateContent?alt=sse", **how)


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content[0] if isinstance(content[0], str) else list(content)}


def assistant(*content: Any) -> dict[str, Any]:
    return {**user(*content), "role": "assistant"}


def text(said: str, **fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **fields}


def use(number: int, name: str = "look", **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": arguments}


def result(number: int, said: Any = "found") -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": said}


def message(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A Messages request; a field given as None is left out."""
    said = list(messages) or [user("Hello")]
    body = {"model": "m", "max_tokens": 2000, "messages": said, **fields}
    return {name: value for name, value in body.items() if value is not None}


def tool(name: str = "look", **schema: Any) -> dict[str, Any]:
    return {"name": name, "input_schema": {"type": "object", **schema}}


def content(role: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "parts": list(parts)}


def generate(*contents: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A generateContent request."""
    return {"contents": list(contents) or [content("user", {"text": "Hello"})], **fields}


def call(name: str = "look", **fields: Any) -> dict[str, Any]:
    """A part with a call, signed if told."""
    signature = fields.pop("thoughtSignature", None)
    signed = {} if signature is None else {"thoughtSignature": signature}
    return {"functionCall": {"name": name, "args": {}, **fields}, **signed}


def response(name: str = "look", **fields: Any) -> dict[str, Any]:
    return {"functionResponse": {"name": name, "response": {"output": "found"}, **fields}}


def function(name: str = "look", **schema: Any) -> dict[str, Any]:
    return {"functionDeclarations": [{"name": name, **({"parameters": schema} if schema else {})}]}
