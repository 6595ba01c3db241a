"""Rankings of Cohere's models.

Most of them are billed by searches (a question over up to a hundred documents), which are told and not turned
into tokens; where tokens are told, they are taken. Source: "Rerank API (v2)" in Cohere's API reference.
"""

from typing import Annotated, Final

import msgspec

from adapters.cohere.usage import read_usage
from adapters.dialect import EncodedRequest, Target
from adapters.middle.rerank import Ranked, Ranking, RankingWish, best_first, unreadable
from adapters.openai.foreign import NULL, UNREADABLE, check_utf8

_Count = Annotated[float, msgspec.Meta(ge=0)]


class _Answer(msgspec.Struct):
    results: list[Ranked]
    meta: msgspec.Raw = NULL


class _Billed(msgspec.Struct):
    search_units: _Count | None = None


class _Meta(msgspec.Struct):
    billed_units: _Billed | None = None


_decode: Final = msgspec.json.Decoder(_Answer).decode
_decode_meta: Final = msgspec.json.Decoder(_Meta | None).decode
_encode: Final = msgspec.json.encode


def encode_rerank(wish: RankingWish, target: Target) -> EncodedRequest:
    """Write the request for a ranking."""
    body: dict[str, object] = {
        "model": target.upstream_model,
        "query": wish.query,
        "documents": wish.documents,
        **wish.own("max_tokens_per_doc", "priority"),
    }
    if wish.most is not None:
        body["top_n"] = wish.most
    return EncodedRequest(target.paths["rerank"], target.headers, _encode(body))


def decode_rerank(body: bytes, *, documents: int) -> Ranking:
    """Read a ranking of so many documents. Raises `BadAnswer` for what is none."""
    try:
        check_utf8(body)
        answer = _decode(body)
    except UNREADABLE as error:
        raise unreadable(error) from None
    return Ranking(
        results=best_first(answer.results, documents=documents),
        usage=read_usage(answer.meta),
        searches=_searches(answer.meta),
    )


def _searches(meta: msgspec.Raw) -> int | None:
    """Return how many searches it took; a strange form tells nothing."""
    try:
        found = _decode_meta(meta)
    except UNREADABLE:
        return None
    billed = found.billed_units if found is not None else None
    units = billed.search_units if billed is not None else None
    return None if units is None else round(units)
