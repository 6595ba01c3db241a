"""A request in the middle: a conversation, what may be done in it, and how the answer is wanted.

Content is a list of parts. Each role may hold those that make sense for it; a dialect that cannot say one
of them refuses or drops it by its own rules. Texts are whole strings, JSON of others (schemas, arguments)
stays in its own bytes as `msgspec.Raw`.
"""

from typing import Literal

import msgspec

Role = Literal["user", "assistant"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class CacheMark(msgspec.Struct, frozen=True):
    """The prompt up to here is worth caching; `ttl` as the client wrote it, such as `5m` or `1h`."""

    ttl: str | None = None


class Text(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Text that was said."""

    text: str
    cache: CacheMark | None = None


class Media(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """An image, a sound or a file, by its bytes or by where it lies.

    `data` is base64 without line breaks; exactly one of `data`, `url` and `file_id` is set. `media_type` is
    set with `data`. `detail` is OpenAI's word for how closely to look at an image.
    """

    kind: Literal["image", "audio", "file"]
    data: str | None = None
    media_type: str | None = None
    url: str | None = None
    file_id: str | None = None
    name: str | None = None
    detail: str | None = None
    cache: CacheMark | None = None


class ToolCall(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The model calls a function. `arguments` is JSON of an object, `{}` for none.

    `signature` is what the provider gave along and wants back with the call in the next turn.
    """

    id: str
    name: str
    arguments: str = "{}"
    signature: str | None = None
    cache: CacheMark | None = None


class ToolResult(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """What a called function returned. `name` is that of the call, found by its id."""

    call_id: str
    name: str
    parts: tuple["Text | Media", ...] = ()
    is_error: bool = False
    cache: CacheMark | None = None


class Reasoning(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """What the model thought. It must go back as it came: `signature` proves it to its provider.

    `redacted` is thinking that only the provider can read, and then there is no text.
    """

    text: str = ""
    signature: str | None = None
    redacted: str | None = None
    id: str | None = None


class Refusal(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The model said that it will not answer."""

    text: str


Part = Text | Media | ToolCall | ToolResult | Reasoning | Refusal


class Turn(msgspec.Struct, frozen=True):
    """What one side said in a row. Tool results are the user's; turns of one role may follow each other."""

    role: Role
    parts: tuple[Part, ...]


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A function that the model may call. `parameters` is its JSON schema, always that of an object."""

    name: str
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw(b'{"type":"object","properties":{}}')
    strict: bool | None = None
    cache: CacheMark | None = None


class ToolChoice(msgspec.Struct, frozen=True):
    """`named` names the one function that must be called."""

    mode: Literal["auto", "none", "required", "named"]
    name: str | None = None


class OutputFormat(msgspec.Struct, frozen=True, kw_only=True):
    """What the answer's text must be: any JSON object, or one that a JSON schema describes."""

    kind: Literal["json_object", "json_schema"]
    name: str = "answer"
    schema: msgspec.Raw | None = None
    strict: bool | None = None
    description: str | None = None


class Thinking(msgspec.Struct, frozen=True, kw_only=True):
    """How much the model should think: an effort or a budget in tokens; neither leaves it to the model.

    `summary`: the client wants to read it, in the words it used for that.
    """

    effort: Effort | None = None
    budget_tokens: int | None = None
    summary: str | None = None


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A whole request. `None`: the client did not say, and the provider's default holds.

    `most_tokens`: the cap of one answer. `choices`: how many answers. `extra`: fields of the client's request
    that no struct here names, by name, in their own JSON; a dialect takes from it what its provider knows.
    """

    system: tuple[Text, ...] = ()
    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_calls: bool | None = None
    most_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    choices: int = 1
    logprobs: int | None = None
    format: OutputFormat | None = None
    thinking: Thinking | None = None
    user: str | None = None
    service_tier: str | None = None
    extra: dict[str, msgspec.Raw] = {}
