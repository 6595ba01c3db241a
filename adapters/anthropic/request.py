"""Requests in Anthropic's dialect: read from a client, and passed on where the upstream speaks it too.

Every field keeps its own bytes but the model's name, the cap where the caller's means are less, and messages
that hold what another model thought.
Source of the fields: Anthropic's API reference, "Create a Message".
"""

from typing import Any, Final

import msgspec

from adapters.anthropic.foreign_thoughts import without_foreign_thoughts
from adapters.anthropic.version import with_passed, with_version
from adapters.dialect import BadCall, Call, EncodedRequest, Headers, Target
from adapters.openai.client_body import is_absent, read_field, read_model, read_object
from adapters.openai.rewrite import name_field

# What the documented fields must look like: the JSON type in words, and the type that reads it.
_FORMS: Final[dict[str, tuple[str, Any]]] = {
    "messages": ("an array of messages", list[dict[str, msgspec.Raw]]),
    "max_tokens": ("an integer", int),
    "stream": ("a boolean", bool),
    "system": ("a string or an array", str | list[msgspec.Raw]),
    "temperature": ("a number", float),
    "top_p": ("a number", float),
    "top_k": ("an integer", int),
    "stop_sequences": ("an array of strings", list[str]),
    "tools": ("an array", list[msgspec.Raw]),
    "tool_choice": ("an object", dict[str, msgspec.Raw]),
    "thinking": ("an object", dict[str, msgspec.Raw]),
    "metadata": ("an object", dict[str, msgspec.Raw]),
}
_READERS: Final = {
    name: (words, msgspec.json.Decoder(form).decode) for name, (words, form) in _FORMS.items()
}

_encode: Final = msgspec.json.encode


def decode_call(
    body: bytes, *, request_id: str = "", asked_at: int = 0, passed_headers: Headers = ()
) -> Call:
    """Read the body of a client's `/v1/messages`, for a call of this id, time and headers (see `Call`).

    Raises `BadCall` naming the field.
    """
    fields, values = _read(body, required=("messages", "max_tokens"))
    if values["max_tokens"] < 0:
        raise BadCall("max_tokens: must not be negative", param="max_tokens")
    return Call(
        endpoint="chat",
        face="messages",
        model=read_model(fields),
        fields=fields,
        request_id=request_id,
        asked_at=asked_at,
        passed_headers=passed_headers,
        stream=values.get("stream", False),
        include_usage=True,
        output_cap=values["max_tokens"],
    )


def decode_count(body: bytes) -> str:
    """Read the body of a client's `/v1/messages/count_tokens`; return its model. Raises `BadCall`."""
    fields, _ = _read(body, required=("messages",))
    return read_model(fields)


def encode_request(call: Call, target: Target) -> EncodedRequest:
    """Write the call for an upstream of the same dialect: its own model name, all else as it came."""
    fields = dict(call.fields)
    fields["model"] = name_field(target.upstream_model)
    fields["messages"] = without_foreign_thoughts(fields["messages"])
    if call.output_limit is not None:
        fields["max_tokens"] = msgspec.Raw(_encode(call.output_limit))
    passed = with_passed(target.headers, call.passed_headers, betas=target.betas)
    headers = with_version(passed)
    return EncodedRequest(target.paths[call.endpoint], headers, _encode(fields))


def _read(
    body: bytes, *, required: tuple[str, ...]
) -> tuple[dict[str, msgspec.Raw], dict[str, Any]]:
    fields = read_object(body)
    values = {
        name: read_field(name, words, fields[name], reader)
        for name, (words, reader) in _READERS.items()
        if not is_absent(fields, name)
    }
    for name in required:
        if name not in values:
            raise BadCall(f"{name}: Field required", param=name)
    if not values["messages"]:
        raise BadCall("messages: at least one message is required", param="messages")
    return fields, values
