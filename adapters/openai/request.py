"""Requests in OpenAI's dialect: read from a client, written to an upstream.

Every top-level field keeps its own bytes from the client's body to the upstream's. The gateway reads
the few it needs and checks the form of the documented ones; ranges and everything else are for the
upstream to judge. A field that is `null` counts as absent, as wrappers of older SDKs send it.
Source of the fields: OpenAI's API reference and the product's documentation.
"""

from typing import Any, Final

import msgspec

from adapters.dialect import BadCall, Call, EncodedRequest, Endpoint, Target
from adapters.openai.call_ids import without_thoughts
from adapters.openai.client_body import is_absent, read_field, read_model, read_object
from adapters.openai.continuation import with_prefill
from adapters.openai.foreign import NULL, starts_with
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

# What the documented fields must look like: the JSON type in words, and the type that reads it.
_FORMS: Final[dict[Endpoint, dict[str, tuple[str, Any]]]] = {
    "chat": {
        "messages": ("an array of messages", list[dict[str, msgspec.Raw]]),
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


def decode_call(endpoint: Endpoint, body: bytes) -> Call:
    """Read a client's request body. Raises `BadCall` naming the field and what was expected."""
    fields = read_object(body)
    values = _read_values(endpoint, fields)
    required = _REQUIRED[endpoint]
    if required not in values:
        raise BadCall(f"Missing required parameter: '{required}'.", param=required)
    if endpoint == "chat" and not values["messages"]:
        raise BadCall("'messages' must hold at least one message.", param="messages")
    choices = max(1, values.get("n", 1))
    if endpoint == "completions":
        choices *= _count_prompts(values["prompt"])
    return Call(
        endpoint=endpoint,
        model=read_model(fields),
        fields=fields,
        stream=values.get("stream", False),
        include_usage=values.get("stream_options", {}).get("include_usage") == _TRUE,
        output_cap=_output_cap(endpoint, values),
        choices=choices,
        base64_embeddings=values.get("encoding_format") == "base64",
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
    fields["model"] = msgspec.Raw(_encode(target.upstream_model))
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


def _read_values(endpoint: Endpoint, fields: dict[str, msgspec.Raw]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    readers = _READERS[endpoint]
    for name, raw in fields.items():
        known = readers.get(name)
        if known is not None and raw != NULL:
            values[name] = read_field(name, known[0], raw, known[1])
    return values


def _output_cap(endpoint: Endpoint, values: dict[str, Any]) -> int | None:
    """Return the most tokens of one choice; an embedding has no output at all."""
    if endpoint == "embeddings":
        return 0
    for name in _CAPS:
        cap: int | None = values.get(name)
        if cap is not None and cap >= 0:
            return cap
    return None


def _count_prompts(prompt: str | list[msgspec.Raw]) -> int:
    """Return for how many prompts a legacy completion is: a list of numbers is one prompt of tokens."""
    if not isinstance(prompt, list) or not prompt:
        return 1
    is_tokens = not starts_with(prompt[0], b'"') and not starts_with(prompt[0], b"[")
    return 1 if is_tokens else len(prompt)


def _with_usage(options: msgspec.Raw | None) -> msgspec.Raw:
    if options is None or options == NULL:
        return _INCLUDE_USAGE
    return msgspec.Raw(_encode({**_decode_fields(options), "include_usage": True}))
