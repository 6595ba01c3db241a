"""The body of a client's `/v1/responses`, as far as it is read before a provider is chosen.

What the gateway could only do if it remembered responses is refused here, before anything is reserved.
"""

from typing import Any, Final

import msgspec

from adapters.dialect import BadCall, Call
from adapters.openai.client_body import is_absent, read_field, read_model, read_object
from adapters.openai.foreign import EMPTY

# What the documented fields must look like: the JSON type in words, and the type that reads it.
_FORMS: Final[dict[str, tuple[str, Any]]] = {
    "input": ("a string or an array of items", str | list[dict[str, msgspec.Raw]]),
    "instructions": ("a string", str),
    "stream": ("a boolean", bool),
    "store": ("a boolean", bool),
    "background": ("a boolean", bool),
    "max_output_tokens": ("an integer", int),
    "temperature": ("a number", float),
    "top_p": ("a number", float),
    "tools": ("an array", list[msgspec.Raw]),
    "tool_choice": ("a string or an object", str | dict[str, msgspec.Raw]),
    "text": ("an object", dict[str, msgspec.Raw]),
    "reasoning": ("an object", dict[str, msgspec.Raw]),
    "metadata": ("an object of strings", dict[str, str]),
    "include": ("an array of strings", list[str]),
}
_READERS: Final = {
    name: (words, msgspec.json.Decoder(form).decode) for name, (words, form) in _FORMS.items()
}
_WANTING_MEMORY: Final = {
    "previous_response_id": "No response is stored here, so there is none to go on from: "
    "send the whole conversation in 'input'",
    "conversation": "No conversation is stored here: send all of it in 'input'",
    "prompt": "No prompts are stored here: send its text in 'instructions' and 'input'",
    "context_management": "Nothing is stored or compacted here: send what the model is to read",
}


def decode_call(body: bytes, *, request_id: str = "", asked_at: int = 0) -> Call:
    """Read the body of a client's `/v1/responses`, for a call of this id and time (see `Call`).

    Raises `BadCall` naming the field.
    """
    fields = read_object(body)
    for name, said in _WANTING_MEMORY.items():
        if fields.get(name, EMPTY[0]) not in EMPTY:
            raise BadCall(f"{said}.", param=name, code="unsupported_parameter")
    values = {
        name: read_field(name, words, fields[name], reader)
        for name, (words, reader) in _READERS.items()
        if not is_absent(fields, name)
    }
    if values.get("background"):
        raise BadCall(
            "A response cannot be made in the background, for it is stored nowhere.",
            param="background",
            code="unsupported_parameter",
        )
    if not values.get("input"):
        raise BadCall("Missing required parameter: 'input'.", param="input")
    cap = values.get("max_output_tokens")
    if cap is not None and cap < 1:
        raise BadCall("'max_output_tokens' must be at least 1.", param="max_output_tokens")
    return Call(
        endpoint="chat",
        face="responses",
        model=read_model(fields),
        fields=fields,
        request_id=request_id,
        asked_at=asked_at,
        stream=values.get("stream", False),
        include_usage=True,
        output_cap=cap,
    )
