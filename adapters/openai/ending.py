"""Ending a stream before its provider does: the chunks that a client then gets instead.

They repeat what all chunks of the stream share (`id`, `created`, `model` and the like), taken from the last
one that was sent, so that to the client it is one stream which reached its cap.
"""

from typing import Final

import msgspec

from adapters.dialect import ToldError, Usage
from adapters.openai.foreign import NULL
from adapters.sse import ServerSentEvent, encode_event

_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode: Final = msgspec.json.encode
_SHARED: Final = ("id", "object", "created", "model", "system_fingerprint", "service_tier")


def ending_chunk(last: bytes, index: int, *, is_chat: bool) -> bytes:
    """Return the chunk that ends a choice with `length`; `last` is a chunk of the same stream."""
    said: dict[str, object] = {"delta": {}} if is_chat else {"text": ""}
    choice = {"index": index, **said, "logprobs": NULL, "finish_reason": "length"}
    return _encode({**_shared(last), "choices": [choice]})


def usage_chunk(last: bytes, usage: Usage) -> bytes:
    """Return the chunk that tells the usage of a whole stream."""
    told = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    return _encode({**_shared(last), "choices": [], "usage": told})


def error_event(error: ToldError) -> bytes:
    """Return the event that tells of an error; clients raise it, whatever else has come."""
    told = {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    return encode_event(ServerSentEvent(_encode({"error": told})))


def _shared(last: bytes) -> dict[str, msgspec.Raw]:
    fields = _decode_fields(last)
    return {name: fields[name] for name in _SHARED if name in fields}
