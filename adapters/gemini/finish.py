"""Why a candidate ended, in OpenAI's few words.

Gemini says STOP whether it called functions or not, so the calls themselves decide. A call that the model
spoiled is no answer at all, and another attempt may well succeed. What is not listed was stopped by the
provider and not by the model: it counts as filtered, for it is not known to be whole.
"""

from typing import Final

from adapters.dialect import Failure, FailureKind
from adapters.middle.answer import StopReason

_UNTOLD: Final = (None, "", "FINISH_REASON_UNSPECIFIED")
_SPOILED: Final = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
        "TOO_MANY_TOOL_CALLS",
        "UNEXPECTED_TOOL_CALL",
    }
)


def is_told(reason: str | None) -> bool:
    """Whether the candidate has ended."""
    return reason not in _UNTOLD


def spoiled(reason: str | None, message: str | None) -> Failure | None:
    """Return the failure that a reason stands for, `None` where it is the end of an answer."""
    if reason not in _SPOILED:
        return None
    told = message or f"The model's answer could not be used ({reason})."
    return Failure(kind=FailureKind.INVALID, status=200, message=told, code=reason)


def stop_reason(reason: str | None, *, called: bool) -> StopReason:
    """Return why the client's answer ended; `called`: functions were called in it."""
    if reason == "STOP" or not is_told(reason):
        return "tool_calls" if called else "stop"
    return "length" if reason == "MAX_TOKENS" else "content_filter"
