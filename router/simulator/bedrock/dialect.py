"""Bedrock's endpoints: what is checked in which order, and what is answered.

The model stands in the path, all of it encoded, and behind it whether the answer is to be a stream.
"""

import re
from typing import Final
from urllib.parse import unquote

from router.simulator.bedrock.caller import check_caller
from router.simulator.bedrock.content import chat_fields, choice_for
from router.simulator.bedrock.error import IDIOM, invalid
from router.simulator.bedrock.fields import ConverseFields, converse_fields
from router.simulator.bedrock.settings import check_settings
from router.simulator.bedrock.turns import check_turns
from router.simulator.bedrock.voice import ConverseVoice
from router.simulator.behaviour import Behaviour
from router.simulator.choices import Choice
from router.simulator.circumstances import Circumstances
from router.simulator.counts import SeenRequest
from router.simulator.performance import Headers, Performance
from router.simulator.refusal import Refusal
from router.simulator.telling import Telling
from router.simulator.usage import Usage, chat_prompt_tokens

_PATH: Final = re.compile(r"/model/(?P<model>[^/]+)/(?P<method>converse|converse-stream)")
_STOP_PATH: Final = "/stop_sequence"


class BedrockDialect:
    """Converse, whole and as a stream."""

    idiom = IDIOM

    def is_spoken_in(self, request: SeenRequest) -> bool:
        """Whether the path is one of Converse's."""
        return _called(request) is not None

    def names_request(self, name: str) -> Headers:
        """The header that tells a client its request's id."""
        return ((b"x-amzn-requestid", name.encode()),)

    def check_key(self, request: SeenRequest, keys: frozenset[bytes]) -> None:
        """Raise Refusal for a request without proof of a caller (see `caller`)."""
        check_caller(request, keys)

    def ordered_behaviour(self, body: bytes) -> Behaviour | None:  # noqa: ARG002 - the protocol's
        """Nothing: no field of a request could carry an order, only the header can."""
        return None

    def answer(self, request: SeenRequest, around: Circumstances) -> Performance:
        """Answer a request. Raises Refusal for what Bedrock refuses."""
        found = _called(request)
        if request.method != b"POST" or found is None:
            raise Refusal(404, "No such operation.", code="UnknownOperationException")
        model = unquote(found["model"])
        if around.profile.models is not None and model not in around.profile.models:
            raise invalid("The provided model identifier is invalid.")
        fields = converse_fields(request.body)
        check_turns(fields)
        check_settings(fields, model)
        telling = _telling(fields, model, around)
        if found["method"] == "converse":
            return telling.whole()
        return telling.streamed(asked=True)


def _called(request: SeenRequest) -> re.Match[str] | None:
    path = request.target.partition(b"?")[0].decode("latin-1")
    start = path.rfind("/model/")
    return _PATH.fullmatch(path, start) if start >= 0 else None


def _telling(fields: ConverseFields, model: str, around: Circumstances) -> Telling:
    choice = choice_for(fields, model, around)
    voice = ConverseVoice(
        signs="claude" in model,
        tells_stop=_STOP_PATH in fields.response_field_paths,
        behaviour=around.behaviour,
    )
    return Telling(voice, [choice], _usage(fields, model, choice, around), IDIOM, around)


def _usage(fields: ConverseFields, model: str, choice: Choice, around: Circumstances) -> Usage:
    """The counts; what was read from the cache is no part of the input."""
    prompt = chat_prompt_tokens(chat_fields(fields, model))
    cached = min(around.behaviour.cached_tokens, prompt)
    return {
        "inputTokens": prompt - cached,
        "outputTokens": choice.produced,
        "totalTokens": prompt + choice.produced,
        "cacheReadInputTokens": cached,
        "cacheWriteInputTokens": 0,
    }
