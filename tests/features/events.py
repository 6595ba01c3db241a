"""The events of `tests/fixtures/events` on the wire, and events that no dialect has.

A provider adds types when it likes, so what is unknown comes in every shape in which it can: as an event, as
a block or part with its deltas, as a delta in a block that is open, as a field.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from tests.dialect_wire import named
from tests.features.columns import Form
from tests.openai_wire import DONE
from tests.unit import bedrock_wire, cohere_wire, gemini_wire

Json = dict[str, Any]

EVENTS: Final = Path(__file__).parents[1] / "fixtures/events"
MARK: Final = "brand-new"


def story(name: str) -> list[Json]:
    """The events of one file, in their order."""
    return [json.loads(line) for line in (EVENTS / f"{name}.jsonl").read_text("utf-8").splitlines()]


def on_wire(form: Form, events: list[Json]) -> bytes:
    """The body of a stream of these events."""
    return b"".join(_WRITERS[form](event) for event in events) + (DONE if form == "openai" else b"")


def with_strangers(form: Form, events: list[Json]) -> Iterator[list[Json]]:
    """The stream with unknown events in it, once for each place behind the first event."""
    for place in range(1, len(events)):
        strangers = _STRANGERS[form]
        after = events[place:]
        if after[0].get("type") == "content_block_start" and form == "anthropic":
            strangers = [*strangers, *_anthropic_block(after[0]["index"])]
            after = [_moved(event) for event in after]
        elif after[0].get("type") == "content_block_delta" and form == "anthropic":
            strangers = [*strangers, {**after[0], "delta": {"type": MARK, "note": 1}}]
        yield [*events[:place], *strangers, *after]


def _anthropic_block(index: int) -> list[Json]:
    """A block of an unknown type; Anthropic's numbers have no gap, so others make room for it."""
    at: Json = {"index": index}
    return [
        {"type": "content_block_start", **at, "content_block": {"type": MARK, "note": "x"}},
        {"type": "content_block_delta", **at, "delta": {"type": MARK, "note": "x"}},
        {"type": "content_block_stop", **at},
    ]


def _moved(event: Json) -> Json:
    return {**event, "index": event["index"] + 1} if "index" in event else event


def with_strange_fields(events: list[Json]) -> list[Json]:
    """The stream with an unknown field in every object of every event."""
    found: list[Json] = [_with_field(event) for event in events]
    return found


def strange_answer(form: Form, body: bytes) -> bytes:
    """A whole answer with an unknown block or part in it, and an unknown field in every object."""
    answer: Json = json.loads(body)
    match form:
        case "anthropic":
            answer["content"].insert(0, {"type": MARK, "note": "x"})
        case "bedrock":
            answer["output"]["message"]["content"].insert(0, {MARK: {"note": "x"}})
        case "gemini":
            answer["candidates"][0]["content"]["parts"].insert(0, {"brandNew": {"note": "x"}})
        case "cohere":
            answer["message"]["content"].insert(0, {"type": MARK, "note": "x"})
        case "openai":
            answer["choices"][0]["message"][MARK] = {"note": "x"}
    (found,) = with_strange_fields([answer])
    return json.dumps(found).encode()


# Objects that are data and have no fields of their dialect's.
_DATA: Final = frozenset({"args", "input", "arguments"})


def _with_field(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_field(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {name: inner if name in _DATA else _with_field(inner) for name, inner in value.items()}
    # The event of Bedrock's is its payload; around it is our own envelope.
    return kept if "payload" in value else {**kept, "brandNew": {"a": [1, None]}}


def _openai(event: Json) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def _anthropic(event: Json) -> bytes:
    return named(event["type"], **event)


def _bedrock(event: Json) -> bytes:
    return bedrock_wire.event(event["event"], **event["payload"])


_WRITERS: Final[dict[Form, Callable[[Json], bytes]]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "gemini": gemini_wire.event,
    "bedrock": _bedrock,
    "cohere": cohere_wire.body,
}
_FAR: Final = 90  # beyond every block of the stories
_STRANGERS: Final[dict[Form, list[Json]]] = {
    "openai": [{"object": MARK, "note": 1}],
    "anthropic": [{"type": MARK, "note": 1}],
    "gemini": [
        {"brandNew": {"note": 1}, "responseId": "resp-1"},
        gemini_wire.response(gemini_wire.said({"brandNew": {"text": "x"}})),
    ],
    "bedrock": [
        {"event": "brandNew", "payload": {"note": 1}},
        {"event": "contentBlockStart", "payload": {"contentBlockIndex": _FAR, "start": {MARK: {}}}},
        {"event": "contentBlockDelta", "payload": {"contentBlockIndex": _FAR, "delta": {MARK: {}}}},
        {"event": "contentBlockStop", "payload": {"contentBlockIndex": _FAR}},
    ],
    "cohere": [{"type": MARK, "delta": {"message": {MARK: "x"}}}],
}
