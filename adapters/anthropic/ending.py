"""The events that end a stream of Anthropic's, written by the gateway."""

from typing import Final

import msgspec

from adapters.anthropic.usage import usage_fields
from adapters.dialect import Usage
from adapters.sse import ServerSentEvent, encode_event

_encode: Final = msgspec.json.encode


def named_event(name: str, **fields: object) -> bytes:
    """Return one event; its name stands before its data and in it."""
    data = _encode({"type": name, **fields})
    return encode_event(ServerSentEvent(data, name.encode()))


def message_end(reason: str, stop_sequence: str | None, usage: Usage | None) -> bytes:
    """Return the event that says why a message ended and what it took."""
    delta = {"stop_reason": reason, "stop_sequence": stop_sequence}
    return named_event("message_delta", delta=delta, usage=usage_fields(usage))
