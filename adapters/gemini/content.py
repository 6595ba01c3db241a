"""The turns of a conversation as Gemini's `contents`.

Its two sides take turns strictly, so neighbours are merged. A function's result stands under the function's
name, directly behind the turn that called it, one for each call and before anything else the user says. An
empty part is refused, so what says nothing is left out, unless it carries a signature.
"""

from collections.abc import Iterable, Sequence

import msgspec

from adapters.dialect import BadCall
from adapters.gemini.media import media_part
from adapters.gemini.model import Traits
from adapters.gemini.signature import UNCHECKED, own
from adapters.middle.arguments import as_object
from adapters.middle.conversation import (
    Media,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)

Wire = dict[str, object]


def contents_of(turns: Iterable[Turn], model: Traits) -> list[Wire]:
    """Return the turns. Raises `BadCall` for calls without result, results without call, and bad media."""
    contents: list[tuple[Role, list[Wire]]] = []
    calls: list[ToolCall] = []
    for role, parts in _merged(turns):
        if role == "assistant":
            calls = [part for part in parts if isinstance(part, ToolCall)]
            said = _model_parts(parts, model)
        else:
            said = _user_parts(parts, calls, model)
            calls = []
        if said and contents and contents[-1][0] == role:  # what stood between said nothing
            contents[-1][1].extend(said)
        elif said:
            contents.append((role, said))
    return [
        {"role": "model" if role == "assistant" else "user", "parts": said}
        for role, said in contents
    ]


def _merged(turns: Iterable[Turn]) -> list[tuple[Role, list[Part]]]:
    merged: list[tuple[Role, list[Part]]] = []
    for turn in turns:
        parts = [part for part in turn.parts if not isinstance(part, Text) or part.text]
        if merged and merged[-1][0] == turn.role:
            merged[-1][1].extend(parts)
        elif parts:
            merged.append((turn.role, parts))
    return merged


def _model_parts(parts: Sequence[Part], model: Traits) -> list[Wire]:
    said: list[Wire] = []
    unsigned = model.wants_signatures
    for part in parts:
        match part:
            case Text() | Refusal():
                said += [{"text": part.text}] if part.text else []
            case Media():
                said.append(media_part(part, model))
            case Reasoning():
                said += _thought(part)
            case ToolCall():
                # Only the first of parallel calls is signed.
                said.append(_call(part, model, substitute=unsigned))
                unsigned = False
            case ToolResult():
                raise BadCall("A tool's result cannot be the assistant's.", param="messages")
    return said


def _thought(reasoning: Reasoning) -> list[Wire]:
    """Return a thought that Gemini has signed; of another it would make nothing."""
    signature = own(reasoning.signature)
    if signature is None:
        return []
    thought = {"thought": True} if reasoning.text else {}
    return [{"text": reasoning.text, **thought, "thoughtSignature": signature}]


def _call(call: ToolCall, model: Traits, *, substitute: bool) -> Wire:
    signature = own(call.signature) or (UNCHECKED if substitute else None)
    said: Wire = {
        "name": call.name,
        "args": msgspec.Raw(as_object(call.arguments).encode()),
    }
    if model.has_call_ids:
        said["id"] = call.id
    signed = {} if signature is None else {"thoughtSignature": signature}
    return {"functionCall": said, **signed}


def _user_parts(parts: Sequence[Part], calls: Iterable[ToolCall], model: Traits) -> list[Wire]:
    results = [part for part in parts if isinstance(part, ToolResult)]
    said: list[Wire] = []
    attached: list[Wire] = []
    for call in calls:
        result = _taken(results, call)
        media = [media_part(part, model) for part in result.parts if isinstance(part, Media)]
        said.append(_response(call, result, media if model.has_call_ids else [], model))
        attached += [] if model.has_call_ids else media
    if results:
        told = f"The result for '{results[0].call_id[:200]}' answers no call of the turn before it."
        raise BadCall(told, param="messages")
    return [*said, *attached, *_said_by_user(parts, model)]


def _taken(results: list[ToolResult], call: ToolCall) -> ToolResult:
    """Take the result of a call out of those that are left."""
    for place, result in enumerate(results):
        if result.call_id == call.id:
            return results.pop(place)
    raise BadCall(f"The call '{call.id[:200]}' has no result.", param="messages")


def _response(call: ToolCall, result: ToolResult, media: Sequence[Wire], model: Traits) -> Wire:
    """Return a result. It must be an object; a text stays a text, so that no number in it is rounded."""
    text = "".join(part.text for part in result.parts if isinstance(part, Text))
    said: Wire = {
        "name": call.name,
        "response": {"error" if result.is_error else "output": text},
    }
    if model.has_call_ids:
        said["id"] = call.id
    if media:
        said["parts"] = media
    return {"functionResponse": said}


def _said_by_user(parts: Iterable[Part], model: Traits) -> list[Wire]:
    said: list[Wire] = []
    for part in parts:
        match part:
            case Text():
                said.append({"text": part.text})
            case Media():
                said.append(media_part(part, model))
            case ToolResult():
                continue
            case _:
                raise BadCall("Only the assistant calls, thinks and refuses.", param="messages")
    return said
