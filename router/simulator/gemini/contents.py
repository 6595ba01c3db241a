"""The rules of a conversation: roles, parts, and calls with their answers.

A turn of calls follows the user's turn or that of answers, and the turn right after it has as many
answers as it had calls, by the same names. From the third generation on, calls of the current turn
must carry the signature of the thought that led to them. Source: Google's API reference, its guides
to function calling and thought signatures, and the messages of the real service.
"""

import base64
import binascii
from collections import Counter
from collections.abc import Sequence
from typing import Final

from router.simulator.gemini.error import invalid
from router.simulator.gemini.fields import (
    Content,
    FunctionCall,
    FunctionResponse,
    GenerateFields,
    Part,
)
from router.simulator.gemini.model import generation_of
from router.simulator.refusal import Refusal
from router.simulator.signature import is_signature, sign

THOUGHT: Final = "gemini thought"
UNCHECKED: Final = frozenset(
    {"skip_thought_signature_validator", "context_engineering_is_the_way_to_go"}
)
"""Words that Google takes for the signature of a call that another model made."""
_DATA: Final = (
    "text",
    "inline_data",
    "file_data",
    "function_call",
    "function_response",
    "executable_code",
    "code_execution_result",
)


def check_contents(fields: GenerateFields, model: str) -> None:
    """Raise Refusal for a conversation that breaks a rule."""
    if not fields.contents:
        raise invalid("* GenerateContentRequest.contents: contents is not specified")
    for number, content in enumerate(fields.contents):
        place = f"contents[{number}]"
        if content.role not in {"user", "model"}:
            raise invalid("Please use a valid role: user, model.")
        check_parts(content, place)
        _check_side(content, place)
    if fields.system_instruction is not None:
        check_parts(fields.system_instruction, "system_instruction")
    _check_calls(fields.contents)
    if generation_of(model) >= 3:
        _check_signatures(fields.contents)


def check_parts(content: Content, place: str) -> None:
    """Raise Refusal for parts that say nothing, or two things at once."""
    if not content.parts:
        raise invalid(f"* GenerateContentRequest.{place}.parts: contents.parts must not be empty.")
    for number, part in enumerate(content.parts):
        _check_part(part, f"{place}.parts[{number}]")


def calls_of(content: Content) -> list[FunctionCall]:
    """The calls of a turn."""
    return [part.function_call for part in content.parts if part.function_call is not None]


def responses_of(content: Content) -> list[FunctionResponse]:
    """The answers in a turn."""
    found = [part.function_response for part in content.parts]
    return [response for response in found if response is not None]


def _check_part(part: Part, place: str) -> None:
    kinds = [name for name in _DATA if getattr(part, name) is not None]
    if len(kinds) > 1:
        raise invalid(f"{place}: oneof field 'data' is already set. Cannot set '{kinds[1]}'")
    is_empty = not kinds or part.text == ""
    if is_empty and part.thought_signature is None:
        told = "required oneof field 'data' must have one initialized field"
        raise invalid(f"* GenerateContentRequest.{place}.data: {told}")
    if part.inline_data is not None:
        _check_blob(part.inline_data.mime_type, part.inline_data.data, place)
    if part.file_data is not None and not part.file_data.file_uri:
        raise invalid(f"{place}.file_data.file_uri: must not be empty")
    named = part.function_call or part.function_response
    if named is not None and not named.name:
        kind = "function_call" if part.function_call else "function_response"
        raise invalid(f"* GenerateContentRequest.{place}.{kind}.name: Name cannot be empty.")
    signature = part.thought_signature
    if signature is not None and signature not in UNCHECKED and not is_signature(signature):
        raise invalid("Corrupted thought signature.")


def _check_blob(mime_type: str, data: str, place: str) -> None:
    try:
        decoded = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        told = "Base64 decoding failed"
        raise invalid(f"Invalid value at '{place}.inline_data.data' (TYPE_BYTES), {told}") from None
    if not decoded:
        raise invalid(f"{place}.inline_data.data: must not be empty")
    if "/" not in mime_type:
        raise invalid(f"Unsupported MIME type: {mime_type}")


def _check_side(content: Content, place: str) -> None:
    if content.role == "user" and calls_of(content):
        raise invalid(f"{place}: function call parts are the model's")
    if content.role == "model" and responses_of(content):
        raise invalid(f"{place}: function response parts are the user's")


def _check_calls(contents: Sequence[Content]) -> None:
    before: Content | None = None
    for number, content in enumerate(contents):
        called = calls_of(before) if before is not None else []
        if calls_of(content) and (before is None or before.role == "model"):
            told = "Please ensure that function call turn comes immediately after a user turn or"
            raise invalid(f"{told} after a function response turn.")
        if responses_of(content) and not called:
            told = "Please ensure that function response turn comes immediately after a function"
            raise invalid(f"{told} call turn.")
        if called:
            _check_answers(called, responses_of(content))
        if number == len(contents) - 1 and calls_of(content):
            raise _uneven()
        before = content


def _check_answers(calls: Sequence[FunctionCall], answers: Sequence[FunctionResponse]) -> None:
    if len(calls) != len(answers):
        raise _uneven()
    if Counter(call.name for call in calls) != Counter(answer.name for answer in answers):
        told = "the names of function response parts must be those of the function call parts"
        raise invalid(f"Please ensure that {told} of the function call turn.")
    given = {call.id: call.name for call in calls if call.id is not None}
    for answer in answers:
        if answer.id is not None and given.get(answer.id) != answer.name:
            raise invalid(f"The function response with id '{answer.id}' matches no function call.")


def _uneven() -> Refusal:
    told = "the number of function response parts is equal to the number of function call parts"
    return invalid(f"Please ensure that {told} of the function call turn.")


def _check_signatures(contents: Sequence[Content]) -> None:
    """Check the first call of each step since the user last said something of their own."""
    start = max(
        (at for at, one in enumerate(contents) if one.role == "user" and not responses_of(one)),
        default=0,
    )
    for number, content in enumerate(contents):
        calls = [part for part in content.parts if part.function_call is not None]
        for place, part in enumerate(calls):
            _check_bound(part)
            if place == 0 and number > start and part.thought_signature is None:
                name = part.function_call.name if part.function_call else ""
                told = "Function call is missing a thought_signature in functionCall parts. This is"
                more = f"required for tools to work correctly. Function call `{name}`, position {number}."
                raise invalid(f"{told} {more}")


def _check_bound(part: Part) -> None:
    """A signature belongs to the function it came with."""
    signature, call = part.thought_signature, part.function_call
    if signature is None or signature in UNCHECKED or call is None:
        return
    if signature != sign(THOUGHT, call.name):
        raise invalid("Corrupted thought signature.")
