"""The items of an answer: a message with its contents, reasoning, a call.

Each has an id of its own, made from the request's, so that a stream and the whole answer have the same.
Reasoning is told as a summary; what its provider wants back is sealed beside it.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from adapters.middle.conversation import Reasoning, Refusal, Text, ToolCall
from adapters.middle.signature import with_signature
from adapters.responses.seal import seal
from adapters.responses.tools import Offer, custom_input

Json = dict[str, object]
Status = Literal["in_progress", "completed", "incomplete"]
ItemKind = Literal["message", "reasoning", "function_call", "custom_tool_call"]

_PREFIXES: Final[Mapping[ItemKind, str]] = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
}


def item_id(kind: ItemKind, request_id: str, index: int) -> str:
    """Return the id of the item at this place of the output."""
    return f"{_PREFIXES[kind]}_{request_id}_{index}"


def kind_of_call(name: str, offer: Offer) -> Literal["function_call", "custom_tool_call"]:
    """Return what a call of the tool with this name is to the client."""
    offered = offer.get(name)
    return "custom_tool_call" if offered is not None and offered.is_custom else "function_call"


def content(said: Text | Refusal) -> Json:
    """Return one content of a message."""
    if isinstance(said, Refusal):
        return {"type": "refusal", "refusal": said.text}
    return {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}


def message_item(name: str, contents: Sequence[Json], status: Status) -> Json:
    """Return a message; `name` is its id."""
    return {
        "id": name,
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": list(contents),
    }


def reasoning_item(name: str, reasoning: Reasoning, status: Status) -> Json:
    """Return reasoning; `name` is its id."""
    summary = [{"type": "summary_text", "text": reasoning.text}] if reasoning.text else []
    return {
        "id": name,
        "type": "reasoning",
        "status": status,
        "summary": summary,
        "encrypted_content": seal(reasoning),
    }


def call_item(name: str, call: ToolCall, offer: Offer, status: Status) -> Json:
    """Return a call under the client's own name of the tool; `name` is the item's id."""
    offered = offer.get(call.name)
    kind = kind_of_call(call.name, offer)
    said: Json = {"arguments": call.arguments}
    if kind == "custom_tool_call":
        said = {"input": custom_input(call.arguments)}
    if offered is not None and offered.namespace is not None:
        said["namespace"] = offered.namespace
    return {
        "id": name,
        "type": kind,
        "status": status,
        "call_id": with_signature(call.id, call.signature),
        "name": call.name if offered is None else offered.name,
        **said,
    }
