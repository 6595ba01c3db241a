"""Embeddings: unit vectors drawn from a hash of the input.

The same input always has the same vector, and nothing else is promised: nearness means nothing
here. A shorter vector is the beginning of a longer one brought back to length one, which is how
the real models shorten.
"""

import base64
import hashlib
import math
import struct
from typing import Any, Final

import msgspec

from router.simulator.fields import EmbeddingFields, Input, inputs
from router.simulator.usage import input_tokens

SMALL_DIMENSIONS: Final = 64
DIMENSIONS: Final = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}


def embedding_answer(fields: EmbeddingFields, *, as_floats: bool) -> dict[str, Any]:
    """The answer to an embedding request; raises Refusal for an input of no known form.

    `as_floats` gives number lists even to a client that asked for base64.
    """
    values = inputs(fields.input, param="input")
    size = fields.dimensions or DIMENSIONS.get(fields.model.rpartition("/")[2], SMALL_DIMENSIONS)
    in_base64 = fields.encoding_format == "base64" and not as_floats
    counted = sum(map(input_tokens, values))
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _rendered(value, size, in_base64)}
            for index, value in enumerate(values)
        ],
        "model": fields.model,
        "usage": {"prompt_tokens": counted, "total_tokens": counted},
    }


def packed_vector(value: Input, size: int) -> bytes:
    """The unit vector of an input as little-endian 32 bit floats, the form that base64 carries."""
    seed = msgspec.json.encode(value)
    drawn = struct.unpack(f"<{size}H", hashlib.shake_256(seed).digest(2 * size))
    # Halves keep every component, and so the length, away from zero.
    centred = [number - 32767.5 for number in drawn]
    length = math.sqrt(math.fsum(number * number for number in centred))
    return struct.pack(f"<{size}f", *(number / length for number in centred))


def _rendered(value: Input, size: int, in_base64: bool) -> str | list[float]:  # noqa: FBT001 - one private call
    packed = packed_vector(value, size)
    if in_base64:
        return base64.b64encode(packed).decode()
    return list(struct.unpack(f"<{size}f", packed))
