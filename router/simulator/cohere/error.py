"""Errors in Cohere's words: a bare message and the request's id.

A stream that goes wrong ends as any other does, with an event that says how: its reason is `ERROR`, and the
message stands beside it. A whole answer does the same. Source: Cohere's API reference, "Errors" and "Chat
with Streaming".
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from router.simulator.idiom import Complaint, Idiom
from router.simulator.performance import Step
from router.simulator.refusal import Refusal, flaw_of
from router.simulator.shaping import event_lines, named_crlf_event_lines, named_event_lines

DONE: Final = b"[DONE]"
_USAGE: Final = ". For proper usage, please refer to the API reference"


def error_body(complaint: Complaint) -> dict[str, Any]:
    """The body of an error."""
    if isinstance(complaint.told, dict):
        return complaint.told
    return {"message": _words(complaint)}


def error_event(complaint: Complaint) -> dict[str, Any]:
    """The last event of a stream that went wrong."""
    delta = {"finish_reason": "ERROR", "error": _words(complaint)}
    return {"type": "message-end", "delta": delta}


def error_answer(complaint: Complaint) -> dict[str, Any]:
    """An answer that could not be finished."""
    message: dict[str, Any] = {"role": "assistant", "content": []}
    return {"finish_reason": "ERROR", "message": message, "error": _words(complaint)}


def lines(steps: Iterable[Step]) -> Iterator[Step]:
    """Payloads as events that are named by their type; the mark of the end has no name."""
    return _marked(steps, odd=False)


def odd_lines(steps: Iterable[Step]) -> Iterator[Step]:
    """The same with all else that the format allows."""
    return _marked(steps, odd=True)


def _marked(steps: Iterable[Step], *, odd: bool) -> Iterator[Step]:
    named = named_crlf_event_lines if odd else named_event_lines
    for step in steps:
        yield from (event_lines if step[1] == DONE else named)([step])


def _words(complaint: Complaint) -> str:
    told = complaint.told
    if isinstance(told, dict):
        return str(told.get("message", complaint.words))
    return told or complaint.words


IDIOM: Final = Idiom(
    error=error_body,
    error_event=error_event,
    error_answer=error_answer,
    refusals={
        "content": ("blocked input: please adjust your input and try again.", None),
        "length": ("too many tokens: size limit exceeded by 42 tokens.", None),
    },
    done=DONE,
    malformed=b'{"type":"content-delta","index":0,"delta":{"message":{"content":{"te',
    unknown=b'{"type":"simulator-notice","notice":"an event of a type nobody knows"}',
    lines=lines,
    odd_lines=odd_lines,
)


def invalid(message: str) -> Refusal:
    """A request that makes no sense."""
    return Refusal(400, f"invalid request: {message}")


def invalid_body(error: msgspec.ValidationError) -> Refusal:
    """Say what msgspec found; such requests are not even looked at, which is a 422."""
    flaw = flaw_of(error)
    place = flaw.path or "body"
    told = {
        "missing": f"invalid request: parameter '{place}' is required",
        "unknown": f"unknown field: parameter '{place}' is not a valid field",
        "type": f"invalid type: parameter '{place}': {flaw.what}",
        "value": f"invalid request: parameter '{place}': {flaw.what}",
    }
    return Refusal(422, told[flaw.kind] + _USAGE)
