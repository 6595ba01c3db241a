"""The fields of Google's requests: all there are, since any other is refused.

Names are in camel case alone; the real service reads those with underscores too.
"""

from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from router.simulator.gemini.error import invalid, invalid_body

Probability = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Penalty = Annotated[float, msgspec.Meta(ge=-2.0, lt=2.0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Seed = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]
Json = dict[str, Any]


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """Takes no field that it does not know."""


class Blob(Strict, frozen=True, kw_only=True):
    """Media in the request itself, in base64."""

    mime_type: str
    data: str
    display_name: str | None = None


class FileData(Strict, frozen=True, kw_only=True):
    """Media that the provider fetches."""

    file_uri: str
    mime_type: str | None = None
    display_name: str | None = None


class FunctionCall(Strict, frozen=True, kw_only=True):
    """A call of a function."""

    name: str
    args: Json | None = None
    id: str | None = None


class FunctionResponse(Strict, frozen=True, kw_only=True):
    """What a function answered."""

    name: str = ""
    response: Json
    id: str | None = None
    parts: list[Json] | None = None
    will_continue: bool | None = None
    scheduling: str | None = None


class Part(Strict, frozen=True, kw_only=True):
    """One of the kinds of content, with what is noted about it."""

    text: str | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    executable_code: Json | None = None
    code_execution_result: Json | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    video_metadata: Json | None = None
    media_resolution: Json | None = None
    part_metadata: Json | None = None


class Content(Strict, frozen=True, kw_only=True):
    """One turn."""

    parts: list[Part] = []
    role: str | None = None


class FunctionDeclaration(Strict, frozen=True, kw_only=True):
    """A function that may be called; its parameters in one of two kinds of schema."""

    name: str
    description: str = ""
    parameters: Json | None = None
    parameters_json_schema: Any = None
    response: Json | None = None
    response_json_schema: Any = None
    behavior: str | None = None


class Tool(Strict, frozen=True, kw_only=True):
    """Functions, or a tool of Google's own."""

    function_declarations: list[FunctionDeclaration] = []
    google_search: Json | None = None
    google_search_retrieval: Json | None = None
    google_maps: Json | None = None
    code_execution: Json | None = None
    url_context: Json | None = None
    computer_use: Json | None = None
    file_search: Json | None = None


class FunctionCallingConfig(Strict, frozen=True, kw_only=True):
    """How functions are to be called."""

    mode: Literal["MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"] = "MODE_UNSPECIFIED"
    allowed_function_names: list[str] = []


class ToolConfig(Strict, frozen=True, kw_only=True):
    """How tools are to be used."""

    function_calling_config: FunctionCallingConfig | None = None
    retrieval_config: Json | None = None


class ThinkingConfig(Strict, frozen=True, kw_only=True):
    """Whether and how much to think."""

    include_thoughts: bool = False
    thinking_budget: int | None = None
    thinking_level: Literal["MINIMAL", "LOW", "MEDIUM", "HIGH"] | None = None


class GenerationConfig(Strict, frozen=True, kw_only=True):
    """The form of the answer and the way to it."""

    stop_sequences: Annotated[list[str], msgspec.Meta(max_length=5)] = []
    response_mime_type: Literal["text/plain", "application/json", "text/x.enum"] = "text/plain"
    response_schema: Json | None = None
    response_json_schema: Any = None
    response_modalities: list[str] | None = None
    candidate_count: Annotated[int, msgspec.Meta(ge=1, le=8)] = 1
    max_output_tokens: Positive | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0.0, le=2.0)] | None = None
    top_p: Probability | None = None
    top_k: Positive | None = None
    seed: Seed | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    response_logprobs: bool | None = None
    logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    thinking_config: ThinkingConfig | None = None
    media_resolution: str | None = None
    speech_config: Json | None = None
    image_config: Json | None = None


class SafetySetting(Strict, frozen=True, kw_only=True):
    """What is to be blocked."""

    category: str
    threshold: str


class GenerateFields(Strict, frozen=True, kw_only=True):
    """A request for an answer."""

    contents: list[Content] = []
    system_instruction: Content | None = None
    tools: list[Tool] = []
    tool_config: ToolConfig | None = None
    generation_config: GenerationConfig = GenerationConfig()
    safety_settings: list[SafetySetting] = []
    cached_content: str | None = None
    service_tier: str | None = None
    store: bool | None = None

    @property
    def functions(self) -> list[FunctionDeclaration]:
        """All functions that may be called."""
        return [one for tool in self.tools for one in tool.function_declarations]


class EmbedRequest(Strict, frozen=True, kw_only=True):
    """One text to embed."""

    model: str
    content: Content
    output_dimensionality: Annotated[int, msgspec.Meta(ge=1, le=16_384)] | None = None
    task_type: str | None = None
    title: str | None = None


class EmbedFields(Strict, frozen=True, kw_only=True):
    """A batch of texts to embed."""

    requests: Annotated[list[EmbedRequest], msgspec.Meta(min_length=1, max_length=100)]


GENERATE: Final = msgspec.json.Decoder(GenerateFields)
EMBED: Final = msgspec.json.Decoder(EmbedFields)
T = TypeVar("T")


def decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Read a body; raises Refusal naming the field that does not fit."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise invalid_body(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid(f"Invalid JSON payload received. {error}") from error
