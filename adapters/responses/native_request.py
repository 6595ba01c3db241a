"""A request of Responses for a provider that speaks them: the client's own bytes, with few exceptions.

`model` becomes the provider's name, `store` is false, and a cap is put in where the caller's means are less.
From `input` goes what another provider left there and this one would refuse: reasoning that only its maker
can read, or that was stored nowhere, and the signatures in the ids of calls.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from adapters.dialect import BadCall, Call, EncodedRequest, Target
from adapters.middle.signature import split_signature
from adapters.openai.foreign import UNREADABLE, starts_with
from adapters.openai.rewrite import name_field
from adapters.responses.seal import is_sealed_here

_FALSE: Final = msgspec.Raw(b"false")
_TRACES: Final = (b'"reasoning"', b'"item_reference"', b"__thought__")

_Item = dict[str, msgspec.Raw]


class _View(msgspec.Struct):
    """What tells which items need a change."""

    type: str | None = None
    call_id: str | None = None
    encrypted_content: str | None = None


_decode_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_item: Final = msgspec.json.Decoder(_Item).decode
_decode_view: Final = msgspec.json.Decoder(_View).decode
_encode: Final = msgspec.json.encode


def encode_request(call: Call, target: Target) -> EncodedRequest:
    """Write the call. Raises `BadCall` for an item that is to be found where nothing is stored."""
    fields = dict(call.fields)
    fields["input"] = _understood(fields["input"])
    fields["model"] = name_field(target.upstream_model)
    fields["store"] = _FALSE
    if call.output_limit is not None:
        fields["max_output_tokens"] = msgspec.Raw(_encode(call.output_limit))
    return EncodedRequest(target.paths["responses"], target.headers, _encode(fields))


def _understood(said: msgspec.Raw) -> msgspec.Raw:
    """Return the input without others' traces; the same bytes where there is none."""
    if not starts_with(said, b"[") or not any(trace in bytes(said) for trace in _TRACES):
        return said
    return msgspec.Raw(_encode(list(_kept(_decode_items(said)))))


def _kept(items: list[msgspec.Raw]) -> Iterator[msgspec.Raw]:
    for index, raw in enumerate(items):
        try:
            view = _decode_view(raw)
        except UNREADABLE:
            yield raw  # whatever it is, the provider will say
            continue
        if view.type == "item_reference":
            where = f"input[{index}]"
            told = f"Invalid '{where}': no item is stored here: send the item itself."
            raise BadCall(told, param=where)
        sealed = view.encrypted_content
        if view.type == "reasoning" and (not sealed or is_sealed_here(sealed)):
            continue
        call_id, _ = split_signature(view.call_id or "")
        if call_id == (view.call_id or ""):
            yield raw
        else:
            changed = _decode_item(raw) | {"call_id": msgspec.Raw(_encode(call_id))}
            yield msgspec.Raw(_encode(changed))
