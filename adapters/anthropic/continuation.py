"""Going on with an answer that broke off, where client and provider both speak Messages.

The request is the client's own, in its own bytes, with the text so far as its last message. The rest is read
by way of the middle, since its events have to join on to those that the client has: their blocks are counted
from there, and the message neither begins nor is counted twice.
"""

import msgspec

from adapters.anthropic import request
from adapters.anthropic.face import MessagesFace
from adapters.anthropic.upstream import AnthropicUpstream
from adapters.bridge import Bridge
from adapters.dialect import Answer, Call, EncodedRequest, Failure, Headers, StreamDecoder, Target
from adapters.middle.rest import prefill_of
from adapters.openai.continuation import with_prefill

_encode = msgspec.json.encode


class MessagesContinuation:
    """The four verbs for the rest of an answer (see `adapters.dialect.Dialect`)."""

    def __init__(self) -> None:
        self._bridge = Bridge(MessagesFace(), AnthropicUpstream(), continues=True)

    def encode_request(self, call: Call, target: Target) -> EncodedRequest:
        """Write the call, the text so far being its last message."""
        prefill = "" if call.beginning is None else prefill_of(call.beginning)
        if prefill:
            text = msgspec.Raw(_encode(prefill))
            messages = with_prefill(call.fields["messages"], text, marked=False)
            call = msgspec.structs.replace(call, fields={**call.fields, "messages": messages})
        return request.encode_request(call, target)

    def decode_answer(self, call: Call, target: Target, body: bytes) -> Answer:
        """Read a whole answer. Raises `BadAnswer`."""
        return self._bridge.decode_answer(call, target, body)

    def stream_decoder(self, call: Call, target: Target) -> StreamDecoder:
        """Return a fresh decoder for the rest of the stream."""
        return self._bridge.stream_decoder(call, target)

    def classify_error(
        self, status: int, headers: Headers, body: bytes, *, now_at: float
    ) -> Failure:
        """Say what an error answer means."""
        return self._bridge.classify_error(status, headers, body, now_at=now_at)
