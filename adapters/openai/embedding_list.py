"""A list of embeddings as OpenAI's imitators give it: numbers, in any order, and usage in a few words.

It is for dialects whose requests differ from OpenAI's and whose answers hardly do.
"""

from typing import Annotated, Final

import msgspec

from adapters.dialect import BadAnswer, Failure, FailureKind, Usage
from adapters.middle.embeddings import Embeddings
from adapters.openai.error import classify_object
from adapters.openai.foreign import FALSY, NULL, UNREADABLE, check_utf8

_Count = Annotated[int, msgspec.Meta(ge=0)]


class _Item(msgspec.Struct):
    embedding: tuple[float, ...]
    index: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: _Count | None = None
    total_tokens: _Count | None = None


class _Answer(msgspec.Struct):
    data: list[_Item] | None = None
    usage: _Usage | None = None
    error: msgspec.Raw = NULL


_decode: Final = msgspec.json.Decoder(_Answer).decode


def read_embeddings(body: bytes, *, expected: int) -> Embeddings:
    """Read the vectors of `expected` texts. Raises `BadAnswer` for any other number, and for errors."""
    try:
        check_utf8(body)
        answer = _decode(body)
    except UNREADABLE as error:
        raise _invalid(f"The provider's answer cannot be read: {error}") from None
    if answer.error not in FALSY:
        raise BadAnswer(classify_object(answer.error))
    found = answer.data or []
    places = [at if item.index is None else item.index for at, item in enumerate(found)]
    if sorted(places) != list(range(expected)):
        raise _invalid(f"The provider sent {len(found)} embeddings for {expected} texts.")
    ordered = sorted(zip(places, found, strict=True), key=lambda pair: pair[0])
    told = answer.usage or _Usage()
    tokens = told.prompt_tokens or told.total_tokens
    usage = None if tokens is None else Usage(input_tokens=tokens)
    return Embeddings(tuple(item.embedding for _, item in ordered), usage)


def _invalid(message: str) -> BadAnswer:
    return BadAnswer(Failure(kind=FailureKind.INVALID, status=200, message=message))
