"""The fields a provider reads from a request, and its checks of them.

Only what changes the answer is declared; the rest of the body is ignored, as unknown fields must
be. Null counts as absent everywhere, because SDK wrappers send it. Checks of one field stand in
its type; checks between fields are functions below.
"""

from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from router.simulator.behaviour import Behaviour, Positive
from router.simulator.refusal import Refusal, refusal_of

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
Choices = Annotated[int, msgspec.Meta(ge=1, le=128)]
Temperature = Annotated[float, msgspec.Meta(ge=0.0, le=2.0)]
Probability = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Dimensions = Annotated[int, msgspec.Meta(ge=1, le=16_384)]
Stop = Annotated[list[str], msgspec.Meta(max_length=4)]
Input = str | list[int]
"""One text, or one text as token numbers."""


class Message(msgspec.Struct, frozen=True):
    """One turn; content parts stay untyped, for providers keep adding kinds of them."""

    role: Role
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


class Function(msgspec.Struct, frozen=True):
    """A function the model may call; `parameters` is a JSON schema."""

    name: str
    parameters: dict[str, Any] | None = None


class Tool(msgspec.Struct, frozen=True):
    """A tool offered to the model; only functions are ever called here."""

    type: str
    function: Function | None = None


class StreamOptions(msgspec.Struct, frozen=True):
    """How a stream should be told."""

    include_usage: bool | None = None


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """What chat and legacy completions have in common."""

    model: str
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Positive | None = None
    n: Choices | None = None
    stop: str | Stop | None = None
    seed: int | None = None
    temperature: Temperature | None = None
    top_p: Probability | None = None
    simulate: Behaviour | None = None


class ChatFields(Sampling, frozen=True, kw_only=True):
    """A chat completion request."""

    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    max_completion_tokens: Positive | None = None
    tools: list[Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    response_format: dict[str, Any] | None = None


class CompletionFields(Sampling, frozen=True, kw_only=True):
    """A legacy completion request."""

    prompt: str | list[Any]
    logprobs: Annotated[int, msgspec.Meta(ge=0, le=5)] | None = None


class EmbeddingFields(msgspec.Struct, frozen=True):
    """An embedding request."""

    model: str
    input: str | list[Any]
    dimensions: Dimensions | None = None
    encoding_format: Literal["float", "base64"] | None = None


class Orders(msgspec.Struct, frozen=True):
    """The one field that every request may carry."""

    simulate: Behaviour | None = None


CHAT: Final = msgspec.json.Decoder(ChatFields)
COMPLETION: Final = msgspec.json.Decoder(CompletionFields)
EMBEDDING: Final = msgspec.json.Decoder(EmbeddingFields)
_ORDERS: Final = msgspec.json.Decoder(Orders)
T = TypeVar("T")


def decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Read a body; raises Refusal naming the field that does not fit."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise refusal_of(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"The body of the request is not valid JSON: {error}."
        raise Refusal(400, message, code="invalid_json") from error


def ordered_behaviour(body: bytes) -> Behaviour | None:
    """What the body's `simulate` field orders; raises Refusal if that field is wrong.

    Whatever else is wrong with the body is left for later: a planned fault must strike whether or
    not the request makes sense.
    """
    try:
        return _ORDERS.decode(body).simulate
    except msgspec.ValidationError as error:
        refusal = refusal_of(error)
        if str(refusal.error["param"]).startswith("simulate"):
            raise refusal from error
        return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def check_sampling(fields: Sampling) -> None:
    """Raise Refusal for options of streams where there is no stream."""
    if fields.stream_options is not None and not fields.stream:
        raise Refusal(
            400,
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
        )


def check_chat(fields: ChatFields) -> None:
    """Raise Refusal for fields that need another field which is missing."""
    check_sampling(fields)
    if fields.tools is None:
        for name in ("tool_choice", "parallel_tool_calls"):
            if getattr(fields, name) is not None:
                message = f"'{name}' is only allowed when 'tools' are specified."
                raise Refusal(400, message, param=name)
    if fields.top_logprobs is not None and not fields.logprobs:
        message = "'top_logprobs' is only allowed when 'logprobs' is true."
        raise Refusal(400, message, param="top_logprobs")


def inputs(value: str | list[Any], *, param: str) -> list[Input]:
    """The separate inputs of a field that takes a text, texts, token numbers, or several of those.

    Raises Refusal for an empty list or a mixture.
    """
    if isinstance(value, str):
        return [value]
    if _is_tokens(value):
        return [value]
    if value and (all(isinstance(one, str) for one in value) or all(map(_is_tokens, value))):
        return value
    message = f"'{param}' must be a string, a list of strings, or a list of token numbers."
    raise Refusal(400, message, param=param, code="invalid_type")


def _is_tokens(value: object) -> bool:
    # JSON's true is an int in Python, and no token.
    return isinstance(value, list) and bool(value) and all(type(one) is int for one in value)
