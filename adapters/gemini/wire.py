"""What is read of Gemini's answers: a whole one and each chunk of a stream have the same form.

Only what the middle can say is decoded. Source: `GenerateContentResponse` of the Gemini API and Vertex AI.
"""

from typing import Final

import msgspec

from adapters.openai.foreign import NULL


class FunctionCall(msgspec.Struct, frozen=True):
    """A call; `args` is an object, absent where the function takes none."""

    name: str = ""
    id: str | None = None
    args: msgspec.Raw = NULL


class Part(msgspec.Struct, frozen=True, rename="camel"):
    """One part: text, a thought (text with a mark), or a call; each may be signed."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None


class Content(msgspec.Struct, frozen=True):
    """What a candidate says; without parts where it was stopped before it said anything."""

    parts: list[Part] | None = None


class Candidate(msgspec.Struct, frozen=True, rename="camel"):
    """One answer, or what a chunk adds to it."""

    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    index: int | None = None


class PromptFeedback(msgspec.Struct, frozen=True, rename="camel"):
    """Why there is no answer."""

    block_reason: str | None = None
    block_reason_message: str | None = None


class Response(msgspec.Struct, frozen=True, rename="camel"):
    """A whole answer, or a chunk of one. `create_time` is given by Vertex AI only."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: msgspec.Raw = NULL
    response_id: str | None = None
    create_time: str | None = None
    error: msgspec.Raw = NULL


decode_response: Final = msgspec.json.Decoder(Response).decode
