"""Cohere's endpoints: what is checked in which order, and what is answered."""

from typing import Any, Final

from router.simulator.behaviour import Behaviour
from router.simulator.choices import Choice
from router.simulator.circumstances import Circumstances
from router.simulator.cohere.content import chat_fields, choice_for
from router.simulator.cohere.error import IDIOM
from router.simulator.cohere.fields import CHAT, EMBED, RERANK, ChatFields, decode
from router.simulator.cohere.rules import check_chat
from router.simulator.cohere.vectors import embed_answer, rerank_answer
from router.simulator.cohere.voice import CohereVoice
from router.simulator.counts import SeenRequest
from router.simulator.performance import Headers, Performance
from router.simulator.refusal import Refusal
from router.simulator.telling import Telling
from router.simulator.usage import Usage, chat_prompt_tokens
from router.simulator.whole import whole_answer

_CHAT: Final = b"/v2/chat"
_EMBED: Final = b"/v2/embed"
_RERANK: Final = b"/v2/rerank"
_MARKUP: Final = 60
"""Tokens that the model reads besides those that are billed: its own markup."""


class CohereDialect:
    """Chat, embeddings and rerank."""

    idiom = IDIOM

    def is_spoken_in(self, request: SeenRequest) -> bool:
        """Whether the path is one of Cohere's second version."""
        return _path(request).endswith((_CHAT, _EMBED, _RERANK))

    def names_request(self, name: str) -> Headers:
        """The header that tells a client its request's id."""
        return ((b"x-debug-trace-id", name.encode()),)

    def check_key(self, request: SeenRequest, keys: frozenset[bytes]) -> None:
        """Raise Refusal for a request without a token, or with none of these if there are any."""
        scheme, _, token = (request.header(b"authorization") or b"").partition(b" ")
        if scheme.lower() != b"bearer" or not token.strip():
            raise Refusal(401, "no api key supplied")
        if keys and token.strip() not in keys:
            raise Refusal(401, "invalid api token")

    def ordered_behaviour(self, body: bytes) -> Behaviour | None:  # noqa: ARG002 - the protocol's
        """Nothing: no field of a request could carry an order, only the header can."""
        return None

    def answer(self, request: SeenRequest, around: Circumstances) -> Performance:
        """Answer a request. Raises Refusal for what Cohere refuses."""
        if request.method != b"POST":
            raise Refusal(405, "method not allowed")
        path, body = _path(request), request.body
        if path.endswith(_EMBED):
            embed = decode(body, EMBED)
            _check_known(embed.model, around)
            return _whole(embed_answer(embed, name=around.name), around)
        if path.endswith(_RERANK):
            rerank = decode(body, RERANK)
            _check_known(rerank.model, around)
            return _whole(rerank_answer(rerank, name=around.name), around)
        fields = decode(body, CHAT)
        _check_known(fields.model, around)
        check_chat(fields)
        return _said(fields, around)


def _path(request: SeenRequest) -> bytes:
    return request.target.partition(b"?")[0].rstrip(b"/")


def _check_known(model: str, around: Circumstances) -> None:
    known = around.profile.models
    if known is not None and model not in known:
        told = f"model '{model}' not found, make sure the correct model ID was used"
        raise Refusal(404, f"{told} and that you have access to the model.")


def _whole(answer: dict[str, Any], around: Circumstances) -> Performance:
    return whole_answer(
        answer,
        at=around.timing.ready(0),
        idiom=IDIOM,
        behaviour=around.behaviour,
        headers=around.headers,
    )


def _said(fields: ChatFields, around: Circumstances) -> Performance:
    choice = choice_for(fields, around)
    usage = _usage(fields, choice, around)
    voice = CohereVoice(name=around.name, usage=usage, behaviour=around.behaviour)
    told = Telling(voice, [choice], usage, IDIOM, around)
    return told.streamed() if fields.stream else told.whole()


def _usage(fields: ChatFields, choice: Choice, around: Circumstances) -> Usage:
    """The counts: what is billed, and what the model read and wrote, its markup among it."""
    prompt = chat_prompt_tokens(chat_fields(fields))
    cached = min(around.behaviour.cached_tokens, prompt)
    return {
        "billed_units": {"input_tokens": prompt, "output_tokens": choice.produced},
        "tokens": {"input_tokens": prompt + _MARKUP, "output_tokens": choice.produced + 4},
        "cached_tokens": cached,
    }
