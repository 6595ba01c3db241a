"""What a simulated provider knows of each request: what it has produced by when, and what usage it told."""

from collections.abc import Iterator
from typing import Any

import msgspec
import trio

from router.simulator import SeenRequest, Simulator
from router.simulator.performance import Performance, Step


class Asked:
    """One request at a provider, and its answer as far as the provider has come with it."""

    def __init__(self, request: SeenRequest, performance: Performance) -> None:
        self.name = request.header(b"traceparent")
        self.at = trio.current_time()
        self.status = performance.head.status if performance.head is not None else None
        self._said: list[tuple[float, bytes]] = []

    def watch(self, steps: Iterator[Step]) -> Iterator[Step]:
        """Pass the steps on, remembering when each was due."""
        for step in steps:
            self._said.append((self.at + step[0], step[1]))
            yield step

    def usage(self, now: float) -> tuple[int, int] | None:
        """The tokens of input and output that it had told by then, `None` if it had not."""
        told = [part["usage"] for part in self._parts(now) if part.get("usage")]
        return (told[-1]["prompt_tokens"], told[-1]["completion_tokens"]) if told else None

    def text_bytes(self, now: float) -> int:
        """How much text it had produced by then, as JSON."""
        choices = [choice for part in self._parts(now) for choice in part.get("choices", ())]
        said = [(choice.get("delta") or choice.get("message") or {}) for choice in choices]
        return sum(len(msgspec.json.encode(one.get("content") or "")) - 2 for one in said)

    def _parts(self, now: float) -> list[Any]:
        """The JSON objects it had sent, the broken ones left out."""
        data = b"".join(piece for due, piece in self._said if due <= now)
        lines = [line.removeprefix(b"data: ") for line in data.split(b"\n\n")]
        return [part for line in lines if isinstance(part := _decoded(line), dict)]


class WatchedSimulator(Simulator):
    """A provider that keeps what it was asked, and what it answered."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.asked: list[Asked] = []

    def answer(self, request: SeenRequest) -> Performance:
        performance = super().answer(request)
        asked = Asked(request, performance)
        self.asked.append(asked)
        return msgspec.structs.replace(performance, steps=asked.watch(iter(performance.steps)))


def _decoded(line: bytes) -> object:
    try:
        return msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
