"""The fields of Cohere's requests: all there are, since any other is refused.

Source: "Chat API (v2)", "Embed API (v2)" and "Rerank API (v2)" in Cohere's API reference.
"""

from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from router.simulator.cohere.error import invalid, invalid_body

Json = dict[str, Any]
Fraction = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Count = Annotated[int, msgspec.Meta(ge=0)]
ToolName = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z_][a-zA-Z0-9_-]*$")]


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Takes no field that it does not know."""


class ImageUrl(Strict, frozen=True, kw_only=True):
    """Where an image is, or the image itself in a data URL."""

    url: str
    detail: Literal["auto", "low", "high"] | None = None


class Tagged(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", kw_only=True
):
    """A block of content."""


class TextBlock(Tagged, frozen=True, kw_only=True, tag="text"):
    """Text."""

    text: str


class ImageBlock(Tagged, frozen=True, kw_only=True, tag="image_url"):
    """An image."""

    image_url: ImageUrl


class ThinkingBlock(Tagged, frozen=True, kw_only=True, tag="thinking"):
    """What the model thought."""

    thinking: str


class DocumentBlock(Tagged, frozen=True, kw_only=True, tag="document"):
    """A part of a tool's result."""

    document: Json


class CalledFunction(Strict, frozen=True, kw_only=True):
    """What is called; the arguments are a text that is JSON."""

    name: str
    arguments: str


class ToolCall(Strict, frozen=True, kw_only=True):
    """A call of a tool."""

    id: Annotated[str, msgspec.Meta(min_length=1)]
    function: CalledFunction
    type: Literal["function"]


class Message(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="role", kw_only=True
):
    """One message."""


class SystemMessage(Message, frozen=True, kw_only=True, tag="system"):
    """What the model is to be."""

    content: str | list[TextBlock]


class UserMessage(Message, frozen=True, kw_only=True, tag="user"):
    """What the user says."""

    content: str | list[TextBlock | ImageBlock]


class AssistantMessage(Message, frozen=True, kw_only=True, tag="assistant"):
    """What the model said; `tool_plan` is what it thought before its calls."""

    content: str | list[TextBlock | ThinkingBlock] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_plan: str | None = None
    citations: list[Json] | None = None


class ToolMessage(Message, frozen=True, kw_only=True, tag="tool"):
    """What a tool answered."""

    tool_call_id: str
    content: str | list[TextBlock | DocumentBlock]


AnyMessage = SystemMessage | UserMessage | AssistantMessage | ToolMessage


class Function(Strict, frozen=True, kw_only=True):
    """A function that may be called."""

    name: ToolName
    parameters: Json
    description: str | None = None


class Tool(Strict, frozen=True, kw_only=True):
    """A tool."""

    type: Literal["function"]
    function: Function


class ResponseFormat(Strict, frozen=True, kw_only=True):
    """The form of the answer."""

    type: Literal["text", "json_object"]
    json_schema: Json | None = None


class Thinking(Strict, frozen=True, kw_only=True):
    """Whether and how much to think."""

    type: Literal["enabled", "disabled"]
    token_budget: Annotated[int, msgspec.Meta(ge=1)] | None = None


class ChatFields(Strict, frozen=True, kw_only=True):
    """A request for an answer."""

    model: Annotated[str, msgspec.Meta(min_length=1)]
    messages: list[AnyMessage]
    stream: bool = False
    tools: list[Tool] | None = None
    strict_tools: bool | None = None
    tool_choice: Literal["REQUIRED", "NONE"] | None = None
    documents: list[str | Json] | None = None
    citation_options: Json | None = None
    response_format: ResponseFormat | None = None
    safety_mode: Literal["CONTEXTUAL", "STRICT", "OFF", "NONE"] | None = None
    max_tokens: Count | None = None
    stop_sequences: Annotated[list[str], msgspec.Meta(max_length=5)] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0.0)] | None = None
    seed: Count | None = None
    frequency_penalty: Fraction | None = None
    presence_penalty: Fraction | None = None
    k: Annotated[int, msgspec.Meta(ge=0, le=500)] | None = None
    p: Annotated[float, msgspec.Meta(ge=0.01, le=0.99)] | None = None
    logprobs: bool | None = None
    thinking: Thinking | None = None
    priority: Annotated[int, msgspec.Meta(ge=0, le=999)] | None = None
    raw_prompting: bool | None = None


class EmbedFields(Strict, frozen=True, kw_only=True):
    """A request for vectors."""

    model: Annotated[str, msgspec.Meta(min_length=1)]
    input_type: Literal["search_document", "search_query", "classification", "clustering", "image"]
    texts: Annotated[list[str], msgspec.Meta(min_length=1, max_length=96)]
    embedding_types: list[Literal["float", "int8", "uint8", "binary", "ubinary", "base64"]] = []
    output_dimension: Annotated[int, msgspec.Meta(ge=1, le=16_384)] | None = None
    max_tokens: Count | None = None
    truncate: Literal["NONE", "START", "END"] | None = None
    priority: Annotated[int, msgspec.Meta(ge=0, le=999)] | None = None


class RerankFields(Strict, frozen=True, kw_only=True):
    """A request for an order of texts by what they have to do with a query."""

    model: Annotated[str, msgspec.Meta(min_length=1)]
    query: str
    documents: Annotated[list[str], msgspec.Meta(min_length=1, max_length=10_000)]
    top_n: Annotated[int, msgspec.Meta(ge=1)] | None = None
    max_tokens_per_doc: Annotated[int, msgspec.Meta(ge=1)] | None = None
    priority: Annotated[int, msgspec.Meta(ge=0, le=999)] | None = None


CHAT: Final = msgspec.json.Decoder(ChatFields)
EMBED: Final = msgspec.json.Decoder(EmbedFields)
RERANK: Final = msgspec.json.Decoder(RerankFields)
T = TypeVar("T")


def decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Read a body; raises Refusal naming the field that does not fit."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise invalid_body(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid(f"the body is not valid JSON: {error}") from error
