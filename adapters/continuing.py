"""Which answers can be gone on with when their stream breaks, and the call for the rest of one.

The rest is asked for with the client's own request and one more message: the assistant's, holding the text so
far. A model that takes such a *prefill* writes on from its last character. What that is called differs from
face to face; the rules do not.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from adapters.dialect import Beginning, Call, FaceName
from adapters.openai.foreign import FALSY, NULL, UNREADABLE, starts_with

_PLAIN: Final = ("text", None)
_CAPS: Final[Mapping[FaceName, tuple[str, ...]]] = {
    "chat": ("max_tokens", "max_completion_tokens"),
    "messages": ("max_tokens",),
    "responses": ("max_output_tokens",),
}
# The fields that may hold the form of an answer, and under which name; `None`: the field is the form.
_FORMS: Final[Mapping[FaceName, tuple[tuple[str, str | None], ...]]] = {
    "chat": (("response_format", None),),
    "messages": (("output_format", None), ("output_config", "format")),
    "responses": (("text", "format"),),
}
_LOGPROBS: Final = ("logprobs", "top_logprobs")


class _Format(msgspec.Struct):
    type: str | None = None


class _Item(msgspec.Struct):
    """A message, or an item of Responses, which is one where it has no type."""

    type: str | None = None
    role: str | None = None


_decode_format: Final = msgspec.json.Decoder(_Format).decode
_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_item: Final = msgspec.json.Decoder(_Item).decode
_decode_int: Final = msgspec.json.Decoder(int).decode
_encode: Final = msgspec.json.encode


def can_be_continued(call: Call) -> bool:
    """Tell whether the answer to a call could be gone on with if its stream broke in plain text.

    One chat stream of one choice. Not with log probabilities, which would miss those of the seam; nor
    with a structured form, which a model keeps only from the start.
    """
    return (
        call.stream
        and call.endpoint == "chat"
        and call.choices == 1
        and call.beginning is None
        and all(call.fields.get(name, NULL) in FALSY for name in _LOGPROBS)
        and all(_is_free_text(call.fields, *place) for place in _FORMS[call.face])
    )


def continue_call(call: Call, beginning: Beginning) -> Call | None:
    """Return the call for the rest of an answer, `None` where nobody should be asked for it.

    A conversation that ends with the assistant's own words is left alone: whether the first provider
    went on with them or answered them cannot be known. So is an answer that has used up its token limit.
    """
    fields = dict(call.fields)
    for name in _CAPS[call.face]:
        if fields.get(name, NULL) != NULL:
            left = _decode_int(fields[name]) - beginning.output_tokens
            if left < 1:
                return None
            fields[name] = msgspec.Raw(_encode(left))
    said = fields["input" if call.face == "responses" else "messages"]
    try:
        if not starts_with(said, b'"') and _is_assistants(_decode_list(said)[-1]):
            return None
    except UNREADABLE:
        return None
    return msgspec.structs.replace(call, fields=fields, keeps_beginning=False, beginning=beginning)


def _is_assistants(raw: msgspec.Raw) -> bool:
    item = _decode_item(raw)
    return item.role == "assistant" and item.type in {None, "message"}


def _is_free_text(fields: Mapping[str, msgspec.Raw], name: str, inside: str | None) -> bool:
    form = fields.get(name, NULL)
    try:
        if inside is not None and form != NULL:
            form = _decode_fields(form).get(inside, NULL)
        return form == NULL or _decode_format(form).type in _PLAIN
    except UNREADABLE:
        return False
