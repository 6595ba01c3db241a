"""Google's endpoints: what is checked in which order, and what is answered.

The model and the method stand at the end of the path; what is before them is a version, or more.
"""

import re
import struct
from typing import Any, Final
from urllib.parse import parse_qs, unquote

import msgspec

from router.simulator.behaviour import Behaviour
from router.simulator.circumstances import Circumstances
from router.simulator.counts import SeenRequest
from router.simulator.embeddings import DIMENSIONS, SMALL_DIMENSIONS, packed_vector
from router.simulator.gemini.content import chat_fields, choices_for
from router.simulator.gemini.contents import check_contents, check_parts
from router.simulator.gemini.error import ARRAY_IDIOM, IDIOM, invalid
from router.simulator.gemini.fields import (
    EMBED,
    GENERATE,
    EmbedFields,
    EmbedRequest,
    GenerateFields,
    decode,
)
from router.simulator.gemini.settings import check_settings
from router.simulator.gemini.voice import CandidateVoice
from router.simulator.performance import Ending, Headers, Performance
from router.simulator.refusal import Refusal
from router.simulator.streaming import streamed_answer
from router.simulator.telling import Telling
from router.simulator.usage import Usage, chat_prompt_tokens
from router.simulator.whole import whole_answer

_PATH: Final = re.compile(
    r"/models/(?P<model>[^/]+):(?P<method>generateContent|streamGenerateContent|batchEmbedContents)/?"
)


class GeminiDialect:
    """Answers, streamed answers, and embeddings."""

    idiom = IDIOM

    def is_spoken_in(self, request: SeenRequest) -> bool:
        """Whether the path ends in a model and one of Google's methods."""
        return _called(request) is not None

    def names_request(self, name: str) -> Headers:  # noqa: ARG002 - the protocol's
        """No header: Google names answers in their body."""
        return ()

    def check_key(self, request: SeenRequest, keys: frozenset[bytes]) -> None:
        """Raise Refusal for a request without a key, or with none of these if there are any.

        A key in the address is refused. The real service takes it, and so it ends up in logs.
        """
        if "key" in _query(request):
            raise invalid("The API key belongs into the header x-goog-api-key, not into the URL.")
        key = request.header(b"x-goog-api-key")
        if not key:
            told = (
                "Method doesn't allow unregistered callers (callers without established identity)."
            )
            raise Refusal(403, f"{told} Please use API Key or other form of API consumer identity.")
        if keys and key not in keys:
            told = "API key not valid. Please pass a valid API key."
            raise Refusal(400, told, code="API_KEY_INVALID")

    def ordered_behaviour(self, body: bytes) -> Behaviour | None:  # noqa: ARG002 - the protocol's
        """Nothing: no field of a request could carry an order, only the header can."""
        return None

    def answer(self, request: SeenRequest, around: Circumstances) -> Performance:
        """Answer a request. Raises Refusal for what Google refuses."""
        found = _called(request)
        if request.method != b"POST" or found is None:
            raise Refusal(404, "The requested URL was not found on this server.")
        model, method = unquote(found["model"]), found["method"]
        known = around.profile.models
        if known is not None and model not in known:
            told = f"models/{model} is not found for API version v1beta, or is not supported for"
            raise Refusal(404, f"{told} {method}.")
        if method == "batchEmbedContents":
            return _embedded(decode(request.body, EMBED), model, around)
        return generated(request, model, method, around)


def generated(request: SeenRequest, model: str, method: str, around: Circumstances) -> Performance:
    """Answer a request for content, whole or streamed. Raises Refusal."""
    fields = decode(request.body, GENERATE)
    check_contents(fields, model)
    check_settings(fields, model)
    told_as_array = _query(request).get("alt") != ["sse"]
    if around.behaviour.refuses == "content":
        return _blocked(
            fields, model, around, array=None if method == "generateContent" else told_as_array
        )
    telling = _telling(fields, model, around, array=told_as_array)
    return telling.whole() if method == "generateContent" else telling.streamed()


def _blocked(
    fields: GenerateFields, model: str, around: Circumstances, *, array: bool | None
) -> Performance:
    """An answer without candidates, for a prompt that is not to be answered; `array` None is no stream."""
    answer = {
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        "usageMetadata": _prompt_usage(fields, model, around),
        "modelVersion": model,
    }
    at, headers = around.timing.ready(0), around.headers
    if array is None:
        return whole_answer(answer, at=at, idiom=IDIOM, behaviour=around.behaviour, headers=headers)
    step = (at, msgspec.json.encode(answer), Ending.COMPLETE)
    idiom = ARRAY_IDIOM if array else IDIOM
    return streamed_answer(
        iter([step]), at=at, idiom=idiom, behaviour=around.behaviour, headers=headers
    )


def _called(request: SeenRequest) -> re.Match[str] | None:
    path = request.target.partition(b"?")[0].decode("latin-1")
    start = path.rfind("/models/")
    return _PATH.fullmatch(path, start) if start >= 0 else None


def _query(request: SeenRequest) -> dict[str, list[str]]:
    return parse_qs(request.target.partition(b"?")[2].decode("latin-1"), keep_blank_values=True)


def _telling(fields: GenerateFields, model: str, around: Circumstances, *, array: bool) -> Telling:
    config = fields.generation_config.thinking_config
    voice = CandidateVoice(
        model=model,
        name=around.name,
        prompt=_prompt_usage(fields, model, around),
        thoughts=config is not None and config.include_thoughts,
        behaviour=around.behaviour,
    )
    choices = choices_for(fields, model, around)
    return Telling(voice, choices, {}, ARRAY_IDIOM if array else IDIOM, around)


def _prompt_usage(fields: GenerateFields, model: str, around: Circumstances) -> Usage:
    tokens = chat_prompt_tokens(chat_fields(fields, model))
    cached = min(around.behaviour.cached_tokens, tokens)
    return {
        "promptTokenCount": tokens,
        **({"cachedContentTokenCount": cached} if cached else {}),
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}],
    }


def _embedded(fields: EmbedFields, model: str, around: Circumstances) -> Performance:
    for number, one in enumerate(fields.requests):
        if one.model != f"models/{model}":
            told = "model must be the one in the path"
            raise invalid(f"* BatchEmbedContentsRequest.requests[{number}].model: {told}")
        check_parts(one.content, f"requests[{number}].content")
    answer: dict[str, Any] = {
        "embeddings": [{"values": _values(one, model)} for one in fields.requests]
    }
    return whole_answer(
        answer,
        at=around.timing.ready(0),
        idiom=IDIOM,
        behaviour=around.behaviour,
        headers=around.headers,
    )


def _values(request: EmbedRequest, model: str) -> list[float]:
    size = request.output_dimensionality or DIMENSIONS.get(model, SMALL_DIMENSIONS)
    text = "\n".join(part.text or "" for part in request.content.parts)
    return list(struct.unpack(f"<{size}f", packed_vector(text, size)))
