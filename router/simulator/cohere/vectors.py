"""What Cohere answers without a model that writes: vectors of texts, and an order of texts.

How much a text has to do with a query is the share of the query's words that it holds, so anybody can check
the order; texts with equal shares keep theirs.
"""

import base64
import struct
from typing import Any, Final

from router.simulator.cohere.fields import EmbedFields, RerankFields
from router.simulator.embeddings import DIMENSIONS, SMALL_DIMENSIONS, packed_vector
from router.simulator.usage import text_tokens

_VERSION: Final = {"api_version": {"version": "2"}}


def embed_answer(fields: EmbedFields, *, name: str) -> dict[str, Any]:
    """The vectors of the texts, in every type that was asked for."""
    size = fields.output_dimension or DIMENSIONS.get(fields.model, SMALL_DIMENSIONS)
    packed = [packed_vector(text, size) for text in fields.texts]
    counted = sum(text_tokens(text) for text in fields.texts)
    return {
        "id": f"sim-{name}",
        "embeddings": {kind: [_of_kind(one, kind) for one in packed] for kind in _kinds(fields)},
        "texts": fields.texts,
        "meta": {**_VERSION, "billed_units": {"input_tokens": counted}},
        "response_type": "embeddings_by_type",
    }


def rerank_answer(fields: RerankFields, *, name: str) -> dict[str, Any]:
    """The texts' places in the order of their relevance."""
    wanted = set(fields.query.lower().split())
    scores = [_share(wanted, text) for text in fields.documents]
    order = sorted(range(len(scores)), key=lambda place: -scores[place])[: fields.top_n]
    return {
        "id": f"sim-{name}",
        "results": [{"index": place, "relevance_score": scores[place]} for place in order],
        "meta": {**_VERSION, "billed_units": {"search_units": 1}},
    }


def _kinds(fields: EmbedFields) -> list[str]:
    return list(fields.embedding_types) or ["float"]


def _of_kind(packed: bytes, kind: str) -> str | list[float] | list[int]:
    if kind == "base64":
        return base64.b64encode(packed).decode()
    values = struct.unpack(f"<{len(packed) // 4}f", packed)
    match kind:
        case "float":
            return list(values)
        case "int8":
            return [round(127 * value) for value in values]
        case "uint8":
            return [round(127 * value) + 128 for value in values]
        case _:
            bits = "".join("1" if value > 0 else "0" for value in values)
            offset = 128 if kind == "binary" else 0
            starts = range(0, len(bits), 8)
            return [int(bits[at : at + 8].ljust(8, "0"), 2) - offset for at in starts]


def _share(wanted: set[str], text: str) -> float:
    return len(wanted & set(text.lower().split())) / max(len(wanted), 1)
