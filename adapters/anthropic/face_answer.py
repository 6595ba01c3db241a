"""A whole answer, written as a message of Anthropic's.

Thinking has a signature there in any case; one that its provider did not sign gets an empty one, and its
text goes back to that provider in the next turn.
"""

from typing import Final

import msgspec

from adapters.anthropic.stops import reason_of
from adapters.anthropic.usage import usage_fields
from adapters.dialect import Call, Target
from adapters.middle.answer import Choice, WholeAnswer
from adapters.middle.conversation import Part, Reasoning, Refusal, Text, ToolCall
from adapters.middle.signature import with_signature

Json = dict[str, object]

_encode: Final = msgspec.json.encode


def write_answer(call: Call, target: Target, answer: WholeAnswer) -> bytes:
    """Return the JSON of a message: the first choice, for there is only one."""
    choice = answer.choices[0] if answer.choices else Choice(parts=(), stop="stop")
    blocks = [block for part in choice.parts if (block := _block(part)) is not None]
    has_calls = any(isinstance(part, ToolCall) for part in choice.parts)
    reason = reason_of(choice.stop, choice.stop_sequence, has_calls=has_calls)
    message = message_fields(answer.id, call, target)
    message |= {
        "content": blocks,
        "stop_reason": reason,
        "stop_sequence": choice.stop_sequence,
        "usage": usage_fields(answer.usage),
    }
    return _encode(message)


def message_fields(answer_id: str | None, call: Call, target: Target) -> Json:
    """Return the fields of a message that has said nothing yet."""
    return {
        "id": answer_id or f"msg_{call.request_id}",
        "type": "message",
        "role": "assistant",
        "model": target.served_model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _block(part: Part) -> Json | None:
    match part:
        case Text() | Refusal():
            return {"type": "text", "text": part.text}
        case Reasoning(redacted=str(data)):
            return {"type": "redacted_thinking", "data": data}
        case Reasoning():
            signature = part.signature or ""
            return {"type": "thinking", "thinking": part.text, "signature": signature}
        case ToolCall():
            return {
                "type": "tool_use",
                "id": with_signature(part.id, part.signature),
                "name": part.name,
                "input": msgspec.Raw(part.arguments.encode()),
            }
    return None
