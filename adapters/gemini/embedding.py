"""Embeddings of Google's models.

The Gemini API takes a batch of texts (`batchEmbedContents`) and Vertex AI a list of instances (`predict`);
which of them is meant, the path says. Vertex AI counts the tokens of each text, the Gemini API those of all,
if any. A batch has at most 100 texts, a list of instances at most 250, and where Vertex AI serves a Gemini
model a single one. Sources: `BatchEmbedContentsRequest` of the Gemini API, "Text embeddings API" of Vertex
AI.
"""

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from adapters.dialect import BadAnswer, EncodedRequest, Failure, FailureKind, Target, Usage
from adapters.gemini.error import classify_object
from adapters.gemini.path import with_model
from adapters.middle.embeddings import ANY, Embeddings, EmbeddingWish
from adapters.middle.purpose import Purpose, in_words
from adapters.openai.foreign import NULL, UNREADABLE, check_utf8

_PREDICT: Final = b":predict"
_MOST_OF_BATCH: Final = 100
_MOST_INSTANCES: Final = 250
_ONE_BY_ONE: Final = "gemini-"
_TASKS: Final[dict[Purpose, str]] = {
    "query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "similarity": "SEMANTIC_SIMILARITY",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}

_Count = Annotated[float, msgspec.Meta(ge=0)]


class _Statistics(msgspec.Struct):
    token_count: _Count | None = None


class _Embedding(msgspec.Struct):
    values: tuple[float, ...]
    statistics: _Statistics | None = None


class _Prediction(msgspec.Struct):
    embeddings: _Embedding


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: _Count | None = None


class _Answer(msgspec.Struct, rename="camel"):
    embeddings: list[_Embedding] | None = None
    predictions: list[_Prediction] | None = None
    usage_metadata: _Usage | None = None
    error: msgspec.Raw = NULL


_decode: Final = msgspec.json.Decoder(_Answer).decode
_encode: Final = msgspec.json.encode


def most_texts(target: Target) -> int:
    """Return how many texts one request may have."""
    if not target.paths["embeddings"].endswith(_PREDICT):
        return _MOST_OF_BATCH
    return 1 if target.upstream_model.startswith(_ONE_BY_ONE) else _MOST_INSTANCES


def encode_embedding(
    texts: Sequence[str], target: Target, wish: EmbeddingWish = ANY
) -> EncodedRequest:
    """Write the request for the vectors of these texts."""
    path = with_model(target.paths["embeddings"], target.upstream_model)
    task = in_words(wish.input_type, _TASKS)
    if path.endswith(_PREDICT):
        body = _instances(texts, wish.dimensions, task)
    else:
        body = _batch(texts, target.upstream_model, wish.dimensions, task)
    return EncodedRequest(path, target.headers, _encode(body))


def decode_embedding(body: bytes, *, expected: int) -> Embeddings:
    """Read the vectors of `expected` texts. Raises `BadAnswer` for any other number, and for errors."""
    try:
        check_utf8(body)
        answer = _decode(body)
    except UNREADABLE as error:
        raise _invalid(f"The provider's answer cannot be read: {error}") from None
    if answer.error != NULL:
        raise BadAnswer(classify_object(answer.error))
    found = answer.embeddings
    if found is None:
        found = [prediction.embeddings for prediction in answer.predictions or ()]
    if len(found) != expected:
        raise _invalid(f"The provider sent {len(found)} embeddings for {expected} texts.")
    return Embeddings(tuple(item.values for item in found), _usage(answer, found))


def _batch(
    texts: Sequence[str], model: str, dimensions: int | None, task: str | None
) -> dict[str, object]:
    name = f"models/{model.removeprefix('models/')}"
    shape: dict[str, object] = {}
    if dimensions is not None:
        shape["outputDimensionality"] = dimensions
    if task is not None:
        shape["taskType"] = task
    return {
        "requests": [
            {"model": name, "content": {"parts": [{"text": text}]}, **shape} for text in texts
        ]
    }


def _instances(texts: Sequence[str], dimensions: int | None, task: str | None) -> dict[str, object]:
    parameters = {} if dimensions is None else {"outputDimensionality": dimensions}
    purpose = {} if task is None else {"task_type": task}
    instances = [{"content": text, **purpose} for text in texts]
    return {"instances": instances, **({"parameters": parameters} if parameters else {})}


def _usage(answer: _Answer, found: Sequence[_Embedding]) -> Usage | None:
    told = answer.usage_metadata.prompt_token_count if answer.usage_metadata else None
    if told is None:
        counts = [item.statistics.token_count if item.statistics else None for item in found]
        known = [count for count in counts if count is not None]
        told = sum(known) if known and len(known) == len(counts) else None
    return None if told is None else Usage(input_tokens=round(told))


def _invalid(message: str) -> BadAnswer:
    return BadAnswer(Failure(kind=FailureKind.INVALID, status=200, message=message))
