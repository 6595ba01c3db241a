"""Why an answer ended, in Anthropic's words and in ours."""

from typing import Final

from adapters.middle.answer import StopReason

_OURS: Final[dict[str, StopReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_THEIRS: Final[dict[StopReason, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}


def stop_of(reason: str | None, *, has_calls: bool) -> StopReason:
    """Return our word for Anthropic's; an unknown one counts as a plain end.

    Without calls for the client there is nothing for it to call, whatever the provider says.
    """
    stop = _OURS.get(reason or "end_turn", "stop")
    if stop == "tool_calls" and not has_calls:
        return "stop"
    return stop


def reason_of(stop: StopReason, stop_sequence: str | None, *, has_calls: bool) -> str:
    """Return Anthropic's word for ours, which follows the calls."""
    if stop in {"stop", "tool_calls"} and has_calls:
        return "tool_use"
    if stop_sequence is not None and stop == "stop":
        return "stop_sequence"
    return "end_turn" if stop == "tool_calls" else _THEIRS[stop]
