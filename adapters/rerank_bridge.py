"""Rankings: the client's request, and the four verbs for them at an upstream of any dialect.

The client's form is that of Cohere's second version, with what Jina's clients look for beside it: `model` and
`usage` in the answer, and the documents themselves where `return_documents` asks for them.
"""

from typing import Any, Final, NoReturn

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
from adapters.middle.rerank import Ranked, Ranking, RankingWish, RerankUpstream
from adapters.openai.client_body import is_absent, read_field, read_model, read_object

BYTES_PER_TOKEN: Final = 4.0  # for a provider that does not count


class _Document(msgspec.Struct):
    text: str


# What the fields must look like: the JSON type in words, and the type that reads it.
_FORMS: Final[dict[str, tuple[str, Any]]] = {
    "query": ("a string", str),
    "documents": ("an array of strings", list[str | _Document]),
    "top_n": ("an integer", int),
    "return_documents": ("a boolean", bool),
}
_READERS: Final = {
    name: (words, msgspec.json.Decoder(form).decode) for name, (words, form) in _FORMS.items()
}

_encode: Final = msgspec.json.encode


def decode_call(body: bytes, *, request_id: str = "", asked_at: int = 0) -> Call:
    """Read the body of a client's `/v1/rerank`, for a call of this id and time (see `Call`).

    Raises `BadCall` naming the field.
    """
    fields = read_object(body)
    call = Call(
        endpoint="rerank",
        model=read_model(fields),
        fields=fields,
        request_id=request_id,
        asked_at=asked_at,
        output_cap=0,
    )
    _wish(call)
    return call


class RerankBridge:
    """The four verbs for rankings; `classify` is that of the same provider's other answers."""

    def __init__(self, upstream: RerankUpstream, classify: Classify) -> None:
        self._upstream = upstream
        self._classify = classify

    def encode_request(self, call: Call, target: Target) -> EncodedRequest:
        """Write the call as this provider wants it."""
        return self._upstream.encode_rerank(_wish(call), target)

    def decode_answer(self, call: Call, target: Target, body: bytes) -> Answer:
        """Read a whole answer; usage that the provider did not tell is estimated. Raises `BadAnswer`."""
        wish = _wish(call)
        ranking = self._upstream.decode_rerank(body, documents=len(wish.documents))
        usage = ranking.usage or _estimate(wish)
        results = [_result(one, wish, _shows_documents(call)) for one in ranking.results]
        answer = {
            "id": call.request_id,
            "model": target.served_model,
            "results": results[: wish.most],
            "meta": {"api_version": {"version": "2"}, **_meta(ranking, usage)},
            "usage": {"prompt_tokens": usage.input_tokens, "total_tokens": usage.input_tokens},
        }
        return Answer(_encode(answer), usage)

    def stream_decoder(self, call: Call, target: Target) -> StreamDecoder:  # noqa: ARG002 - the protocol's
        """Refuse: a ranking comes whole. Raises `BadCall`."""
        _refuse_stream()

    def classify_error(
        self, status: int, headers: Headers, body: bytes, *, now_at: float
    ) -> Failure:
        """Say what an error answer means."""
        return self._classify(status, headers, body, now_at=now_at)


def _wish(call: Call) -> RankingWish:
    given = {name: raw for name, raw in call.fields.items() if not is_absent(call.fields, name)}
    for name in ("query", "documents"):
        if name not in given:
            raise BadCall(f"Missing required parameter: '{name}'.", param=name)
    read = {name: _read(name, given[name]) for name in _READERS if name in given}
    documents = tuple(one if isinstance(one, str) else one.text for one in read["documents"])
    if not documents:
        raise BadCall("'documents' must hold at least one document.", param="documents")
    most = read.get("top_n")
    if most is not None and most < 1:
        raise BadCall("'top_n' must be at least 1.", param="top_n")
    return RankingWish(
        query=read["query"],
        documents=documents,
        most=None if most is None else min(most, len(documents)),
        extra=given,
    )


def _read(name: str, raw: msgspec.Raw) -> Any:  # noqa: ANN401 - any JSON value
    words, reader = _READERS[name]
    return read_field(name, words, raw, reader)


def _shows_documents(call: Call) -> bool:
    absent = is_absent(call.fields, "return_documents")
    return not absent and bool(_read("return_documents", call.fields["return_documents"]))


def _result(ranked: Ranked, wish: RankingWish, shown: bool) -> dict[str, object]:  # noqa: FBT001 - the client's own
    found: dict[str, object] = {
        "index": ranked.index,
        "relevance_score": ranked.relevance_score,
    }
    return {**found, "document": {"text": wish.documents[ranked.index]}} if shown else found


def _meta(ranking: Ranking, usage: Usage) -> dict[str, object]:
    searches = {} if ranking.searches is None else {"search_units": ranking.searches}
    return {"billed_units": searches, "tokens": {"input_tokens": usage.input_tokens}}


def _estimate(wish: RankingWish) -> Usage:
    """Return a guess: each document is read together with the question."""
    asked = len(wish.query.encode()) * len(wish.documents)
    size = asked + sum(len(document.encode()) for document in wish.documents)
    return Usage(input_tokens=max(1, round(size / BYTES_PER_TOKEN)), estimated=True)


def _refuse_stream() -> NoReturn:
    raise BadCall("A ranking is not streamed.", param="stream")
