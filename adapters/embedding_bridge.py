"""Embeddings of OpenAI's face at an upstream of another dialect.

They need no conversation and no stream, so their bridge is one of its own: texts out, vectors back. Texts
that came as tokens are refused, for another provider's tokens are other words. More texts than a provider
takes at once become several calls, whose answers are put together in order.
"""

import base64
import sys
from array import array
from collections.abc import Sequence
from typing import Final, NoReturn

import msgspec

from adapters.dialect import (
    Answer,
    BadCall,
    Call,
    Classify,
    EncodedRequest,
    Failure,
    Headers,
    StreamDecoder,
    Target,
    Usage,
)
from adapters.middle.embeddings import EmbeddingUpstream, EmbeddingWish
from adapters.openai.client_body import is_absent, read_field

BYTES_PER_TOKEN: Final = 4.0  # for a provider that does not count
_INPUT_TYPES: Final = ("input_type", "task", "task_type")


class _Item(msgspec.Struct):
    embedding: msgspec.Raw
    index: int
    object: str = "embedding"


class _List(msgspec.Struct):
    data: list[_Item]
    model: str


_decode_texts: Final = msgspec.json.Decoder(str | list[str]).decode
_decode_dimensions: Final = msgspec.json.Decoder(int).decode
_decode_input_type: Final = msgspec.json.Decoder(str).decode
_decode_list: Final = msgspec.json.Decoder(_List).decode
_encode: Final = msgspec.json.encode


class EmbeddingBridge:
    """The four verbs for embeddings; `classify` is that of the same provider's other answers."""

    def __init__(self, embeddings: EmbeddingUpstream, classify: Classify) -> None:
        self._embeddings = embeddings
        self._classify = classify

    def encode_request(self, call: Call, target: Target) -> EncodedRequest:
        """Write the call as this provider wants it. Raises `BadCall` for tokens in place of texts."""
        return self._embeddings.encode_embedding(_texts(call), target, _wish(call))

    def pieces(self, call: Call, target: Target) -> Sequence[Call]:
        """Return the calls in which this provider takes the texts of one. Raises `BadCall`."""
        texts, most = _texts(call), self._embeddings.most_texts(target)
        if most is None or len(texts) <= most:
            return [call]
        return [
            msgspec.structs.replace(
                call, fields={**call.fields, "input": msgspec.Raw(_encode(texts[at : at + most]))}
            )
            for at in range(0, len(texts), most)
        ]

    def decode_answer(self, call: Call, target: Target, body: bytes) -> Answer:
        """Read a whole answer; usage that the provider did not tell is estimated. Raises `BadAnswer`."""
        texts = _texts(call)
        found = self._embeddings.decode_embedding(body, expected=len(texts))
        usage = found.usage or _estimate(texts)
        data = [
            {"object": "embedding", "index": index, "embedding": _in_asked_form(call, vector)}
            for index, vector in enumerate(found.vectors)
        ]
        told = {"prompt_tokens": usage.input_tokens, "total_tokens": usage.input_tokens}
        answer = {"object": "list", "data": data, "model": target.served_model, "usage": told}
        return Answer(_encode(answer), usage)

    def stream_decoder(self, call: Call, target: Target) -> StreamDecoder:  # noqa: ARG002 - the protocol's
        """Refuse: embeddings come whole. Raises `BadCall`."""
        _refuse_stream()

    def classify_error(
        self, status: int, headers: Headers, body: bytes, *, now_at: float
    ) -> Failure:
        """Say what an error answer means."""
        return self._classify(status, headers, body, now_at=now_at)


def joined(answers: Sequence[Answer]) -> Answer:
    """Return one answer made of those to the pieces of a call, in their order, with the usage of all."""
    if len(answers) == 1:
        return answers[0]
    data: list[_Item] = []
    for answer in answers:
        for item in _decode_list(answer.body).data:
            data.append(msgspec.structs.replace(item, index=len(data)))
    usage = usage_of(answers)
    told = {"prompt_tokens": usage.input_tokens, "total_tokens": usage.input_tokens}
    model = _decode_list(answers[0].body).model
    body = {"object": "list", "data": data, "model": model, "usage": told}
    return Answer(_encode(body), usage)


def usage_of(answers: Sequence[Answer]) -> Usage:
    """Return the usage of the answers to some pieces of a call together."""
    usages = [answer.usage for answer in answers if answer.usage is not None]
    return Usage(
        input_tokens=sum(usage.input_tokens for usage in usages),
        estimated=any(usage.estimated for usage in usages),
    )


def _texts(call: Call) -> Sequence[str]:
    if call.stream:
        _refuse_stream()
    try:
        found = _decode_texts(call.fields["input"])
    except msgspec.DecodeError:
        raise BadCall(
            "This model takes texts only: 'input' must be a string or an array of strings.",
            param="input",
        ) from None
    return [found] if isinstance(found, str) else found


def _wish(call: Call) -> EmbeddingWish:
    given = {name: raw for name, raw in call.fields.items() if not is_absent(call.fields, name)}
    dimensions, input_type = None, None
    if "dimensions" in given:
        words = "an integer"
        dimensions = read_field("dimensions", words, given["dimensions"], _decode_dimensions)
    name = next((name for name in _INPUT_TYPES if name in given), None)
    if name is not None:
        input_type = read_field(name, "a string", given[name], _decode_input_type)
    return EmbeddingWish(dimensions=dimensions, input_type=input_type, extra=given)


def _estimate(texts: Sequence[str]) -> Usage:
    size = sum(len(text.encode()) for text in texts)
    return Usage(input_tokens=max(1, round(size / BYTES_PER_TOKEN)), estimated=True)


def _in_asked_form(call: Call, vector: Sequence[float]) -> Sequence[float] | str:
    if not call.base64_embeddings:
        return vector
    numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()


def _refuse_stream() -> NoReturn:
    raise BadCall("Embeddings are not streamed.", param="stream")
