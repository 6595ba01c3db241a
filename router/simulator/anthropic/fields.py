"""The fields of Anthropic's requests: all there are, since any other is refused.

Fields of beta features are known too, but need their flag in `anthropic-beta`. Null is refused where
the real service refuses it.
"""

from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from router.simulator.anthropic.blocks import AnyBlock, CacheControl, TextBlock
from router.simulator.anthropic.error import invalid, invalid_body
from router.simulator.behaviour import Behaviour
from router.simulator.counts import SeenRequest

ToolName = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
Fraction = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Takes no field that it does not know."""


class Message(Strict, frozen=True, kw_only=True):
    """One message of a turn."""

    role: Literal["user", "assistant"]
    content: str | list[AnyBlock]


class Tool(Strict, frozen=True, kw_only=True):
    """A tool of the client's own."""

    name: ToolName
    input_schema: dict[str, Any]
    description: str = ""
    type: Literal["custom"] | None = None
    cache_control: CacheControl | None = None
    strict: bool | None = None
    defer_loading: bool | None = None
    eager_input_streaming: bool | None = None
    input_examples: list[dict[str, Any]] | None = None
    allowed_callers: list[str] | None = None


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type"):
    """How tools are to be used."""


class Auto(Choice, frozen=True, tag="auto"):
    """As the model likes."""

    disable_parallel_tool_use: bool = False


class Some(Choice, frozen=True, tag="any"):
    """Some tool."""

    disable_parallel_tool_use: bool = False


class Named(Choice, frozen=True, tag="tool"):
    """This tool."""

    name: str
    disable_parallel_tool_use: bool = False


class NoTool(Choice, frozen=True, tag="none"):
    """No tool."""


Display = Literal["summarized", "omitted"] | None


class Thinking(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type"):
    """Whether and how to think."""


class Enabled(Thinking, frozen=True, tag="enabled"):
    """With so many tokens."""

    budget_tokens: int
    display: Display = None


class Adaptive(Thinking, frozen=True, tag="adaptive"):
    """As much as the question needs."""

    display: Display = None


class Disabled(Thinking, frozen=True, tag="disabled"):
    """Not at all."""


class BetweenTools(Thinking, frozen=True, tag="between_tools"):
    """Only between calls."""


class OutputFormat(Strict, frozen=True, kw_only=True):
    """The form of the answer."""

    type: Literal["json_schema"]
    schema: dict[str, Any]


class OutputConfig(Strict, frozen=True, kw_only=True):
    """Form and effort of the answer."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: OutputFormat | None = None


class Metadata(Strict, frozen=True, kw_only=True):
    """Whose request it is; `simulate` is ours alone."""

    user_id: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    simulate: Behaviour | None = None


class Prompt(Strict, frozen=True, kw_only=True):
    """What is counted as input: all of a request to count tokens, the first part of one to answer."""

    model: Annotated[str, msgspec.Meta(min_length=1)]
    messages: list[Message]
    system: str | list[TextBlock] = ""
    tools: list[Tool] = []
    tool_choice: Auto | Some | Named | NoTool | None = None
    thinking: Enabled | Adaptive | Disabled | BetweenTools | None = None
    output_config: OutputConfig | None = None
    cache_control: CacheControl | None = None
    speed: Literal["standard", "fast"] | None = None
    context_management: dict[str, Any] | None = None
    mcp_servers: list[dict[str, Any]] | None = None


class MessagesFields(Prompt, frozen=True, kw_only=True):
    """A request for an answer."""

    max_tokens: Annotated[int, msgspec.Meta(ge=0)]
    stream: bool = False
    temperature: Fraction | None = None
    top_p: Fraction | None = None
    top_k: Annotated[int, msgspec.Meta(ge=0)] | None = None
    stop_sequences: list[str] = []
    metadata: Metadata = Metadata()
    service_tier: Literal["auto", "standard_only"] | None = None
    container: str | dict[str, Any] | None = None
    inference_geo: str | None = None
    diagnostics: dict[str, Any] | None = None


class _OrderedMetadata(msgspec.Struct, frozen=True):
    simulate: Behaviour | None = None


class _Orders(msgspec.Struct, frozen=True):
    metadata: _OrderedMetadata | None = None


_MESSAGES: Final = msgspec.json.Decoder(MessagesFields)
_PROMPT: Final = msgspec.json.Decoder(Prompt)
_ORDERS: Final = msgspec.json.Decoder(_Orders)
T = TypeVar("T")
P = TypeVar("P", bound=Prompt)
_BETA_FIELDS: Final = {"context_management": "context-management-", "mcp_servers": "mcp-client-"}


def messages_fields(request: SeenRequest) -> MessagesFields:
    """Read a request for an answer; raises Refusal naming the field that does not fit."""
    return _with_flags(_decoded(request.body, _MESSAGES), request)


def prompt_fields(request: SeenRequest) -> Prompt:
    """Read a request to count tokens; raises Refusal naming the field that does not fit."""
    return _with_flags(_decoded(request.body, _PROMPT), request)


def ordered_behaviour(body: bytes) -> Behaviour | None:
    """What `metadata.simulate` orders; raises Refusal if that field is wrong, for no other reason."""
    try:
        metadata = _ORDERS.decode(body).metadata
    except msgspec.ValidationError as error:
        if "`$.metadata.simulate" in str(error):
            raise invalid_body(error) from error
        return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return None if metadata is None else metadata.simulate


def _decoded(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise invalid_body(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid(f"The request body is not valid JSON: {error}") from error


def _with_flags(fields: P, request: SeenRequest) -> P:
    flags = (request.header(b"anthropic-beta") or b"").decode("latin-1")
    for name, flag in _BETA_FIELDS.items():
        if getattr(fields, name) is not None and flag not in flags:
            raise invalid(f"{name}: Extra inputs are not permitted")
    return fields
