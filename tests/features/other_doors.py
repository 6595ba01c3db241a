"""Rows of the endpoints beside conversations: embeddings and legacy completions."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from adapters.dialect import Call, Endpoint, FaceName
from adapters.openai.request import decode_call
from tests.dialect_wire import SERVED
from tests.features.clients import request_of
from tests.features.columns import Column
from tests.features.outcomes import REFUSED, Outcome, Said, holds
from tests.features.rows import outcome_of, refusal_of


class OtherEndpoint(msgspec.Struct, frozen=True):
    """A request to another endpoint of OpenAI's, which belongs to the face `chat`."""

    slug: str
    title: str
    endpoint: Endpoint
    fields: Mapping[str, Any]
    found: Mapping[str, Outcome]
    faces: Iterable[FaceName] = ("chat",)

    def outcome(self, face: FaceName, column: Column) -> Outcome:
        return outcome_of(self.found, face, column)

    def prove(self, face: FaceName, column: Column) -> None:
        call = self._call()
        match self.outcome(face, column):
            case Said(words):
                body = request_of(column, call)
                assert holds(body, words), body
            case other:
                assert other is REFUSED
                assert refusal_of(column, call).code == "unsupported_endpoint"

    def _call(self) -> Call:
        body = {"model": SERVED, **self.fields}
        return decode_call(self.endpoint, json.dumps(body).encode())


_TEXTS: Final = {"input": ["one", "two"]}
_EMBEDDING: Final[Mapping[str, Outcome]] = {
    "openai": Said(_TEXTS),
    "anthropic": REFUSED,
    "gemini": Said({"requests": [{"content": {"parts": [{"text": "two"}]}}]}),
    "vertex": Said({"instances": [{"content": "one"}, {"content": "two"}]}),
    "bedrock": REFUSED,
    "cohere": Said({"texts": ["one", "two"]}),
}

OTHER_ENDPOINTS: Final = (
    OtherEndpoint("embeddings", "Embeddings", "embeddings", _TEXTS, _EMBEDDING),
    OtherEndpoint(
        "embedding-dimensions",
        "Embeddings of so many dimensions",
        "embeddings",
        {**_TEXTS, "dimensions": 256},
        {
            **_EMBEDDING,
            "openai": Said({"dimensions": 256}),
            "gemini": Said({"requests": [{"outputDimensionality": 256}]}),
            "mistral": Said({"output_dimension": 256}),
            "vertex": Said({"parameters": {"outputDimensionality": 256}}),
            "cohere": Said({"output_dimension": 256}),
        },
    ),
    OtherEndpoint(
        "completions",
        "Legacy completions",
        "completions",
        {"prompt": "Once"},
        {
            "openai": Said({"prompt": "Once"}),
            "anthropic": REFUSED,
            "gemini": REFUSED,
            "bedrock": REFUSED,
            "cohere": REFUSED,
        },
    ),
)
