"""Every stop reason of a dialect becomes one of OpenAI's four, or the failure of an answer that is none."""

from typing import Any, Final, get_args

import botocore.session  # type: ignore[import-untyped]
import pytest
from anthropic.types.beta import BetaStopReason

from adapters.dialect import BadAnswer, EventKind, FaceName
from tests.dialect_wire import stream
from tests.features.asking import TOOLS
from tests.features.clients import FACES, call_of, heard
from tests.features.columns import Column, Form, columns
from tests.features.scenes import ModelsCall, Scene

SPOILED: Final = "spoiled"
CALLED: Final = "tool_calls"
# Google's reference has no code that we could read them from; a word of tomorrow's counts as filtered.
GEMINI: Final = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "OTHER": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "ESCALATION": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "IMAGE_OTHER": "content_filter",
    "NO_IMAGE": "content_filter",
    "BRAND_NEW": "content_filter",
    "MALFORMED_FUNCTION_CALL": SPOILED,
    "MALFORMED_RESPONSE": SPOILED,
    "MISSING_THOUGHT_SIGNATURE": SPOILED,
    "TOO_MANY_TOOL_CALLS": SPOILED,
    "UNEXPECTED_TOOL_CALL": SPOILED,
}
REASONS: Final[dict[Form, dict[str, str]]] = {
    "anthropic": {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "pause_turn": "stop",
        "compaction": "stop",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "tool_use": CALLED,
        "refusal": "content_filter",
    },
    "bedrock": {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "tool_use": CALLED,
        "guardrail_intervened": "content_filter",
        "content_filtered": "content_filter",
        "malformed_model_output": SPOILED,
        "malformed_tool_use": SPOILED,
    },
    "gemini": GEMINI,
    "cohere": {
        "COMPLETE": "stop",
        "STOP_SEQUENCE": "stop",
        "MAX_TOKENS": "length",
        "TOOL_CALL": CALLED,
        "ERROR_TOXIC": "content_filter",
        "ERROR": SPOILED,
        "TIMEOUT": SPOILED,
    },
}
CASES: Final = [
    pytest.param(face, column, reason, stop, id=f"{face}-{column.name}-{reason}")
    for face in FACES
    for column in columns()
    for reason, stop in REASONS.get(column.form, {}).items()
    if (face, column.form) != ("messages", "anthropic")  # whose words pass through
]


def test_the_reasons_are_all_those_that_there_are() -> None:
    service = botocore.session.get_session().get_service_model("bedrock-runtime")
    assert set(REASONS["bedrock"]) == set(service.shape_for("StopReason").enum)
    assert set(REASONS["anthropic"]) == set(get_args(BetaStopReason))


@pytest.mark.parametrize(("face", "column", "reason", "stop"), CASES)
def test_a_reason_is_one_that_clients_know(
    face: FaceName, column: Column, reason: str, stop: str
) -> None:
    calls = (ModelsCall("callabc01", "get_weather", {}),) if stop == CALLED else ()
    scene = Scene(text="Good day.", calls=calls, stop=reason)
    for streamed in (False, True):
        call = call_of(face, TOOLS[face], streamed=streamed)
        body = scene.written(column.form, streamed=streamed)
        if stop == SPOILED:
            assert _fails(column, call, body)
        else:
            assert heard(column, call, body).stop == stop


def _fails(column: Column, call: Any, body: bytes) -> bool:
    dialect, target = column.endpoint.dialect_of(call), column.endpoint.target
    if call.stream:
        events = [event.kind for event in stream(dialect, call, [body], target)]
        return EventKind.ERROR in events and EventKind.DONE not in events
    try:
        dialect.decode_answer(call, target, body)
    except BadAnswer:
        return True
    return False
