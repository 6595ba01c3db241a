"""Requests in OpenAI's dialect: read from a client, written to an upstream.

Every top-level field keeps its own bytes from the client's body to the upstream's. The gateway reads
the few it needs and checks the form of the documented ones; ranges and everything else are for the
upstream to judge. A field that is `null` counts as absent, as wrappers of older SDKs send it.
Source of the fields: OpenAI's API reference and the product's documentation.
"""

from typing import Any, ClassVar, Final, cast

import msgspec

from adapters.dialect import BadCall, Call, EncodedRequest, Endpoint, Target
from adapters.openai.call_ids import without_thoughts
from adapters.openai.client_body import is_absent, read_field, read_model, read_object
from adapters.openai.continuation import with_prefill
from adapters.openai.foreign import NULL, UNREADABLE, starts_with
from adapters.openai.rewrite import name_field
from adapters.openai.variant import Variant

_TRUE: Final = msgspec.Raw(b"true")
_INCLUDE_USAGE: Final = msgspec.Raw(b'{"include_usage":true}')

_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode: Final = msgspec.json.encode

_CAPS: Final = ("max_completion_tokens", "max_tokens")
_REQUIRED: Final[dict[Endpoint, str]] = {
    "chat": "messages",
    "completions": "prompt",
    "embeddings": "input",
}


class _Message(msgspec.Struct):
    """Any object; what it holds is read where it is needed."""


# What the documented fields must look like: the JSON type in words, and the type that reads it.
_FORMS: Final[dict[Endpoint, dict[str, tuple[str, Any]]]] = {
    "chat": {
        "messages": ("an array of messages", list[_Message]),
        "temperature": ("a number", float),
        "top_p": ("a number", float),
        "max_tokens": ("an integer", int),
        "max_completion_tokens": ("an integer", int),
        "n": ("an integer", int),
        "stream": ("a boolean", bool),
        "stream_options": ("an object", dict[str, msgspec.Raw]),
        "tools": ("an array", list[msgspec.Raw]),
        "tool_choice": ("a string or an object", str | dict[str, msgspec.Raw]),
    },
    "completions": {
        "prompt": ("a string or an array", str | list[msgspec.Raw]),
        "temperature": ("a number", float),
        "top_p": ("a number", float),
        "max_tokens": ("an integer", int),
        "n": ("an integer", int),
        "stream": ("a boolean", bool),
        "stream_options": ("an object", dict[str, msgspec.Raw]),
    },
    "embeddings": {
        "input": ("a string or an array", str | list[msgspec.Raw]),
        "dimensions": ("an integer", int),
        "encoding_format": ("a string", str),
    },
}
_READERS: Final = {
    endpoint: {
        name: (words, msgspec.json.Decoder(form).decode) for name, (words, form) in forms.items()
    }
    for endpoint, forms in _FORMS.items()
}


class _Values(msgspec.Struct):
    """The values of the documented fields, `None` where one is absent, also for want of a field."""

    model: str | None = None
    max_completion_tokens: ClassVar[int | None] = None
    max_tokens: ClassVar[int | None] = None
    n: ClassVar[int | None] = None
    stream: ClassVar[bool | None] = None
    stream_options: ClassVar[dict[str, msgspec.Raw] | None] = None
    encoding_format: ClassVar[str | None] = None


_TYPES: Final[dict[Endpoint, type[_Values]]] = {
    endpoint: cast(
        "type[_Values]",
        msgspec.defstruct(
            f"_{endpoint}",
            [(name, form | None, None) for name, (_, form) in forms.items()],
            bases=(_Values,),
        ),
    )
    for endpoint, forms in _FORMS.items()
}
_READ_AT_ONCE: Final = {
    endpoint: msgspec.json.Decoder(values).decode for endpoint, values in _TYPES.items()
}


def decode_call(
    endpoint: Endpoint, body: bytes, *, request_id: str = "", asked_at: int = 0
) -> Call:
    """Read a client's request body, for a call of this id and time (see `Call`).

    Raises `BadCall` naming the field and what was expected.
    """
    fields = read_object(body)
    try:
        values = _READ_AT_ONCE[endpoint](body)
    except UNREADABLE:
        values = _read_apart(endpoint, fields)
    required = _REQUIRED[endpoint]
    wanted: object = getattr(values, required)
    if wanted is None:
        raise BadCall(f"Missing required parameter: '{required}'.", param=required)
    if endpoint == "chat" and not wanted:
        raise BadCall("'messages' must hold at least one message.", param="messages")
    choices = max(1, values.n or 1)
    if endpoint == "completions":
        choices *= _count_prompts(wanted)
    options = values.stream_options
    return Call(
        endpoint=endpoint,
        model=values.model or read_model(fields),
        fields=fields,
        request_id=request_id,
        asked_at=asked_at,
        stream=values.stream or False,
        include_usage=options is not None and options.get("include_usage") == _TRUE,
        output_cap=0 if endpoint == "embeddings" else _output_cap(values),
        choices=choices,
        base64_embeddings=values.encoding_format == "base64",
    )


def encode_request(call: Call, target: Target, variant: Variant | None = None) -> EncodedRequest:
    """Write the call for an upstream: its own model name, usage asked for, all else as it came.

    An answer that has begun stands last among the messages. Raises `BadCall` for what a `variant` refuses.
    """
    fields = dict(call.fields)
    if call.endpoint == "chat":
        fields["messages"] = without_thoughts(fields["messages"])
    if call.beginning is not None:
        fields["messages"] = with_prefill(
            fields["messages"], call.beginning.text, marked=target.marks_prefill
        )
    if call.output_limit is not None:
        _limit_output(fields, call, target)
    fields["model"] = name_field(target.upstream_model)
    if call.stream and target.stream_usage:
        fields["stream_options"] = _with_usage(fields.get("stream_options"))
    elif not target.stream_usage:
        fields.pop("stream_options", None)
    if variant is not None:
        fields = variant.adapted(call.endpoint, fields)
    return EncodedRequest(target.paths[call.endpoint], target.headers, _encode(fields))


def _limit_output(fields: dict[str, msgspec.Raw], call: Call, target: Target) -> None:
    """Put the caller's means in place of every cap that the client wrote."""
    written = [name for name in _CAPS if not is_absent(fields, name)]
    default = target.cap_field if call.endpoint == "chat" else "max_tokens"
    for name in written or [default]:
        fields[name] = msgspec.Raw(_encode(call.output_limit))


def _read_apart(endpoint: Endpoint, fields: dict[str, msgspec.Raw]) -> _Values:
    """Read field by field what cannot be read at once, to name the one at fault. Raises `BadCall`.

    There may be none: of a field that is told twice the last value counts.
    """
    readers = _READERS[endpoint]
    values = {
        name: read_field(name, readers[name][0], raw, readers[name][1])
        for name, raw in fields.items()
        if name in readers and raw != NULL
    }
    return _TYPES[endpoint](**values)


def _output_cap(values: _Values) -> int | None:
    """Return the most tokens of one choice."""
    for cap in (values.max_completion_tokens, values.max_tokens):
        if cap is not None and cap >= 0:
            return cap
    return None


def _count_prompts(prompt: object) -> int:
    """Return for how many prompts a legacy completion is: a list of numbers is one prompt of tokens."""
    if not isinstance(prompt, list) or not prompt:
        return 1
    is_tokens = not starts_with(prompt[0], b'"') and not starts_with(prompt[0], b"[")
    return 1 if is_tokens else len(prompt)


def _with_usage(options: msgspec.Raw | None) -> msgspec.Raw:
    if options is None or options == NULL:
        return _INCLUDE_USAGE
    return msgspec.Raw(_encode({**_decode_fields(options), "include_usage": True}))
