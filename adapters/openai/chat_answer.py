"""A whole answer, written as a `chat.completion`.

Text is joined, as OpenAI's message has one text. Reasoning goes to `reasoning_content`, which many clients
know; where its provider wants it back it also goes to `reasoning_details`, in OpenRouter's form. A choice
with calls always ends with `tool_calls`, or agents would stop.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from adapters.dialect import Call, Target
from adapters.middle.answer import Choice, StopReason, WholeAnswer
from adapters.middle.conversation import Part, Reasoning, Refusal, Text, ToolCall
from adapters.middle.signature import with_signature
from adapters.openai.chat_usage import usage_fields

_encode: Final = msgspec.json.encode


def write_answer(call: Call, target: Target, answer: WholeAnswer) -> bytes:
    """Return the JSON of a `chat.completion`."""
    body: dict[str, object] = {
        "id": answer.id or f"chatcmpl-{call.request_id}",
        "object": "chat.completion",
        "created": call.asked_at if answer.created is None else answer.created,
        "model": target.served_model,
        "choices": [_choice(index, choice) for index, choice in enumerate(answer.choices)],
    }
    if answer.usage is not None:
        body["usage"] = usage_fields(answer.usage)
    return _encode(body)


def finish_reason(stop: StopReason, *, has_calls: bool) -> StopReason:
    """Return OpenAI's finish reason, which follows the calls: some providers say `stop` with them."""
    if stop in {"stop", "tool_calls"}:
        return "tool_calls" if has_calls else "stop"
    return stop


def call_fields(call: ToolCall) -> dict[str, object]:
    """Return one entry of `tool_calls`."""
    return {
        "id": with_signature(call.id, call.signature),
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def detail_fields(reasoning: Reasoning, index: int) -> dict[str, object] | None:
    """Return one entry of `reasoning_details`, `None` where the provider does not want it back."""
    if reasoning.redacted is not None:
        return {"type": "reasoning.encrypted", "data": reasoning.redacted, "index": index}
    if not reasoning.signature:
        return None
    return {
        "type": "reasoning.text",
        "text": reasoning.text,
        "signature": reasoning.signature,
        "index": index,
    }


def _choice(index: int, choice: Choice) -> dict[str, object]:
    calls = [call_fields(part) for part in choice.parts if isinstance(part, ToolCall)]
    return {
        "index": index,
        "message": _message(choice.parts, calls),
        "logprobs": None,
        "finish_reason": finish_reason(choice.stop, has_calls=bool(calls)),
    }


def _message(parts: Sequence[Part], calls: list[dict[str, object]]) -> dict[str, object]:
    text = "".join([part.text for part in parts if isinstance(part, Text)])
    refusal = "".join([part.text for part in parts if isinstance(part, Refusal)])
    reasoning = [part for part in parts if isinstance(part, Reasoning)]
    details = [detail_fields(part, index) for index, part in enumerate(reasoning)]
    thought = "".join([part.text for part in reasoning])
    message: dict[str, object] = {
        "role": "assistant",
        "content": text or (None if calls or refusal else ""),
        "refusal": refusal or None,
    }
    if thought:
        message["reasoning_content"] = thought
    if any(details):
        message["reasoning_details"] = [detail for detail in details if detail is not None]
    if calls:
        message["tool_calls"] = calls
    return message
