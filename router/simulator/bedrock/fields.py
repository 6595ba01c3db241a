"""The fields of a Converse request: all there are, since any other is refused.

The model's own fields (`additionalModelRequestFields`) are whatever the model says; what a Claude says of
them is checked with the other settings. Source: `ConverseRequest` of Bedrock Runtime's service model.
"""

from typing import Annotated, Any, Final, Literal

import msgspec

from router.simulator.bedrock.blocks import (
    Block,
    CachePoint,
    Json,
    Strict,
    SystemBlock,
    ToolName,
)
from router.simulator.bedrock.error import invalid, invalid_body

Fraction = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


class Message(Strict, frozen=True, kw_only=True):
    """One turn."""

    role: Literal["user", "assistant"]
    content: list[Block]


class InferenceConfig(Strict, frozen=True, kw_only=True):
    """The length of the answer, and how to sample it."""

    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    temperature: Fraction | None = None
    top_p: Fraction | None = None
    stop_sequences: Annotated[tuple[str, ...], msgspec.Meta(max_length=2500)] = ()


class InputSchema(Strict, frozen=True, kw_only=True):
    """The schema of a tool's input."""

    json: Json


class ToolSpec(Strict, frozen=True, kw_only=True):
    """A tool of the client's own."""

    name: ToolName
    input_schema: InputSchema
    description: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    strict: bool | None = None


class Tool(Strict, frozen=True, kw_only=True):
    """A tool, or a mark for the cache behind one."""

    tool_spec: ToolSpec | None = None
    system_tool: Json | None = None
    cache_point: CachePoint | None = None


class Nothing(Strict, frozen=True, kw_only=True):
    """An object without members."""


class NamedTool(Strict, frozen=True, kw_only=True):
    """The tool that must be called."""

    name: ToolName


class ToolChoice(Strict, frozen=True, kw_only=True):
    """How tools are to be used."""

    auto: Nothing | None = None
    any: Nothing | None = None
    tool: NamedTool | None = None


class ToolConfig(Strict, frozen=True, kw_only=True):
    """The tools."""

    tools: Annotated[list[Tool], msgspec.Meta(min_length=1)]
    tool_choice: ToolChoice | None = None


class JsonSchema(Strict, frozen=True, kw_only=True):
    """The form of an answer; the schema is a text that is JSON."""

    schema: str
    name: str | None = None
    description: str | None = None


class Structure(Strict, frozen=True, kw_only=True):
    """What describes the form."""

    json_schema: JsonSchema | None = None


class TextFormat(Strict, frozen=True, kw_only=True):
    """The form of an answer's text."""

    type: Literal["json_schema"]
    structure: Structure


class OutputConfig(Strict, frozen=True, kw_only=True):
    """Form and effort of the answer."""

    text_format: TextFormat | None = None
    effort: str | None = None


class ServiceTier(Strict, frozen=True, kw_only=True):
    """How urgent it is."""

    type: Literal["priority", "default", "flex", "reserved"]


class Performance(Strict, frozen=True, kw_only=True):
    """How fast it should be."""

    latency: Literal["standard", "optimized"] | None = None


class ConverseFields(Strict, frozen=True, kw_only=True):
    """A request for an answer."""

    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    system: tuple[SystemBlock, ...] = ()
    inference_config: InferenceConfig = InferenceConfig()
    tool_config: ToolConfig | None = None
    guardrail_config: Json | None = None
    additional_model_request_fields: Json | None = None
    response_field_paths: Annotated[tuple[str, ...], msgspec.Meta(max_length=10)] = msgspec.field(
        default=(), name="additionalModelResponseFieldPaths"
    )
    prompt_variables: Json | None = None
    request_metadata: dict[str, str] | None = None
    performance_config: Performance | None = None
    service_tier: ServiceTier | None = None
    output_config: OutputConfig | None = None

    @property
    def own(self) -> Json:
        """The fields of the model's own."""
        return self.additional_model_request_fields or {}

    @property
    def tools(self) -> list[ToolSpec]:
        """The tools of the client's own."""
        found = self.tool_config.tools if self.tool_config is not None else []
        return [tool.tool_spec for tool in found if tool.tool_spec is not None]

    @property
    def form(self) -> Any:  # noqa: ANN401 - any JSON
        """The schema of the answer's form, None without one."""
        config = self.output_config
        if config is None or config.text_format is None:
            return None
        schema = config.text_format.structure.json_schema
        if schema is None:
            raise invalid("outputConfig.textFormat.structure: jsonSchema is required.")
        try:
            return msgspec.json.decode(schema.schema)
        except msgspec.DecodeError:
            raise invalid("outputConfig.textFormat: the schema is not valid JSON.") from None


_CONVERSE: Final = msgspec.json.Decoder(ConverseFields)


def converse_fields(body: bytes) -> ConverseFields:
    """Read a request; raises Refusal naming the field that does not fit."""
    try:
        return _CONVERSE.decode(body)
    except msgspec.ValidationError as error:
        raise invalid_body(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid(f"The request body is not valid JSON: {error}") from error
