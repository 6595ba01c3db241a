"""Rankings of Voyage's models: `top_k` where others say `top_n`, and `data` where others say `results`.

Source: "Rerankers" in Voyage's API reference.
"""

from typing import Annotated, Final

import msgspec

from adapters.dialect import EncodedRequest, Target, Usage
from adapters.middle.rerank import Ranked, Ranking, RankingWish, best_first, unreadable
from adapters.openai.foreign import UNREADABLE, check_utf8

_Count = Annotated[int, msgspec.Meta(ge=0)]


class _Usage(msgspec.Struct):
    total_tokens: _Count | None = None


class _Answer(msgspec.Struct):
    data: list[Ranked]
    usage: _Usage | None = None


_decode: Final = msgspec.json.Decoder(_Answer).decode
_encode: Final = msgspec.json.encode


def encode_rerank(wish: RankingWish, target: Target) -> EncodedRequest:
    """Write the request for a ranking."""
    body: dict[str, object] = {
        "model": target.upstream_model,
        "query": wish.query,
        "documents": wish.documents,
        **wish.own("truncation"),
    }
    if wish.most is not None:
        body["top_k"] = wish.most
    return EncodedRequest(target.paths["rerank"], target.headers, _encode(body))


def decode_rerank(body: bytes, *, documents: int) -> Ranking:
    """Read a ranking of so many documents. Raises `BadAnswer` for what is none."""
    try:
        check_utf8(body)
        answer = _decode(body)
    except UNREADABLE as error:
        raise unreadable(error) from None
    tokens = answer.usage.total_tokens if answer.usage is not None else None
    return Ranking(
        results=best_first(answer.data, documents=documents),
        usage=None if tokens is None else Usage(input_tokens=tokens),
    )
