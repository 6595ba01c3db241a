"""The `response` object around an answer: it repeats what was asked, as it was understood here.

So `store` is `false` and `truncation` is `disabled` whatever the client wrote, and tools which cannot run
here are missing.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from adapters.dialect import Call, Target, Usage
from adapters.middle.answer import StopReason
from adapters.openai.foreign import NULL
from adapters.responses.output import Json, Status
from adapters.responses.tools import usable_tools

_REPEATED: Final = (
    "instructions",
    "max_output_tokens",
    "prompt_cache_key",
    "safety_identifier",
    "temperature",
    "top_p",
    "user",
)
_REASONS: Final[Mapping[StopReason, str]] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
}

_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def response_fields(call: Call, target: Target, *, created: int | None) -> Json:
    """Return the fields of a response that has said nothing yet. `created`: as its provider told it."""
    given = {name: raw for name, raw in call.fields.items() if raw != NULL}
    text = _decode_fields(given.get("text", b"{}"))
    reasoning = _decode_fields(given.get("reasoning", b"{}"))
    fields: Json = {
        "id": f"resp_{call.request_id}",
        "object": "response",
        "created_at": call.asked_at if created is None else created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": target.served_model,
        "output": [],
        "previous_response_id": None,
        "metadata": given.get("metadata", {}),
        "parallel_tool_calls": given.get("parallel_tool_calls", True),
        "reasoning": {"effort": None, "summary": None, **reasoning},
        "service_tier": None,
        "store": False,
        "text": {"format": {"type": "text"}, **text},
        "tool_choice": given.get("tool_choice", "auto"),
        "tools": usable_tools(given),
        "truncation": "disabled",
        "usage": None,
    }
    return fields | {name: given.get(name) for name in _REPEATED}


def ended(
    fields: Json, output: Sequence[object], stop: StopReason | None, usage: Usage | None
) -> Json:
    """Return the response at its end; without a `stop`, its provider did not say that it was whole."""
    reason = None if stop is None else _REASONS.get(stop)
    return {
        **fields,
        "status": final_status(stop),
        "incomplete_details": None if reason is None else {"reason": reason},
        "output": list(output),
        "usage": None if usage is None else usage_fields(usage),
    }


def final_status(stop: StopReason | None) -> Status:
    """Return how a response that stopped so has ended; its last item ended alike."""
    return "completed" if stop in {"stop", "tool_calls"} else "incomplete"


def usage_fields(usage: Usage) -> Json:
    """Return the value of `usage`. Cached, written and reasoning tokens are parts of the totals."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
