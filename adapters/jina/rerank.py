"""Rankings of Jina's models, and of others that took over its form: vLLM, Together, Fireworks and more.

The documents themselves are not sent back, as the gateway has them. Usage is told in tokens, of all that was
read. Source: "Reranker" in Jina's API reference.
"""

from typing import Annotated, Final

import msgspec

from adapters.dialect import BadAnswer, EncodedRequest, Target, Usage
from adapters.middle.rerank import Ranked, Ranking, RankingWish, best_first, unreadable
from adapters.openai.error import classify_object
from adapters.openai.foreign import FALSY, NULL, UNREADABLE, check_utf8

_Count = Annotated[int, msgspec.Meta(ge=0)]


class _Usage(msgspec.Struct):
    prompt_tokens: _Count | None = None
    total_tokens: _Count | None = None


class _Answer(msgspec.Struct):
    results: list[Ranked] | None = None
    usage: _Usage | None = None
    error: msgspec.Raw = NULL


_decode: Final = msgspec.json.Decoder(_Answer).decode
_encode: Final = msgspec.json.encode


def encode_rerank(wish: RankingWish, target: Target) -> EncodedRequest:
    """Write the request for a ranking."""
    body: dict[str, object] = {
        "model": target.upstream_model,
        "query": wish.query,
        "documents": wish.documents,
        "return_documents": False,
        **wish.own("truncate", "truncation"),
    }
    if wish.most is not None:
        body["top_n"] = wish.most
    return EncodedRequest(target.paths["rerank"], target.headers, _encode(body))


def decode_rerank(body: bytes, *, documents: int) -> Ranking:
    """Read a ranking of so many documents. Raises `BadAnswer` for what is none, and for errors."""
    try:
        check_utf8(body)
        answer = _decode(body)
    except UNREADABLE as error:
        raise unreadable(error) from None
    if answer.error not in FALSY:
        raise BadAnswer(classify_object(answer.error))
    if answer.results is None:
        raise unreadable("it has no 'results'")
    told = answer.usage or _Usage()
    tokens = told.prompt_tokens or told.total_tokens
    return Ranking(
        results=best_first(answer.results, documents=documents),
        usage=None if tokens is None else Usage(input_tokens=tokens),
    )
